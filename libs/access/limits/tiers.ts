import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import type { Database } from '#libs/store';
import type { TierLimits } from './allowance.js';

export interface TierView {
  name: string;
  limits: TierLimits;
  revision: number;
  changedAt: Date;
  changedBy: string;
}

/** Who changes limits, by which request. */
export interface LimitChange {
  actor: string;
  requestId?: string | undefined;
  /** The change is refused when there is another revision by now. */
  expectedRevision?: number | undefined;
}

export interface TiersSettings {
  database: Database;
  /** Called after each change and awaited, so that it holds here at once. */
  afterChange?: () => Promise<void>;
}

const columns = `name, limits, revision, changed_at AS "changedAt", changed_by AS "changedBy"`;

/** The tiers as stored. A tier is never removed: keys may have it. */
export class Tiers {
  constructor(private readonly settings: TiersSettings) {}

  async list(): Promise<TierView[]> {
    return this.settings.database.query(`SELECT ${columns} FROM tiers ORDER BY name`);
  }

  /** @throws SLU_ACCESS_TIER_UNKNOWN */
  async get(name: string): Promise<TierView> {
    const [tier] = await this.settings.database.query<TierView>(`SELECT ${columns} FROM tiers WHERE name = $1`, [name]);
    if (tier === undefined) throw sluiceError('SLU_ACCESS_TIER_UNKNOWN', { tier: name });
    return tier;
  }

  /** Makes a tier, or changes one for everybody who has it. @throws SLU_ACCESS_LIMITS_STALE */
  async put(name: string, limits: TierLimits, { actor, requestId, expectedRevision }: LimitChange): Promise<TierView> {
    const written = await this.settings.database.run(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [tierLock, name]);
      const [before]: TierView[] = await tx.query(`SELECT ${columns} FROM tiers WHERE name = $1`, [name]);
      const revision = before?.revision ?? 0;
      if (expectedRevision !== undefined && expectedRevision !== revision)
        throw sluiceError('SLU_ACCESS_LIMITS_STALE', { subject: `tier ${name}`, revision });
      const [row]: TierView[] = await tx.query(
        `INSERT INTO tiers (name, limits, changed_by) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, revision = tiers.revision + 1,
           changed_at = now(), changed_by = excluded.changed_by
         RETURNING ${columns}`,
        [name, JSON.stringify(limits), actor],
      );
      await appendAudit(tx, {
        actor,
        action: 'tier.write',
        resource: `tier:${name}`,
        outcome: 'done',
        ...(requestId !== undefined && { requestId }),
        detail: {
          revision: row!.revision,
          before: before === undefined ? null : JSON.stringify(before.limits),
          limits: JSON.stringify(limits),
        },
      });
      return row!;
    });
    await this.settings.afterChange?.();
    return written;
  }
}

const tierLock = 7_583_010;
