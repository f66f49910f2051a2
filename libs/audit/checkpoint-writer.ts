import { minutes, secondsToMs, systemClock, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database } from '#libs/store';
import { appendAudit } from './audit-trail.js';
import type { AuditKeys } from './audit-keys.js';
import { headOf } from './chain-block.js';
import type { Chainer } from './chainer.js';
import { signedCheckpoint, type Checkpoint } from './checkpoint.js';
import type { CheckpointPlace } from './ports/checkpoint-place.js';

export interface CheckpointWriterSettings {
  database: Database;
  keys: AuditKeys;
  chainer: Pick<Chainer, 'flush'>;
  place: CheckpointPlace;
  log: Logger;
  clock?: Clock;
  everySeconds?: number;
  retrySeconds?: number;
}

const defaultEverySeconds = minutes(1);
const defaultRetrySeconds = 5;
const checkpointLock = 7_583_013;

/** Says at fixed times, signed and in a second place, how long the chain is and how it ends. */
export class CheckpointWriter implements AsyncDisposable {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<unknown> = Promise.resolve();
  private isClosed = false;
  private isFailing = false;
  private lastAt: Date | undefined;
  failures = 0;

  constructor(private readonly settings: CheckpointWriterSettings) {}

  /** When the last checkpoint reached its second place, as far as this process knows. */
  get lastWrittenAt(): Date | undefined {
    return this.lastAt;
  }

  start(): void {
    this.later(0);
  }

  /** Writes a checkpoint now. @returns it, or undefined where another process has written one just now */
  async write({ isForced = true } = {}): Promise<Checkpoint | undefined> {
    const work = this.working.then(() => this.writeNow(isForced));
    this.working = work.catch(() => undefined);
    return work;
  }

  /** The last thing that a process says: what came after the checkpoint before is vouched for as well. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.write().catch((err: unknown) => this.alarm(err));
  }

  private later(seconds: number): void {
    if (this.isClosed) return;
    this.timer = setTimeout(() => {
      this.write({ isForced: false }).then(
        () => this.later(this.settings.everySeconds ?? defaultEverySeconds),
        (err: unknown) => {
          this.alarm(err);
          this.later(this.settings.retrySeconds ?? defaultRetrySeconds);
        },
      );
    }, secondsToMs(seconds));
    this.timer.unref();
  }

  private async writeNow(isForced: boolean): Promise<Checkpoint | undefined> {
    const { database, keys, chainer, place, log, clock = systemClock } = this.settings;
    await chainer.flush();
    const checkpoint = await database.run(async (tx) => {
      // Several processes serve one database; one of them is enough for a minute.
      await tx.query('SELECT pg_advisory_xact_lock($1)', [checkpointLock]);
      const recent: unknown[] = await tx.query(
        `SELECT 1 FROM audit_checkpoints WHERE at > now() - make_interval(secs => $1) AND at <= now() LIMIT 1`,
        [(this.settings.everySeconds ?? defaultEverySeconds) * 0.9],
      );
      if (!isForced && !this.isFailing && recent.length > 0) return undefined;
      const made = signedCheckpoint(keys, await headOf(tx), clock.now());
      // First the second place: what the database says of itself alone is no proof.
      await place.put(made);
      await tx.query('INSERT INTO audit_checkpoints (count, body) VALUES ($1, $2)', [made.count, made]);
      return made;
    });
    if (checkpoint === undefined) {
      this.lastAt ??= clock.now();
      return undefined;
    }
    this.lastAt = clock.now();
    if (this.isFailing) log.info({ place: place.name }, 'audit checkpoints are written again');
    this.isFailing = false;
    return checkpoint;
  }

  private alarm(err: unknown): void {
    const { place, log } = this.settings;
    this.failures += 1;
    log.error({ err, place: place.name, failures: this.failures }, 'ALARM: the audit checkpoint could not be written');
    if (this.isFailing) return;
    this.isFailing = true;
    // The trail itself says since when nobody vouches for it.
    void this.recordFailure();
  }

  private async recordFailure(): Promise<void> {
    const resource = 'audit:checkpoints';
    try {
      await this.settings.database.run((tx) =>
        appendAudit(tx, { actor: 'system', action: 'audit.checkpoint', resource, outcome: 'failed' }),
      );
    } catch {
      // Where the database is what is away, the log alone says so.
    }
  }
}
