import { mebibytes, minutes, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordBatch, RequestRecord } from './request-record.js';

export interface RecordSpoolSettings {
  folder: string;
  log: Logger;
  /** When the folder would hold more, its oldest files go. */
  maxBytes?: number;
}

interface SpooledFile {
  name: string;
  bytes: number;
}

const defaultMaxBytes = mebibytes(256);
const extension = '.ndjson';
const refusedExtension = '.refused';
const halfExtension = '.part';
const abandonedAfterSeconds = minutes(1);

/**
 * Batches of records that wait on disk for PostgreSQL: one NDJSON file per batch, oldest first. A file appears whole
 * or not at all, and its name carries the batch's id, which makes writing it twice harmless.
 */
export class RecordSpool {
  private files: SpooledFile[] = [];
  private bytes = 0;
  private sequence = 0;
  droppedBatches = 0;

  private constructor(private readonly settings: Required<RecordSpoolSettings>) {}

  /** Opens the folder and finds what an earlier life left there. */
  static async open(settings: RecordSpoolSettings): Promise<RecordSpool> {
    const spool = new RecordSpool({ maxBytes: defaultMaxBytes, ...settings });
    await mkdir(settings.folder, { recursive: true, mode: 0o700 });
    const found = await readdir(settings.folder);
    for (const name of found.filter((each) => each.endsWith(halfExtension)))
      await removeIfOld(join(settings.folder, name));
    const names = found.filter((name) => name.endsWith(extension)).sort();
    for (const name of names) {
      const { size } = await stat(join(settings.folder, name));
      spool.files.push({ name, bytes: size });
      spool.bytes += size;
    }
    return spool;
  }

  get size(): { batches: number; bytes: number } {
    return { batches: this.files.length, bytes: this.bytes };
  }

  /** Keeps a batch. A disk that cannot take it costs these records and a loud line, never a request. */
  async keep({ id, records }: RecordBatch): Promise<void> {
    const text = records.map((record) => JSON.stringify(record)).join('\n');
    const bytes = Buffer.byteLength(text);
    const name = `${new Date().toISOString().replaceAll(':', '')}-${String(this.sequence++).padStart(6, '0')}-${id}${extension}`;
    try {
      await this.makeRoom(bytes);
      await this.writeWhole(name, text);
      this.files.push({ name, bytes });
      this.bytes += bytes;
    } catch (error) {
      this.droppedBatches += 1;
      this.settings.log.error(
        { err: error, records: records.length },
        'request records are lost: neither the database nor the disk takes them',
      );
    }
  }

  /** The oldest batch, or undefined when nothing waits. */
  async oldest(): Promise<RecordBatch | undefined> {
    for (;;) {
      const file = this.files[0];
      if (file === undefined) return undefined;
      try {
        const text = await readFile(join(this.settings.folder, file.name), 'utf8');
        const records = text.split('\n').map((line) => JSON.parse(line) as RequestRecord);
        return { id: file.name.slice(-(36 + extension.length), -extension.length), records };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') await this.setAside(error);
        else this.forgetFirst();
      }
    }
  }

  /** The oldest batch is written: its file goes. */
  async done(): Promise<void> {
    const file = this.forgetFirst();
    if (file !== undefined) await unlink(join(this.settings.folder, file.name)).catch(() => undefined);
  }

  /** The oldest batch can never be written. It stays on disk for a person to look at, out of the way of the others. */
  async setAside(reason: unknown): Promise<void> {
    const file = this.forgetFirst();
    if (file === undefined) return;
    this.droppedBatches += 1;
    this.settings.log.error({ err: reason, file: file.name }, 'a batch of request records is refused and set aside');
    const path = join(this.settings.folder, file.name);
    await rename(path, `${path}${refusedExtension}`).catch(() => undefined);
  }

  private forgetFirst(): SpooledFile | undefined {
    const file = this.files.shift();
    if (file !== undefined) this.bytes -= file.bytes;
    return file;
  }

  private async makeRoom(bytes: number): Promise<void> {
    while (this.files.length > 0 && this.bytes + bytes > this.settings.maxBytes) {
      this.droppedBatches += 1;
      this.settings.log.error(
        { file: this.files[0]?.name, maxBytes: this.settings.maxBytes },
        'the spool is full: the oldest request records are dropped',
      );
      await this.done();
    }
  }

  private async writeWhole(name: string, text: string): Promise<void> {
    const path = join(this.settings.folder, name);
    const half = `${path}${halfExtension}`;
    try {
      await using file = await open(half, 'w', 0o600);
      await file.writeFile(text);
      await file.sync();
    } catch (error) {
      await unlink(half).catch(() => undefined);
      throw error;
    }
    await rename(half, path);
  }
}

/** What a crash cut off while it was written. A young one may still be written by a process that is about to end. */
async function removeIfOld(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || Date.now() - found.mtimeMs < secondsToMs(abandonedAfterSeconds)) return;
  await unlink(path).catch(() => undefined);
}
