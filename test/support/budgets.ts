import type { Database } from '#libs/store';
import { randomUUID } from 'node:crypto';

export const defaultTenantId = '00000000-0000-4000-8000-000000000001';

export interface WantedBudget {
  limit: number;
  unit?: 'money' | 'tokens';
  subject?: { kind: 'key' | 'project' | 'tenant'; id: string };
  period?: 'day' | 'week' | 'month' | 'total';
  timeZone?: string;
  isHard?: boolean;
  thresholds?: number[];
}

/** A budget as a row. @returns its id */
export async function madeBudget(database: Database, wanted: WantedBudget): Promise<string> {
  const { unit = 'tokens', period = 'total', timeZone = 'UTC', isHard = true, thresholds = [] } = wanted;
  const { kind, id } = wanted.subject ?? { kind: 'key', id: randomUUID() };
  const budgetId = randomUUID();
  await database.query(
    `INSERT INTO budgets (id, name, tenant_id, subject_kind, subject_id, unit, limit_units, period, time_zone, is_hard, thresholds,
       created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now(), 'system')`,
    [
      budgetId,
      `b-${budgetId.slice(0, 8)}`,
      defaultTenantId,
      kind,
      id,
      unit,
      wanted.limit,
      period,
      timeZone,
      isHard,
      thresholds,
    ],
  );
  return budgetId;
}

export interface PeriodSums {
  spent: number;
  held: number;
  writtenOff: number;
  overrun: number;
}

/** What is written of a budget's period; of its only one when no start is given. */
export async function periodOf(database: Database, budgetId: string, startsAt?: Date): Promise<PeriodSums> {
  const rows = await database.query<Record<string, string>>(
    `SELECT spent, held, written_off, overrun FROM budget_periods
      WHERE budget_id = $1 AND ($2::timestamptz IS NULL OR starts_at = $2)`,
    [budgetId, startsAt ?? null],
  );
  if (rows.length > 1) throw new Error(`budget ${budgetId} has ${rows.length} periods`);
  const [row] = rows;
  return {
    spent: Number(row?.['spent'] ?? 0),
    held: Number(row?.['held'] ?? 0),
    writtenOff: Number(row?.['written_off'] ?? 0),
    overrun: Number(row?.['overrun'] ?? 0),
  };
}
