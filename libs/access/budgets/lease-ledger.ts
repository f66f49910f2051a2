import { grantOf } from '#libs/decisions';
import type { Database, Tx } from '#libs/store';
import { periodBounds } from './budget.js';
import { lockPeriods, putInStateLive, warnOfThresholds } from './lease-ledger-periods.js';
import type { Settlement } from './settlement.js';
import { addUsage } from './usage-days.js';

/** What a process asks of a hard budget. */
export interface GrantWish {
  processId: string;
  budgetId: string;
  wishes: readonly number[];
  perSecond: number;
  /** The lease that the process has: what it knows to be granted, and how much of it is free. */
  lease: { startsAtMs: number; granted: number; spare: number } | undefined;
}

export interface Grant {
  startsAtMs: number;
  /** Infinity: never. */
  endsAtMs: number;
  nowMs: number;
  /** Everything that was ever granted to the process in this period. */
  leaseGranted: number;
  granted: readonly boolean[];
  isNearEnd: boolean;
  /** Before this grant. */
  left: number;
  held: number;
  limit: number;
}

interface PlaceRow {
  limit_units: string;
  starts_at: Date;
  ends_at: Date | number;
  now: Date;
}

/**
 * The account of every budget in PostgreSQL. What a process is granted has left the budget: it is counted as held until the
 * process says what it spent of it and gives back the rest. Every change locks the process's row first and its periods in
 * order after it, so two of them never wait for each other in a circle.
 */
export class LeaseLedger {
  constructor(private readonly database: Database) {}

  async register(processId: string): Promise<number> {
    const [row] = await this.database.query<{ now: Date }>(
      `INSERT INTO budget_processes (id, state, seen_at) VALUES ($1, 'live', clock_timestamp())
       ON CONFLICT (id) DO UPDATE SET seen_at = EXCLUDED.seen_at RETURNING clock_timestamp() AS now`,
      [processId],
    );
    return row!.now.getTime();
  }

  /** @returns undefined when there is no such budget (any more): then nothing is to be held */
  async grant(wish: GrantWish): Promise<Grant | undefined> {
    return this.database.run(async (tx) => {
      await putInStateLive(tx, wish.processId);
      const place = await placeOf(tx, wish.budgetId);
      if (place === undefined) return undefined;
      if (wish.lease !== undefined && place.starts_at.getTime() < wish.lease.startsAtMs)
        throw new Error('the clock of the database went back into a period that is over');
      const key = [wish.budgetId, place.starts_at];
      const [period] = (await tx.query(
        `INSERT INTO budget_periods AS p (budget_id, starts_at, ends_at) VALUES ($1, $2, $3)
         ON CONFLICT (budget_id, starts_at) DO UPDATE SET ends_at = EXCLUDED.ends_at RETURNING p.spent, p.held`,
        [...key, instantText(place.ends_at)],
      )) as [{ spent: string; held: string }];
      const [lease] = (await tx.query(
        'SELECT granted FROM budget_leases WHERE process_id = $1 AND budget_id = $2 AND starts_at = $3',
        [wish.processId, ...key],
      )) as { granted: string }[];
      const limit = Number(place.limit_units);
      const held = Number(period.held);
      const left = limit - Number(period.spent) - held;
      const before = Number(lease?.granted ?? 0);
      const startsAtMs = place.starts_at.getTime();
      const known = wish.lease?.startsAtMs === startsAtMs ? wish.lease : { granted: 0, spare: 0 };
      // A grant whose answer was lost on the way is in the row, and free to be used.
      const spare = known.spare + before - known.granted;
      const verdict = grantOf({ limit, left, spare, wishes: wish.wishes, perSecond: wish.perSecond });
      if (verdict.slice > 0) await addToLease(tx, wish.processId, key, verdict.slice);
      return {
        startsAtMs,
        endsAtMs: place.ends_at instanceof Date ? place.ends_at.getTime() : Infinity,
        nowMs: place.now.getTime(),
        leaseGranted: before + verdict.slice,
        granted: verdict.granted,
        isNearEnd: verdict.isNearEnd,
        left,
        held,
        limit,
      };
    });
  }

  /** Writes a settlement, once however often it is sent. @returns the time of the database */
  async settle(settlement: Settlement): Promise<number> {
    return this.database.run(async (tx) => {
      const { processId, sequence, leases, soft, usage } = settlement;
      const { lastSequence, nowMs } = await putInStateLive(tx, processId);
      if (sequence <= lastSequence) return nowMs;
      if (sequence !== lastSequence + 1) throw new Error(`settlement ${sequence} came after ${lastSequence}`);
      const touched = await this.addToPeriods(tx, processId, leases, soft);
      await warnOfThresholds(tx, touched);
      await addUsage(tx, usage);
      await tx.query('UPDATE budget_processes SET last_sequence = $2 WHERE id = $1', [processId, sequence]);
      return nowMs;
    });
  }

  /** The process has settled everything and will not come back: what is left of its leases is free. */
  async end(processId: string): Promise<void> {
    await this.database.run(async (tx) => {
      await putInStateLive(tx, processId);
      await lockPeriods(tx, processId);
      await tx.query(
        `UPDATE budget_periods p SET held = p.held - (l.granted - l.settled - l.returned)
           FROM budget_leases l WHERE l.process_id = $1 AND (p.budget_id, p.starts_at) = (l.budget_id, l.starts_at)`,
        [processId],
      );
      await tx.query('DELETE FROM budget_leases WHERE process_id = $1', [processId]);
      await tx.query(`UPDATE budget_processes SET state = 'ended' WHERE id = $1`, [processId]);
    });
  }

  private async addToPeriods(
    tx: Tx,
    processId: string,
    leases: Settlement['leases'],
    soft: Settlement['soft'],
  ): Promise<{ budgetId: string; startsAt: Date }[]> {
    if (leases.length === 0 && soft.length === 0) return [];
    const { startsAt, endsAt } = periodBounds('b', 'to_timestamp(r."atMs" / 1000.0)');
    const spending = `
      SELECT "budgetId" AS budget_id, to_timestamp("startsAtMs" / 1000.0) AS starts_at, settled AS spent,
             -(settled + returned) AS held, overrun, NULL::timestamptz AS ends_at
        FROM jsonb_to_recordset($1::jsonb)
             AS r("budgetId" uuid, "startsAtMs" bigint, settled bigint, returned bigint, overrun bigint)
      UNION ALL
      SELECT b.id, ${startsAt}, r.amount, 0, 0, ${endsAt}
        FROM jsonb_to_recordset($2::jsonb) AS r("budgetId" uuid, "atMs" bigint, amount bigint) JOIN budgets b ON b.id = r."budgetId"`;
    const parameters = [JSON.stringify(leases), JSON.stringify(soft)];
    await tx.query(
      `INSERT INTO budget_periods (budget_id, starts_at, ends_at)
       SELECT DISTINCT budget_id, starts_at, ends_at FROM (${spending}) s WHERE ends_at IS NOT NULL
        ORDER BY budget_id, starts_at ON CONFLICT DO NOTHING`,
      parameters,
    );
    await tx.query(
      `SELECT 1 FROM budget_periods WHERE (budget_id, starts_at) IN (SELECT budget_id, starts_at FROM (${spending}) s)
        ORDER BY budget_id, starts_at FOR UPDATE`,
      parameters,
    );
    const touched = (await tx.query(
      `WITH sums AS (
         SELECT budget_id, starts_at, sum(spent)::bigint AS spent, sum(held)::bigint AS held, sum(overrun)::bigint AS overrun
           FROM (${spending}) s GROUP BY budget_id, starts_at),
       changed AS (
         UPDATE budget_periods p SET spent = p.spent + s.spent, held = p.held + s.held, overrun = p.overrun + s.overrun
           FROM sums s WHERE (p.budget_id, p.starts_at) = (s.budget_id, s.starts_at) RETURNING p.budget_id, p.starts_at)
       SELECT budget_id AS "budgetId", starts_at AS "startsAt" FROM changed`,
      parameters,
    )) as { budgetId: string; startsAt: Date }[];
    await tx.query(
      `UPDATE budget_leases l SET settled = l.settled + r.settled, returned = l.returned + r.returned
         FROM jsonb_to_recordset($1::jsonb) AS r("budgetId" uuid, "startsAtMs" bigint, settled bigint, returned bigint)
        WHERE l.process_id = $2 AND l.budget_id = r."budgetId" AND l.starts_at = to_timestamp(r."startsAtMs" / 1000.0)`,
      [parameters[0], processId],
    );
    return touched;
  }
}

async function placeOf(tx: Tx, budgetId: string): Promise<PlaceRow | undefined> {
  const { startsAt, endsAt } = periodBounds('b', 'c.now');
  const rows = (await tx.query(
    `SELECT b.limit_units, ${startsAt} AS starts_at, ${endsAt} AS ends_at, c.now
       FROM budgets b, (SELECT clock_timestamp() AS now) c WHERE b.id = $1 AND b.ended_at IS NULL`,
    [budgetId],
  )) as PlaceRow[];
  return rows[0];
}

async function addToLease(tx: Tx, processId: string, key: unknown[], slice: number): Promise<void> {
  await tx.query('UPDATE budget_periods SET held = held + $3 WHERE budget_id = $1 AND starts_at = $2', [...key, slice]);
  await tx.query(
    `INSERT INTO budget_leases AS l (process_id, budget_id, starts_at, granted) VALUES ($4, $1, $2, $3)
     ON CONFLICT (process_id, budget_id, starts_at) DO UPDATE SET granted = l.granted + EXCLUDED.granted`,
    [...key, slice, processId],
  );
}

const instantText = (instant: Date | number): Date | string => (instant instanceof Date ? instant : 'infinity');
