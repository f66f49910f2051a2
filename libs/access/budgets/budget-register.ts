import { randomBytes, randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import type { SecretSeal } from '../secret-seal.js';
import { changeIdIn, type BudgetChangeId } from './budget-readers.js';
import {
  budgetColumns,
  budgetOf,
  periodBounds,
  type Budget,
  type BudgetRow,
  type BudgetPeriod,
  type BudgetUnit,
  type SubjectKind,
} from './budget.js';

/** How a budget stands in its current period. */
export interface BudgetState {
  periodStartsAt: Date | null;
  periodEndsAt: Date | null;
  spent: number;
  held: number;
  left: number;
  writtenOff: number;
  overrun: number;
}

export type BudgetView = Budget & { state: BudgetState };

export interface NewBudget {
  name: string;
  subject: { kind: SubjectKind; id: string };
  unit: BudgetUnit;
  limit: number;
  period: BudgetPeriod;
  timeZone: string;
  isHard: boolean;
  thresholds: readonly number[];
  webhookUrl?: string | undefined;
}

export interface BudgetChange {
  name?: string | undefined;
  limit?: number | undefined;
  isHard?: boolean | undefined;
  thresholds?: readonly number[] | undefined;
}

/** Who asks, and how far the permit reaches: over all tenants, or over one. */
export interface BudgetActor {
  actor: string;
  requestId: string;
  /** Left out: all. */
  tenantId: string | undefined;
}

/** The budgets as stored. Each change and its audit row commit together; it is answered when every process goes by it. */
export class BudgetRegister {
  constructor(
    private readonly database: Database,
    private readonly seal: SecretSeal,
    private readonly afterChange: (change: BudgetChangeId) => Promise<void> = async () => undefined,
  ) {}

  /** @returns with the secret of its webhook, for the only time. @throws SLU_REQUEST_INVALID */
  async add(wish: NewBudget, by: BudgetActor): Promise<BudgetView & { webhookSecret?: string }> {
    const id = randomUUID();
    const secret = wish.webhookUrl === undefined ? undefined : `whsec_${randomBytes(24).toString('base64')}`;
    const sealed = secret === undefined ? undefined : this.seal.seal(secret, webhookPurpose(id));
    return this.changed(async (tx) => {
      const tenantId = await tenantOf(tx, wish.subject, by.tenantId);
      await refuseTimeZone(tx, wish.timeZone);
      const thresholds = [...new Set(wish.thresholds)].sort((one, other) => one - other);
      await tx.query(
        `INSERT INTO budgets (id, name, tenant_id, subject_kind, subject_id, unit, limit_units, period, time_zone, is_hard,
           thresholds, webhook_url, webhook_key_id, webhook_secret, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, now(), $15)`,
        [
          id,
          wish.name,
          tenantId,
          wish.subject.kind,
          wish.subject.id,
          wish.unit,
          wish.limit,
          wish.period,
          wish.timeZone,
          wish.isHard,
          thresholds,
          wish.webhookUrl ?? null,
          sealed?.keyId ?? null,
          sealed?.sealed ?? null,
          by.actor,
        ],
      );
      const { kind, id: subjectId } = wish.subject;
      const { unit, limit, period, isHard } = wish;
      await this.prove(tx, 'budget.add', id, by, { subject: `${kind}:${subjectId}`, unit, limit, period, isHard });
      return { ...(await viewIn(tx, id, by.tenantId)), ...(secret !== undefined && { webhookSecret: secret }) };
    });
  }

  /** Those in force, the newest first. */
  async list(tenantId: string | undefined): Promise<BudgetView[]> {
    return this.database.read((tx) => views(tx, 'b.ended_at IS NULL', tenantId));
  }

  /** @throws SLU_BUDGET_UNKNOWN */
  async find(id: string, tenantId: string | undefined): Promise<BudgetView> {
    return this.database.read((tx) => viewIn(tx, id, tenantId));
  }

  /** What is granted already stays granted: a lower limit counts for everything after it. @throws SLU_BUDGET_UNKNOWN, SLU_BUDGET_ENDED */
  async change(id: string, change: BudgetChange, by: BudgetActor): Promise<BudgetView> {
    return this.changed(async (tx) => {
      await lockOwn(tx, id, by.tenantId);
      await tx.query(
        `UPDATE budgets SET name = coalesce($2, name), limit_units = coalesce($3, limit_units),
           is_hard = coalesce($4, is_hard), thresholds = coalesce($5, thresholds) WHERE id = $1`,
        [id, change.name ?? null, change.limit ?? null, change.isHard ?? null, change.thresholds ?? null],
      );
      await this.prove(tx, 'budget.change', id, by, detailOf(change));
      return viewIn(tx, id, by.tenantId);
    });
  }

  /** From then on nothing counts against it. @throws SLU_BUDGET_UNKNOWN, SLU_BUDGET_ENDED */
  async end(id: string, by: BudgetActor): Promise<BudgetView> {
    return this.changed(async (tx) => {
      await lockOwn(tx, id, by.tenantId);
      await tx.query('UPDATE budgets SET ended_at = now() WHERE id = $1', [id]);
      await this.prove(tx, 'budget.end', id, by, {});
      return viewIn(tx, id, by.tenantId);
    });
  }

  private async changed<View extends BudgetView>(work: (tx: Tx) => Promise<View>): Promise<View> {
    let change: BudgetChangeId | undefined;
    // What is answered is what the unit of work returns, and nothing else: then it can be kept with the change.
    const view = await this.database.run(async (tx) => {
      change = await changeIdIn(tx);
      return work(tx);
    });
    await this.afterChange(change!);
    return view;
  }

  private async prove(
    tx: Tx,
    action: string,
    id: string,
    { actor, requestId }: BudgetActor,
    detail: Readonly<Record<string, string | number | boolean>>,
  ): Promise<void> {
    const [row] = (await tx.query('SELECT tenant_id AS "tenantId" FROM budgets WHERE id = $1', [id])) as {
      tenantId: string;
    }[];
    const concerned = { resource: `budget:${id}`, tenantId: row?.tenantId };
    await appendAudit(tx, { actor, action, ...concerned, outcome: 'done', requestId, detail });
  }
}

/** What was changed, for the audit row. */
function detailOf(change: BudgetChange): Record<string, string | number | boolean> {
  const detail: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(change) as [
    string,
    string | number | boolean | readonly number[] | undefined,
  ][])
    if (value !== undefined) detail[name] = typeof value === 'object' ? value.join(',') : value;
  return detail;
}

export const webhookPurpose = (budgetId: string): string[] => ['budget-webhook', budgetId];

/** Whoever reaches over one tenant only sets no budget of the tenant itself: those bound it from outside. */
async function tenantOf(tx: Tx, { kind, id }: NewBudget['subject'], onlyTenantId: string | undefined): Promise<string> {
  const rows = (await tx.query(subjectQueries[kind], [id])) as { tenant_id: string }[];
  const tenantId = rows[0]?.tenant_id;
  const isOwn = onlyTenantId === undefined || (tenantId === onlyTenantId && kind !== 'tenant');
  if (tenantId === undefined || !isOwn)
    throw sluiceError('SLU_REQUEST_INVALID', {
      field: 'subject.id',
      problem: `is no ${kind} that you may set a budget for`,
    });
  return tenantId;
}

const subjectQueries: Record<SubjectKind, string> = {
  // A person's token has the person's id for its key.
  key: 'SELECT tenant_id FROM api_keys WHERE id = $1 UNION ALL SELECT tenant_id FROM people WHERE id = $1',
  project: 'SELECT tenant_id FROM projects WHERE id = $1',
  tenant: 'SELECT id AS tenant_id FROM tenants WHERE id = $1',
};

async function refuseTimeZone(tx: Tx, timeZone: string): Promise<void> {
  const rows = (await tx.query('SELECT 1 FROM pg_timezone_names WHERE name = $1', [timeZone])) as unknown[];
  if (rows.length === 0)
    throw sluiceError('SLU_REQUEST_INVALID', {
      field: 'timeZone',
      problem: 'must be an IANA name, for example Europe/Berlin',
    });
}

async function lockOwn(tx: Tx, id: string, tenantId: string | undefined): Promise<void> {
  const [row] = (await tx.query(
    `SELECT ended_at FROM budgets WHERE id = $1 AND ($2::uuid IS NULL OR (tenant_id = $2 AND subject_kind <> 'tenant')) FOR UPDATE`,
    [id, tenantId ?? null],
  )) as { ended_at: Date | null }[];
  if (row === undefined) throw sluiceError('SLU_BUDGET_UNKNOWN', { id });
  if (row.ended_at !== null) throw sluiceError('SLU_BUDGET_ENDED', { id });
}

async function viewIn(tx: Tx, id: string, tenantId: string | undefined): Promise<BudgetView> {
  const [view] = await views(tx, 'b.id = $2', tenantId, id);
  if (view === undefined) throw sluiceError('SLU_BUDGET_UNKNOWN', { id });
  return view;
}

interface ViewRow extends BudgetRow {
  starts_at: Date;
  ends_at: Date | number;
  spent: string;
  held: string;
  written_off: string;
  overrun: string;
}

async function views(tx: Tx, where: string, tenantId: string | undefined, id?: string): Promise<BudgetView[]> {
  const { startsAt, endsAt } = periodBounds('b', 'now()');
  const rows = (await tx.query(
    `SELECT ${budgetColumns
      .split(',')
      .map((column) => `b.${column.trim()}`)
      .join(', ')},
            s.starts_at, s.ends_at, coalesce(p.spent, 0) AS spent, coalesce(p.held, 0) AS held,
            coalesce(p.written_off, 0) AS written_off, coalesce(p.overrun, 0) AS overrun
       FROM budgets b CROSS JOIN LATERAL (SELECT ${startsAt} AS starts_at, ${endsAt} AS ends_at) s
       LEFT JOIN budget_periods p ON p.budget_id = b.id AND p.starts_at = s.starts_at
      WHERE ${where} AND ($1::uuid IS NULL OR b.tenant_id = $1) ORDER BY b.created_at DESC, b.id`,
    [tenantId ?? null, ...(id === undefined ? [] : [id])],
  )) as ViewRow[];
  return rows.map((row) => ({ ...budgetOf(row), state: stateOf(row) }));
}

function stateOf(row: ViewRow): BudgetState {
  const isTotal = !(row.ends_at instanceof Date);
  const [spent, held] = [Number(row.spent), Number(row.held)];
  return {
    periodStartsAt: isTotal ? null : row.starts_at,
    periodEndsAt: isTotal ? null : (row.ends_at as Date),
    spent,
    held,
    left: Math.max(0, Number(row.limit_units) - spent - held),
    writtenOff: Number(row.written_off),
    overrun: Number(row.overrun),
  };
}
