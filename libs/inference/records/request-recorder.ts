import { days, secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database } from '#libs/store';
import { randomUUID } from 'node:crypto';
import { insertBatch, UnwritableRecord } from './request-record-copy.js';
import type { RecordBatch, RequestRecord } from './request-record.js';
import type { RecordSpool } from './record-spool.js';
import { defaultRequestRetentionSeconds, RequestPartitions } from './request-partitions.js';
import { deleteInPortions } from './retention.js';

export interface RequestRecorderSettings {
  database: Database;
  spool: RecordSpool;
  log: Logger;
  retentionSeconds?: number;
  flushEveryMs?: number;
}

const defaultFlushEveryMs = 250;
const rowsPerBatch = 4_000;
/** While one write hangs, this many may wait in memory; more go to disk. */
const maxBuffered = 40_000;
const replayEveryMs = 1_000;
const retentionEveryMs = secondsToMs(600);
const retentionLock = 7_583_003;
/** A batch id must outlive its file in the spool. */
const keptBatchIds = days(30);

/**
 * One small record per request, written in batches beside the requests and never in their way. When PostgreSQL is away
 * batches go to the spool, and from there into the table, each exactly once.
 */
export class RequestRecorder implements AsyncDisposable {
  private buffer: RequestRecord[] = [];
  private writing: Promise<void> | undefined;
  private readonly partitions: RequestPartitions;
  private readonly timer: NodeJS.Timeout;
  private readonly retentionTimer: NodeJS.Timeout;
  private forgetting = Promise.resolve();
  private isDatabaseAway = false;
  private replayAfterMs = 0;

  constructor(private readonly settings: RequestRecorderSettings) {
    const { database, log, retentionSeconds = defaultRequestRetentionSeconds } = settings;
    this.partitions = new RequestPartitions({ database, log, retentionSeconds });
    this.timer = setInterval(() => this.writeSoon(), settings.flushEveryMs ?? defaultFlushEveryMs);
    this.retentionTimer = setInterval(() => void this.forgetOld(), retentionEveryMs);
    this.timer.unref();
    this.retentionTimer.unref();
    void this.forgetOld();
  }

  get bufferedRecords(): number {
    return this.buffer.length;
  }

  record(record: RequestRecord): void {
    this.buffer.push(record);
    if (this.buffer.length >= rowsPerBatch) this.writeSoon();
  }

  /** Everything recorded so far is in the table or on disk when it resolves. */
  async flush(): Promise<void> {
    do {
      this.writeSoon();
      await this.writing;
    } while (this.buffer.length > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    clearInterval(this.retentionTimer);
    await this.flush();
    await this.forgetting;
  }

  /** Makes room for the days to come, and drops what is older than the retention. */
  forgetOld(): Promise<void> {
    this.forgetting = this.forgetting.then(() => this.keepTables());
    return this.forgetting;
  }

  private async keepTables(): Promise<void> {
    await this.partitions.keep();
    await deleteInPortions(this.settings, {
      lock: retentionLock,
      statement: `DELETE FROM spooled_batches WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM spooled_batches WHERE at < now() - interval '1 second' * ${keptBatchIds} LIMIT $1))`,
    });
  }

  private writeSoon(): void {
    this.writing ??= this.writeAll().finally(() => (this.writing = undefined));
  }

  // What arrives during a write waits for the next tick of the timer: many small batches cost far more than few large ones.
  private async writeAll(): Promise<void> {
    do {
      const records = this.buffer.splice(0, rowsPerBatch);
      if (records.length === 0) break;
      const batch = { id: randomUUID(), records };
      if (this.isDatabaseAway || this.buffer.length > maxBuffered || !(await this.store(batch)))
        await this.settings.spool.keep(batch);
    } while (this.buffer.length >= rowsPerBatch);
    await this.replay();
  }

  private async replay(): Promise<void> {
    if (performance.now() < this.replayAfterMs) return;
    for (;;) {
      const batch = await this.settings.spool.oldest();
      if (batch === undefined) {
        this.isDatabaseAway = false;
        return;
      }
      if (!(await this.store(batch, true))) {
        this.replayAfterMs = performance.now() + replayEveryMs;
        return;
      }
      // New records go before the old ones, so that a long replay does not fill the memory.
      if (this.buffer.length >= rowsPerBatch) return;
    }
  }

  /** @returns whether the batch is done with */
  private async store(batch: RecordBatch, isSpooled = false): Promise<boolean> {
    try {
      await this.settings.database.run((tx) => insertBatch(tx, batch));
    } catch (error) {
      if (isSpooled && isHopeless(error)) {
        await this.settings.spool.setAside(error);
        return true;
      }
      if (!this.isDatabaseAway)
        this.settings.log.warn({ err: error }, 'request records cannot be written; they go to the spool');
      this.isDatabaseAway = true;
      return false;
    }
    if (isSpooled) await this.settings.spool.done();
    if (this.isDatabaseAway) this.settings.log.info('request records are written again');
    this.isDatabaseAway = false;
    return true;
  }
}

// SQLSTATE classes of data and of schema: the same batch would be refused again, however often it is tried.
function isHopeless(error: unknown): boolean {
  if (error instanceof UnwritableRecord) return true;
  const { code, driverError } = error as { code?: unknown; driverError?: unknown };
  if (typeof code === 'string' && /^(22|23|42)...$/.test(code)) return true;
  return driverError !== undefined && driverError !== error && isHopeless(driverError);
}
