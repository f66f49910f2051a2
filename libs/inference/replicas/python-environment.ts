import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gibibytes } from '#libs/kernel';
import { Installation } from './python-installation.js';

/** A set of Python packages that serves some of the formats. */
export interface PythonFramework {
  /** Part of the folder's name. */
  readonly name: string;
  /** Files with pinned packages, complete without the resolver. */
  readonly requirements: readonly string[];
  /** Installed on top when `whenPresent` (below `site-packages`) came with the first ones. */
  readonly addition?: { readonly requirements: string; readonly whenPresent: string } | undefined;
  /** First and last minor version of Python 3 that the packages have wheels for. */
  readonly pythons: readonly [first: number, last: number];
  readonly roomBytes: number;
}

export interface PythonEnvironmentsSettings {
  /** Each environment is a folder of its own in here. */
  toolsFolder: string;
  /** Where programs are looked for, and what pip or uv are told: `PATH`, `PIP_*`, `UV_*`, proxies. */
  env: Readonly<Record<string, string | undefined>>;
}

type SayLine = (line: string) => void;

const lockHeartbeatMs = 2_000;
const lockStaleMs = 20_000;
const lockPollMs = 250;
const markerName = 'complete';

/** Virtual environments for model servers, each made once, when it is first needed. */
export class PythonEnvironments {
  private readonly making = new Map<string, SharedMaking>();

  constructor(private readonly settings: PythonEnvironmentsSettings) {}

  /** @returns the interpreter of an environment that is complete, undefined when it has to be made first */
  find(framework: PythonFramework): string | undefined {
    const folder = this.folderOf(framework);
    return existsSync(path.join(folder, markerName)) ? interpreterIn(folder) : undefined;
  }

  /**
   * Makes it, or waits for whoever makes it already. When the last one that waits gives up, the work is ended as well.
   * @throws Error whose message is a sentence for the replica's row
   */
  async make(framework: PythonFramework, signal: AbortSignal, onLine: SayLine): Promise<string> {
    const folder = this.folderOf(framework);
    let shared = this.making.get(folder);
    while (shared?.isGivenUp === true) {
      await shared.done.catch(() => undefined);
      shared = this.making.get(folder);
    }
    if (shared === undefined) {
      shared = new SharedMaking((ended, say) => this.makeUnderLock(framework, folder, ended, say));
      this.making.set(folder, shared);
      const forget = (): void => void this.making.delete(folder);
      void shared.done.then(forget, forget);
    }
    return shared.wait(signal, onLine);
  }

  private folderOf({ name, requirements, addition }: PythonFramework): string {
    const hash = createHash('sha256');
    for (const file of [...requirements, ...(addition === undefined ? [] : [addition.requirements])])
      hash.update(readFileSync(file)).update('\0');
    return path.join(path.resolve(this.settings.toolsFolder), `python-${name}-${hash.digest('hex').slice(0, 12)}`);
  }

  private async makeUnderLock(
    framework: PythonFramework,
    folder: string,
    signal: AbortSignal,
    onLine: SayLine,
  ): Promise<string> {
    await mkdir(path.dirname(folder), { recursive: true });
    await using _lock = await FolderLock.take(`${folder}.lock`, signal);
    // Another process may have made it while this one waited.
    if (existsSync(path.join(folder, markerName))) return interpreterIn(folder);
    await refuseFullDisk(path.dirname(folder), framework);
    // A virtual environment does not bear to be moved, so a half-made one is removed and not renamed.
    await rm(folder, { recursive: true, force: true });
    try {
      await new Installation({ framework, folder, env: this.settings.env, signal, onLine }).run();
      await writeFile(path.join(folder, `${markerName}.new`), '');
      await rename(path.join(folder, `${markerName}.new`), path.join(folder, markerName));
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    await removeEarlier(folder, framework.name);
    return interpreterIn(folder);
  }
}

const interpreterIn = (folder: string): string => path.join(folder, 'bin', 'python');

/** One making that several replicas wait for. */
class SharedMaking {
  readonly done: Promise<string>;
  private readonly giveUp = new AbortController();
  private readonly listeners = new Set<SayLine>();

  constructor(work: (signal: AbortSignal, onLine: SayLine) => Promise<string>) {
    this.done = work(this.giveUp.signal, (line) => {
      for (const listener of this.listeners) listener(line);
    });
  }

  get isGivenUp(): boolean {
    return this.giveUp.signal.aborted;
  }

  async wait(signal: AbortSignal, onLine: SayLine): Promise<string> {
    // Two who wait may share a listener, and each takes only its own away.
    const listener: SayLine = (line) => onLine(line);
    this.listeners.add(listener);
    const gaveUp = Promise.withResolvers<never>();
    const leave = (): void => {
      this.listeners.delete(listener);
      // Others go on waiting; the last one stays until the half-made folder is gone.
      if (this.listeners.size === 0) this.giveUp.abort(signal.reason);
      else gaveUp.reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      if (signal.aborted) leave();
      return await Promise.race([this.done, gaveUp.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      this.listeners.delete(listener);
    }
  }
}

/** A file that only one process holds. Its holder touches it; one that has not been touched for 20 s was left by a crash. */
class FolderLock implements AsyncDisposable {
  private readonly heartbeat: NodeJS.Timeout;

  private constructor(private readonly file: string) {
    this.heartbeat = setInterval(() => {
      const now = new Date();
      void utimes(file, now, now).catch(() => undefined);
    }, lockHeartbeatMs);
    this.heartbeat.unref();
  }

  static async take(file: string, signal: AbortSignal): Promise<FolderLock> {
    for (;;) {
      signal.throwIfAborted();
      try {
        const handle = await open(file, 'wx');
        await handle.close();
        return new FolderLock(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const held = await stat(file).catch(() => undefined);
      if (held !== undefined && Date.now() - held.mtimeMs > lockStaleMs) await rm(file, { force: true });
      else await pause(lockPollMs, undefined, { signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.heartbeat);
    await rm(this.file, { force: true });
  }
}

async function refuseFullDisk(folder: string, { name, roomBytes }: PythonFramework): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= roomBytes) return;
  const inGibibytes = (bytes: number): string => (bytes / gibibytes(1)).toFixed(1);
  throw new Error(
    `the Python environment for ${name} needs ${inGibibytes(roomBytes)} GiB below ${folder}, and ${inGibibytes(free)} GiB are free`,
  );
}

/** Those of earlier releases: no server of this launcher runs in them, and each takes gigabytes. */
async function removeEarlier(folder: string, name: string): Promise<void> {
  const parent = path.dirname(folder);
  for (const entry of await readdir(parent)) {
    const earlier = path.join(parent, entry);
    const isEarlier = new RegExp(`^python-${name}-[0-9a-f]{12}$`).test(entry) && earlier !== folder;
    if (isEarlier) await rm(earlier, { recursive: true, force: true }).catch(() => undefined);
  }
}
