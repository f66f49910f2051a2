import { hours, secondsToMs, systemClock, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { tryLock, type Database, type Tx } from '#libs/store';
import { appendAudit } from './audit-trail.js';
import type { AuditKeys } from './audit-keys.js';
import { chainEnd } from './chain-block.js';
import { ChainCheck } from './chain-check.js';
import { chainParts, checkPart } from './chain-reader.js';
import { chainStart } from './chain-link.js';
import { signedTombstone } from './checkpoint.js';

export interface AuditPurgeSettings {
  database: Database;
  keys: AuditKeys;
  log: Logger;
  clock?: Clock;
  everySeconds?: number;
  rowsPerTombstone?: number;
}

interface Run {
  first: string;
  last: string;
  oldestAt: string;
  newestAt: string;
}

const defaultEverySeconds = hours(6);
const defaultRowsPerTombstone = 20_000;
const purgeLock = 7_583_015;

/** Lets rows go whose time is over and which no hold covers, and leaves a signed tombstone in their place. */
export class AuditPurge implements AsyncDisposable {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<unknown> = Promise.resolve();

  constructor(private readonly settings: AuditPurgeSettings) {}

  start(): void {
    const run = (): void => {
      this.working = this.purge().catch((err: unknown) =>
        this.settings.log.error({ err }, 'old audit rows could not be purged; it is tried again later'),
      );
    };
    this.timer = setInterval(run, secondsToMs(this.settings.everySeconds ?? defaultEverySeconds));
    this.timer.unref();
    run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.working;
  }

  /** @returns how many rows went */
  async purge(): Promise<number> {
    let gone = 0;
    for (;;) {
      const removed = await this.purgeRun();
      if (removed === 0) return gone;
      gone += removed;
    }
  }

  private async purgeRun(): Promise<number> {
    const { database, keys, clock = systemClock, log } = this.settings;
    return database.run(async (tx) => {
      const run = (await tryLock(tx, purgeLock)) ? await this.firstRun(tx) : undefined;
      if (run === undefined) return 0;
      const [firstPosition, lastPosition] = [Number(run.first), Number(run.last)];
      const previousHash = await hashBefore(tx, firstPosition);
      await this.refuseBent(firstPosition, lastPosition, previousHash);
      const stone = signedTombstone(keys, {
        firstPosition,
        lastPosition,
        previousHash,
        lastHash: await hashOfRow(tx, lastPosition),
        oldestAt: run.oldestAt,
        newestAt: run.newestAt,
        purgedAt: clock.now().toISOString(),
        actor: 'system',
      });
      await tx.query('INSERT INTO audit_tombstones (first_position, last_position, body) VALUES ($1, $2, $3)', [
        firstPosition,
        lastPosition,
        stone,
      ]);
      // The database looks for itself whether they may go.
      const [answer] = (await tx.query('SELECT purge_audit($1, $2) AS removed', [firstPosition, lastPosition])) as {
        removed: string;
      }[];
      const removed = Number(answer?.removed ?? 0);
      await appendAudit(tx, {
        actor: 'system',
        action: 'audit.purge',
        resource: `audit:${firstPosition}-${lastPosition}`,
        outcome: 'done',
        detail: { rows: removed, lastHash: stone.lastHash },
      });
      log.info({ firstPosition, lastPosition, rows: removed }, 'audit rows were purged after their time');
      return removed;
    });
  }

  /**
   * A row that was made older than it is would be gone for good, under a tombstone that says that all was well.
   * Rows of a master key that nobody has any more are held against their hashes alone.
   * @throws Error naming the first row that is not what was linked
   */
  private async refuseBent(firstPosition: number, lastPosition: number, previousHash: string): Promise<void> {
    const { database, keys } = this.settings;
    const from = { position: firstPosition - 1, hash: Buffer.from(previousHash, 'hex') };
    const check = new ChainCheck({ publicKeys: new Map(), keys, from });
    for await (const part of chainParts(database, firstPosition - 1, lastPosition)) checkPart(check, part);
    const bent = check.findings.find(({ kind }) => kind !== 'key-unknown');
    if (bent !== undefined) throw new Error(`nothing is purged beside what was bent: ${bent.problem}`);
  }

  /** The first rows beside each other that may all go. The last row of the chain stays, so that the chain has an end. */
  private async firstRun(tx: Tx): Promise<Run | undefined> {
    const [run] = (await tx.query(
      `WITH old AS MATERIALIZED (
         SELECT e.seq, e.at FROM audit_events e
         WHERE e.at < now() - make_interval(days => (SELECT days FROM audit_retention)) AND NOT audit_is_held(e)
         ORDER BY e.seq LIMIT $1),
       placed AS (
         SELECT b.first_position + l.at - 1 AS position, old.at
         FROM audit_blocks b CROSS JOIN LATERAL unnest(b.seqs) WITH ORDINALITY AS l (seq, at) JOIN old ON old.seq = l.seq
         WHERE b.max_seq >= (SELECT min(seq) FROM old) AND b.min_seq <= (SELECT max(seq) FROM old)),
       runs AS (
         SELECT position, at, position - row_number() OVER (ORDER BY position) AS run FROM placed
         WHERE position < (SELECT last_position FROM audit_blocks ORDER BY first_position DESC LIMIT 1))
       SELECT min(position)::text AS first, max(position)::text AS last,
         to_char(min(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "oldestAt",
         to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "newestAt"
       FROM runs GROUP BY run ORDER BY min(position) LIMIT 1`,
      [this.settings.rowsPerTombstone ?? defaultRowsPerTombstone],
    )) as Run[];
    return run;
  }
}

async function hashBefore(tx: Tx, position: number): Promise<string> {
  if (position === 1) return chainStart.hash.toString('hex');
  const [stone] = (await tx.query(`SELECT body->>'lastHash' AS hash FROM audit_tombstones WHERE last_position = $1`, [
    position - 1,
  ])) as { hash: string }[];
  return stone?.hash ?? hashOfRow(tx, position - 1);
}

async function hashOfRow(tx: Tx, position: number): Promise<string> {
  const { remembered } = await chainEnd(tx, position);
  if (remembered === undefined)
    throw new Error(`row ${position} of the audit chain is missing: nothing is purged beside it`);
  return remembered.toString('hex');
}
