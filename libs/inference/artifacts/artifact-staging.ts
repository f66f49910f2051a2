import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactLimits } from './artifact-limits.js';
import type { ReadFile } from './artifact-manifest.js';
import { checkPath, manifestFileName, PathRegister } from './artifact-path.js';
import { orStoreFull, shownName, tooLarge } from './artifact-refusal.js';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
/** Artifacts are immutable, so not even their owner may write to them. */
const readOnlyMode = 0o444;

/** The manifest lies at the root, or in the one top folder of an archive. */
const isManifest = (path: string): boolean => path === manifestFileName || /^[^/]+\/sluice\.json$/.test(path);

/**
 * A folder in which an artifact gathers before anything is believed about it. It counts and hashes what is written,
 * and takes everything away again unless it is kept.
 */
export class ArtifactStaging implements AsyncDisposable {
  readonly files = new Map<string, ReadFile>();
  private readonly register = new PathRegister();
  private entries = 0;
  private totalBytes = 0;
  private current: StagedFile | undefined;

  private constructor(
    readonly folder: string,
    readonly limits: ArtifactLimits,
  ) {}

  static async create(folder: string, limits: ArtifactLimits): Promise<ArtifactStaging> {
    await mkdir(folder, { recursive: true, mode: 0o755 }).catch((failure: unknown) => {
      throw orStoreFull(failure);
    });
    return new ArtifactStaging(folder, limits);
  }

  /** A folder is only remembered: it comes into being with its first file. @throws SLU_ARTIFACT_* */
  addFolder(path: string): void {
    checkPath(path);
    this.countEntry();
    this.register.addFolder(path);
  }

  /** @param bytes as announced; writing more than that is refused @throws SLU_ARTIFACT_* */
  admitFile(path: string, bytes: number): void {
    checkPath(path);
    this.countEntry();
    this.register.addFile(path);
    if (isManifest(path) && bytes > this.limits.manifestBytes) {
      throw tooLarge(`${shownName(path)} has more than ${this.limits.manifestBytes} bytes`);
    }
    if (bytes > this.limits.fileBytes)
      throw tooLarge(`${shownName(path)} has more than ${this.limits.fileBytes} bytes`);
    this.totalBytes += bytes;
    if (this.totalBytes > this.limits.totalBytes) {
      throw tooLarge(`its files have more than ${this.limits.totalBytes} bytes, reached at ${shownName(path)}`);
    }
  }

  /** Opens a file that was admitted. One at a time. */
  async openFile(path: string, bytes: number): Promise<StagedFile> {
    const target = join(this.folder, path);
    try {
      await mkdir(dirname(target), { recursive: true, mode: 0o755 });
      const handle = await open(target, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, readOnlyMode);
      this.current = new StagedFile(handle, path, bytes, (file) => this.close(file));
      return this.current;
    } catch (failure) {
      throw orStoreFull(failure);
    }
  }

  /** Takes a file away again that is not to be part of the artifact. */
  async drop(path: string): Promise<void> {
    await rm(join(this.folder, path));
    this.files.delete(path);
  }

  /** Gives a file another name in its own folder. @throws SLU_ARTIFACT_REFUSED when that one is taken */
  async rename(from: string, to: string): Promise<void> {
    const file = this.files.get(from);
    if (file === undefined) throw new Error(`${from} is not staged`);
    checkPath(to);
    this.register.addFile(to);
    await rename(join(this.folder, from), join(this.folder, to));
    this.files.delete(from);
    this.files.set(to, file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current?.abandon();
    await rm(this.folder, { recursive: true, force: true });
  }

  private countEntry(): void {
    this.entries += 1;
    if (this.entries > this.limits.entries) throw tooLarge(`it has more than ${this.limits.entries} files and folders`);
  }

  private close(file: StagedFile): void {
    this.files.set(file.path, { sha256: file.sha256(), bytes: file.written });
    this.current = undefined;
  }
}

/** One file on its way in: hashed as it is written, so the hash is of what lies on the disk. */
export class StagedFile {
  written = 0;
  private readonly hash: Hash = createHash('sha256');

  constructor(
    private readonly handle: FileHandle,
    readonly path: string,
    private readonly bytes: number,
    private readonly onClose: (file: StagedFile) => void,
  ) {}

  async write(chunk: Buffer): Promise<void> {
    if (this.written + chunk.length > this.bytes) throw tooLarge(`${shownName(this.path)} grew while it was read`);
    this.hash.update(chunk);
    try {
      for (let at = 0; at < chunk.length;) at += (await this.handle.write(chunk, at)).bytesWritten;
    } catch (failure) {
      throw orStoreFull(failure);
    }
    this.written += chunk.length;
  }

  async close(): Promise<void> {
    try {
      await this.handle.sync();
    } catch (failure) {
      throw orStoreFull(failure);
    } finally {
      await this.handle.close();
    }
    this.onClose(this);
  }

  async abandon(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }

  sha256(): string {
    return this.hash.digest('hex');
  }
}
