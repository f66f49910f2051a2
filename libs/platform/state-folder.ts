import { mebibytes } from '#libs/kernel';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, statfs, unlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openPrivateFolder } from './private-folder.js';

/** Raised by one whenever an older release could not read what a newer one has written. */
const stateVersion = 1;
const roomToStartBytes = mebibytes(256);
/** What requests, models and rollouts leave behind is nobody's business but the owner's. */
const closedFolders = ['artifacts', 'logs', 'spool', 'temporal'];
/** Longer than any other launcher takes from finding a lock stale to removing it. */
const takeOverMs = 250;

/** What is remembered between starts besides the database. */
export interface StateRecord {
  stateVersion: number;
  /** The release that wrote the folder last. */
  release: string;
  /** The samples are offered once; an operator who archives them does not get them back at the next start. */
  hasSamples?: boolean;
}

/** A condition that a person has to mend; its message says how. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

/** The folder that holds everything Sluice keeps. One launcher at a time may own it. */
export class StateFolder implements AsyncDisposable {
  private constructor(
    readonly path: string,
    private readonly lock: Server,
    /** The launcher before this one ended without releasing the folder. */
    readonly wasLeftBehind: boolean,
    private current: StateRecord,
  ) {}

  /** @throws StartRefused when the folder is another's, too new, not writable, or on a full disk */
  static async open(path: string, socketFolder: string, release: string): Promise<StateFolder> {
    // Others may pass through, since PostgreSQL may run as another user; what is inside is closed to them.
    await attempt(`the state folder ${path} cannot be made`, () => mkdir(path, { recursive: true, mode: 0o711 }));
    await attempt(`the folder ${socketFolder} for sockets cannot be used`, () => openPrivateFolder(socketFolder));
    for (const name of closedFolders)
      await attempt(`${join(path, name)} cannot be used`, () => openPrivateFolder(join(path, name)));
    await refuseFullDisk(path);
    const record = await readRecord(path, release);
    const { lock, wasLeftBehind } = await takeLock(join(socketFolder, 'launcher.sock'), path);
    const folder = new StateFolder(path, lock, wasLeftBehind, record);
    await folder.remember({});
    return folder;
  }

  get record(): Readonly<StateRecord> {
    return this.current;
  }

  async remember(change: Partial<StateRecord>): Promise<void> {
    this.current = { ...this.current, ...change };
    await replaceFile(join(this.path, 'state.json'), `${JSON.stringify(this.current, null, 2)}\n`, 0o644);
  }

  /** The 32-byte master key as hex; made at the first start, mode 0600. */
  async masterKey(): Promise<string> {
    const file = join(this.path, 'master-key');
    const kept = await readIfThere(file);
    if (kept !== undefined) {
      const key = kept.trim();
      if (!/^[0-9a-f]{64}$/i.test(key)) {
        throw new StartRefused(
          `${file} does not hold 64 hex digits; restore it from a backup, since all API keys depend on it`,
        );
      }
      return key;
    }
    const made = randomBytes(32).toString('hex');
    await replaceFile(file, `${made}\n`, 0o600);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.lock.close(() => resolve()));
  }
}

/** Writes beside the file and renames, so that a crash leaves the old content or the new one. */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  const beside = `${file}.${randomBytes(4).toString('hex')}`;
  await attempt(`${file} cannot be written`, async () => {
    await writeFile(beside, content, { mode, flush: true });
    await rename(beside, file);
  });
}

async function readRecord(path: string, release: string): Promise<StateRecord> {
  const file = join(path, 'state.json');
  const text = await readIfThere(file);
  if (text === undefined) return { stateVersion, release };
  let found: Partial<StateRecord>;
  try {
    found = JSON.parse(text) as Partial<StateRecord>;
  } catch {
    throw new StartRefused(`${file} is not JSON; restore it from a backup, or name another folder by SLUICE_HOME`);
  }
  if (typeof found.stateVersion !== 'number' || found.stateVersion > stateVersion) {
    throw new StartRefused(
      `the state folder ${path} was written by a newer release of Sluice (${found.release ?? 'unknown'}, state version ` +
        `${found.stateVersion ?? 'unknown'}; this release reads up to ${stateVersion}). Start that release, or name another folder by SLUICE_HOME`,
    );
  }
  return { ...found, stateVersion, release };
}

async function refuseFullDisk(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const freeBytes = bavail * bsize;
  if (freeBytes < roomToStartBytes) {
    throw new StartRefused(
      `the disk of the state folder ${path} is full: ${Math.floor(freeBytes / mebibytes(1))} MiB are free, ` +
        `${roomToStartBytes / mebibytes(1)} MiB are needed. Make room, or name another folder by SLUICE_HOME`,
    );
  }
}

/** A listening Unix socket is the lock: the kernel lets go of it however its owner ends. It tells its owner's mark. */
async function takeLock(socketPath: string, home: string): Promise<{ lock: Server; wasLeftBehind: boolean }> {
  const mark = randomUUID();
  let wasLeftBehind = false;
  for (;;) {
    const lock = await listen(socketPath, mark);
    if (lock !== undefined) {
      // Two launchers may find the same stale lock: the later one removes the lock that the earlier one has just made.
      if (wasLeftBehind) await pause(takeOverMs);
      if ((await ownerOf(socketPath)) === mark) return { lock, wasLeftBehind };
      // Not closed, since that would remove the socket of the one who has it now.
      lock.unref();
      throw runningAlready(home);
    }
    if ((await ownerOf(socketPath)) !== undefined) throw runningAlready(home);
    wasLeftBehind = true;
    await unlink(socketPath).catch(() => undefined);
  }
}

const runningAlready = (home: string): StartRefused =>
  new StartRefused(`Sluice is running already on ${home}. Stop it first, or name another folder by SLUICE_HOME`);

async function listen(socketPath: string, mark: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(mark);
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(socketPath, () => resolve(server));
  });
}

/** @returns the mark of the launcher that listens there, or undefined when nobody does */
async function ownerOf(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let mark = '';
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => (mark += part));
    socket.once('end', () => resolve(mark));
    socket.once('error', () => resolve(undefined));
  });
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StartRefused(`${file} cannot be read: ${(error as Error).message}`);
  }
}

async function attempt(failure: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOSPC' ? 'the disk is full' : message;
    throw new StartRefused(`${failure}: ${reason}`, { cause: error });
  }
}
