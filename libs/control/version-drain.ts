import type { ReplicaSets } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import { ModelVersionEntity, RolloutEntity, type Database, type Tx } from '#libs/store';
import type { DrainAnswer, DrainAsk } from '#workflows/rollout/contract';

/** Takes a version's replicas away when nothing needs them any more. */
export class VersionDrain {
  constructor(
    private readonly database: Database,
    private readonly replicaSets: Pick<ReplicaSets, 'setDesired'>,
  ) {}

  /** Repeated, it changes nothing; after the rollout's end neither. A version that a live route or another open rollout names is left alone. */
  async drain(ask: DrainAsk): Promise<DrainAnswer> {
    const { rolloutId, model, version } = ask;
    return this.database.run(async (tx) => {
      const rollout = await lockShared(tx, rolloutId);
      if (rollout === null || rollout.endedAt !== null)
        return { isDrained: false, usedBy: 'nobody: the rollout is over' };
      // Whoever routes to this version or rolls it out holds a share lock on it, so nobody begins between look and act.
      await tx.findOne(ModelVersionEntity, { where: { model, version }, lock: { mode: 'pessimistic_write' } });
      const usedBy = (await liveRouteOf(tx, ask)) ?? (await otherRolloutOf(tx, ask));
      if (usedBy !== undefined) return { isDrained: false, usedBy };
      await this.replicaSets.setDesired(tx, { model, version, desired: 0, actor: `workflow:rollout:${rolloutId}` });
      return { isDrained: true };
    });
  }
}

/**
 * The fence for raising replicas on behalf of a rollout. The share lock orders it against the line that says draining.
 * @throws SLU_ROUTE_STALE when the rollout is draining or over
 */
export async function refuseLateRaise(tx: Tx, rolloutId: string): Promise<void> {
  const rollout = await lockShared(tx, rolloutId);
  if (rollout === null || rollout.endedAt !== null || rollout.phase === 'draining')
    throw sluiceError('SLU_ROUTE_STALE');
}

async function lockShared(tx: Tx, id: string): Promise<RolloutEntity | null> {
  return tx.findOne(RolloutEntity, { where: { id }, lock: { mode: 'pessimistic_read' } });
}

async function liveRouteOf(tx: Tx, { model, version }: DrainAsk): Promise<string | undefined> {
  const rows: { name: string }[] = await tx.query(
    `SELECT e.name FROM endpoints e JOIN routes r ON r.endpoint = e.name AND r.revision = e.revision
      WHERE e.model = $1 AND r.arms @> jsonb_build_array(jsonb_build_object('version', $2::text)) ORDER BY e.name LIMIT 1`,
    [model, version],
  );
  return rows[0] === undefined ? undefined : `endpoint:${rows[0].name}`;
}

async function otherRolloutOf(tx: Tx, { rolloutId, model, version }: DrainAsk): Promise<string | undefined> {
  const rows: { id: string }[] = await tx.query(
    `SELECT id FROM rollouts WHERE ended_at IS NULL AND id <> $1 AND model = $2 AND $3 IN (stable_version, candidate_version) LIMIT 1`,
    [rolloutId, model, version],
  );
  return rows[0] === undefined ? undefined : `rollout:${rows[0].id}`;
}
