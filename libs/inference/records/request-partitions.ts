import { days } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { tryLock, type Database, type Tx } from '#libs/store';
import { deleteInPortions } from './retention.js';

export interface RequestPartitionsSettings {
  database: Database;
  log: Logger;
  retentionSeconds: number;
}

export interface PartitionChanges {
  made: string[];
  dropped: string[];
}

const lock = 7_583_014;
/** Made ahead, so that an API that is away for days still finds a place for its records. */
const daysAhead = 3;
/** Whoever reads the records must not wait behind the janitor, who comes again. */
const lockTimeoutMs = 2_000;

/**
 * Keeps a partition of `request_records` for each day (UTC) to come and drops those whose last row is past the retention:
 * a file goes, however many rows it had. What fits in no day lands in `request_records_rest` and is lost never.
 */
export class RequestPartitions {
  constructor(private readonly settings: RequestPartitionsSettings) {}

  /** One round. A failure is logged, and the next round tries again. */
  async keep(): Promise<PartitionChanges> {
    const changes: PartitionChanges = { made: [], dropped: [] };
    const { database, log } = this.settings;
    try {
      for (let ahead = 0; ahead <= daysAhead; ahead += 1) {
        const name = await database.run((tx) => whenFree(tx, () => makeDay(tx, ahead)));
        if (name !== undefined) changes.made.push(name);
      }
      changes.dropped = (await database.run((tx) => whenFree(tx, () => this.dropOld(tx)))) ?? [];
      if (changes.dropped.length > 0) log.info({ partitions: changes.dropped }, 'days of request records are dropped');
    } catch (err) {
      log.warn({ err }, 'the partitions of request records could not be kept; the next round tries again');
    }
    await this.deleteOld();
    return changes;
  }

  private async dropOld(tx: Tx): Promise<string[]> {
    const [done] = (await tx.query(`SELECT drop_request_days(interval '1 second' * $1) AS dropped`, [
      this.settings.retentionSeconds,
    ])) as { dropped: string[] }[];
    return done!.dropped;
  }

  /** From the partitions that hold many days: the table of before, and what fitted nowhere. */
  private async deleteOld(): Promise<void> {
    const mixed = await this.settings.database
      .query<{ name: string }>(`SELECT name FROM request_partitions WHERE name !~ '_d[0-9]{8}$'`)
      .catch(() => []);
    for (const { name } of mixed) {
      await deleteInPortions(this.settings, {
        lock,
        statement: `DELETE FROM "${name}" WHERE ctid = ANY(ARRAY(SELECT ctid FROM "${name}"
          WHERE at < now() - interval '1 second' * ${Math.ceil(this.settings.retentionSeconds)} LIMIT $1))`,
      });
    }
  }
}

/** One process at a time; the others have nothing to do. */
async function whenFree<T>(tx: Tx, work: () => Promise<T>): Promise<T | undefined> {
  if (!(await tryLock(tx, lock))) return undefined;
  await tx.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
  return work();
}

/** @returns its name, or undefined when the day has a place already */
async function makeDay(tx: Tx, ahead: number): Promise<string | undefined> {
  const [made] = (await tx.query('SELECT make_request_day($1) AS name', [ahead])) as { name: string | null }[];
  return made?.name ?? undefined;
}

export const defaultRequestRetentionSeconds = days(30);
