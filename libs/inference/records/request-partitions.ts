import { days } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Database, Tx } from '#libs/store';
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
    const old = (await tx.query(
      `SELECT name FROM (${partitions}) AS known WHERE ends_at <= now() - interval '1 second' * $1`,
      [this.settings.retentionSeconds],
    )) as { name: string }[];
    for (const { name } of old) await tx.query(`DROP TABLE "${name}"`);
    return old.map(({ name }) => name);
  }

  /** From the partitions that hold many days: the table of before, and what fitted nowhere. */
  private async deleteOld(): Promise<void> {
    const mixed = await this.settings.database
      .query<{ name: string }>(`SELECT name FROM (${partitions}) AS known WHERE name !~ '_d[0-9]{8}$'`)
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

const partitions = `SELECT c.relname AS name,
    (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([^'']+)''\\)'))[1]::timestamptz AS ends_at
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'request_records'::regclass`;

/** One process at a time; the others have nothing to do. */
async function whenFree<T>(tx: Tx, work: () => Promise<T>): Promise<T | undefined> {
  const [held] = (await tx.query('SELECT pg_try_advisory_xact_lock($1) AS held', [lock])) as { held: boolean }[];
  if (held?.held !== true) return undefined;
  await tx.query(`SET LOCAL lock_timeout = ${lockTimeoutMs}`);
  return work();
}

/** @returns its name, or undefined when the day has a place already */
async function makeDay(tx: Tx, ahead: number): Promise<string | undefined> {
  const [row] = (await tx.query(
    `SELECT to_char(day, 'YYYYMMDD') AS digits, to_char(day, 'YYYY-MM-DD') AS day,
            to_char(day + interval '1 day', 'YYYY-MM-DD') AS next,
            EXISTS (SELECT FROM (${partitions}) AS known WHERE ends_at > day AT TIME ZONE 'UTC'
                    AND (name !~ '_d[0-9]{8}$' OR name = 'request_records_d' || to_char(day, 'YYYYMMDD'))) AS "isThere"
     FROM (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day' * $1 AS day) AS asked`,
    [ahead],
  )) as { digits: string; day: string; next: string; isThere: boolean }[];
  const { digits, day, next, isThere } = row!;
  if (isThere) return undefined;
  const name = `request_records_d${digits}`;
  const [from, to] = [`'${day} 00:00:00+00'`, `'${next} 00:00:00+00'`];
  await tx.query(`CREATE TABLE ${name} (LIKE request_records)`);
  // What came before its day had a place would keep that place from being made.
  await tx.query(`WITH early AS (DELETE FROM request_records_rest WHERE at >= ${from} AND at < ${to} RETURNING *)
    INSERT INTO ${name} SELECT * FROM early`);
  // Beside running reads and writes, which CREATE TABLE ... PARTITION OF would stop.
  await tx.query(`ALTER TABLE request_records ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${to})`);
  return name;
}

export const defaultRequestRetentionSeconds = days(30);
