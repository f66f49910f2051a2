import type { Database, Tx } from '#libs/store';
import { setTimeout as pause } from 'node:timers/promises';

/** A committed transaction that changed budgets, as PostgreSQL numbers it. */
export type BudgetChangeId = string;

/** A process says that it lives every second; one that has not for so long is not waited for. */
const liveWithinSeconds = 3;
const lookEveryMs = 10;
const defaultPatienceMs = 2_000;

/** Of which state of the budgets each process knows. */
export class BudgetReaders {
  constructor(
    private readonly database: Pick<Database, 'query'>,
    private readonly patienceMs = defaultPatienceMs,
  ) {}

  /** Everything that is read from now on has at least what is committed in this snapshot. */
  async snapshot(): Promise<string> {
    const [row] = await this.database.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
    return row!.snapshot;
  }

  async say(processId: string, snapshot: string): Promise<void> {
    await this.database.query('UPDATE budget_processes SET read_as_of = $2::pg_snapshot WHERE id = $1', [
      processId,
      snapshot,
    ]);
  }

  /** Resolves when every process that lives has read the change, and at the latest after the patience. @returns whether all have */
  async untilAllKnow(change: BudgetChangeId): Promise<boolean> {
    const endsAtMs = performance.now() + this.patienceMs;
    for (;;) {
      // A process of an earlier release says nothing of this.
      const behind = await this.database.query(
        `SELECT 1 FROM budget_processes
          WHERE state = 'live' AND seen_at > clock_timestamp() - make_interval(secs => $2)
            AND read_as_of IS NOT NULL AND NOT pg_visible_in_snapshot($1::xid8, read_as_of) LIMIT 1`,
        [change, liveWithinSeconds],
      );
      if (behind.length === 0) return true;
      if (performance.now() > endsAtMs) return false;
      await pause(lookEveryMs);
    }
  }
}

/** Names the transaction that this is called in. */
export async function changeIdIn(tx: Tx): Promise<BudgetChangeId> {
  const [row] = (await tx.query('SELECT pg_current_xact_id()::text AS id')) as [{ id: string }];
  return row.id;
}
