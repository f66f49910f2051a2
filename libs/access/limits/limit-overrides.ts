import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import type { Allowance, LimitScope } from './allowance.js';
import type { LimitChange, TiersSettings } from './tiers.js';

export interface LimitOverrideView {
  scope: LimitScope;
  subject: string;
  limits: Allowance;
  revision: number;
  changedAt: Date;
  changedBy: string;
}

const columns = `scope, subject, limits, revision, changed_at AS "changedAt", changed_by AS "changedBy"`;
const mostListed = 1_000;
const overrideLock = 7_583_011;

const subjectExists: Readonly<Record<LimitScope, string>> = {
  key: 'SELECT 1 FROM api_keys WHERE id::text = $1',
  project: 'SELECT 1 FROM projects WHERE id::text = $1',
  tenant: 'SELECT 1 FROM tenants WHERE id::text = $1',
  endpoint: 'SELECT 1 FROM endpoints WHERE name = $1',
};

const tenantOfSubject: Readonly<Partial<Record<LimitScope, string>>> = {
  key: 'SELECT tenant_id AS "tenantId" FROM api_keys WHERE id::text = $1',
  project: 'SELECT tenant_id AS "tenantId" FROM projects WHERE id::text = $1',
  tenant: 'SELECT id AS "tenantId" FROM tenants WHERE id::text = $1',
};

/** Limits that are set for one key, project, tenant or endpoint. Each change and its audit row commit together. */
export class LimitOverrides {
  private readonly database: Database;

  constructor(private readonly settings: TiersSettings) {
    this.database = settings.database;
  }

  /** The first thousand, by scope and subject, behind the named one. */
  async list(scope?: LimitScope, after = ''): Promise<LimitOverrideView[]> {
    return this.database.query(
      `SELECT ${columns} FROM limit_overrides WHERE ($1::text IS NULL OR scope = $1) AND subject > $2
        ORDER BY scope, subject LIMIT ${mostListed}`,
      [scope ?? null, after],
    );
  }

  /** @throws SLU_ACCESS_LIMITS_UNKNOWN */
  async get(scope: LimitScope, subject: string): Promise<LimitOverrideView> {
    const row = await this.database.read((tx) => found(tx, scope, subject));
    if (row === undefined) throw unknown(scope, subject);
    return row;
  }

  /** Replaces what was set before. @throws SLU_ACCESS_LIMIT_SUBJECT, SLU_ACCESS_LIMITS_STALE */
  async put(scope: LimitScope, subject: string, limits: Allowance, change: LimitChange): Promise<LimitOverrideView> {
    const written = await this.database.run(async (tx) => {
      const known: unknown[] = await tx.query(subjectExists[scope], [subject]);
      if (known.length === 0) throw sluiceError('SLU_ACCESS_LIMIT_SUBJECT', { scope, subject });
      const before = await lockedRow(tx, scope, subject, change);
      const [row]: LimitOverrideView[] = await tx.query(
        `INSERT INTO limit_overrides (scope, subject, limits, changed_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (scope, subject) DO UPDATE SET limits = excluded.limits, revision = limit_overrides.revision + 1,
           changed_at = now(), changed_by = excluded.changed_by
         RETURNING ${columns}`,
        [scope, subject, JSON.stringify(limits), change.actor],
      );
      await audit(tx, 'limit.write', row!, before, change);
      return row!;
    });
    await this.settings.afterChange?.();
    return written;
  }

  /** From then on the tier alone counts. @throws SLU_ACCESS_LIMITS_UNKNOWN, SLU_ACCESS_LIMITS_STALE */
  async remove(scope: LimitScope, subject: string, change: LimitChange): Promise<void> {
    await this.database.run(async (tx) => {
      const before = await lockedRow(tx, scope, subject, change);
      if (before === undefined) throw unknown(scope, subject);
      await tx.query('DELETE FROM limit_overrides WHERE scope = $1 AND subject = $2', [scope, subject]);
      await audit(tx, 'limit.remove', { ...before, limits: {} }, before, change);
    });
    await this.settings.afterChange?.();
  }
}

async function found(tx: Tx, scope: LimitScope, subject: string): Promise<LimitOverrideView | undefined> {
  const rows: LimitOverrideView[] = await tx.query(
    `SELECT ${columns} FROM limit_overrides WHERE scope = $1 AND subject = $2`,
    [scope, subject],
  );
  return rows[0];
}

async function lockedRow(
  tx: Tx,
  scope: LimitScope,
  subject: string,
  { expectedRevision }: LimitChange,
): Promise<LimitOverrideView | undefined> {
  await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [overrideLock, `${scope}/${subject}`]);
  const row = await found(tx, scope, subject);
  const revision = row?.revision ?? 0;
  if (expectedRevision !== undefined && expectedRevision !== revision)
    throw sluiceError('SLU_ACCESS_LIMITS_STALE', { subject: `${scope} ${subject}`, revision });
  return row;
}

async function audit(
  tx: Tx,
  action: string,
  { scope, subject, revision, limits }: LimitOverrideView,
  before: LimitOverrideView | undefined,
  { actor, requestId }: LimitChange,
): Promise<void> {
  const concerned = tenantOfSubject[scope];
  const rows: { tenantId: string }[] = concerned === undefined ? [] : await tx.query(concerned, [subject]);
  await appendAudit(tx, {
    actor,
    action,
    tenantId: rows[0]?.tenantId,
    resource: `limit:${scope}/${subject}`,
    outcome: 'done',
    ...(requestId !== undefined && { requestId }),
    detail: {
      revision,
      before: before === undefined ? null : JSON.stringify(before.limits),
      limits: JSON.stringify(limits),
    },
  });
}

const unknown = (scope: LimitScope, subject: string): Error =>
  sluiceError('SLU_ACCESS_LIMITS_UNKNOWN', { scope, subject });
