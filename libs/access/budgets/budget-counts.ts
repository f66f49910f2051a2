import type { Database } from '#libs/store';
import type { Budget } from './budget.js';
import { periodBounds } from './budget.js';

export interface BudgetShare {
  id: string;
  name: string;
  limit: number;
  spent: number;
  held: number;
}

/** What metrics show of budgets. */
export class BudgetCounts {
  /** Requests that a budget refused since the start, by the budget's id. */
  readonly refusals = new Map<string, { name: string; count: number }>();
  /** Requests that could not be checked, as the database was away. */
  unavailable = 0;
  /** As of the last look at the database. */
  shares: readonly BudgetShare[] = [];

  refused({ id, name }: Budget): void {
    const known = this.refusals.get(id);
    if (known === undefined) this.refusals.set(id, { name, count: 1 });
    else known.count += 1;
  }

  async read(database: Pick<Database, 'query'>): Promise<void> {
    const { startsAt } = periodBounds('b', 'clock_timestamp()');
    const rows = await database.query<Record<'id' | 'name' | 'limit' | 'spent' | 'held', string>>(
      `SELECT b.id, b.name, b.limit_units AS limit, coalesce(p.spent, 0) AS spent, coalesce(p.held, 0) AS held
         FROM budgets b LEFT JOIN budget_periods p ON p.budget_id = b.id AND p.starts_at = ${startsAt}
        WHERE b.ended_at IS NULL ORDER BY b.id LIMIT 1000`,
    );
    this.shares = rows.map(({ id, name, limit, spent, held }) => ({
      id,
      name,
      limit: Number(limit),
      spent: Number(spent),
      held: Number(held),
    }));
  }
}
