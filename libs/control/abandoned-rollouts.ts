import { appendAudit } from '#libs/audit';
import type { Endpoints, ReplicaSets } from '#libs/inference';
import { minutes, secondsToMs } from '#libs/kernel';
import { EndpointEntity, RolloutEntity, RouteEntity, type Database, type Tx } from '#libs/store';
import type { RolloutOutcome, RolloutSpec } from '#workflows/rollout/contract';
import { appendEvent, type RolloutLedger } from './rollout-ledger.js';
import type { VersionDrain } from './version-drain.js';

export interface AbandonedParts {
  database: Database;
  endpoints: Pick<Endpoints, 'writeRouteIn'>;
  replicaSets: Pick<ReplicaSets, 'ensureAtLeast' | 'readyCount'>;
  ledger: Pick<RolloutLedger, 'end'>;
  drain: VersionDrain;
}

/** The largest number that the column holds: whatever the lost workflow's activities still want to write is older. */
const lastFence = 2_147_483_647;
/** When stable has not one ready replica by then, people must decide; they can once the endpoint is theirs again. */
const capacityPatienceSeconds = minutes(5);
const actor = 'system';

/**
 * Carries to its end a rollout whose workflow is gone: first the traffic back to the stable version, then its last
 * answers, then the replicas and the books. Each call takes the next step that is due, found from the rows alone.
 */
export class AbandonedRollouts {
  constructor(private readonly parts: AbandonedParts) {}

  /** @returns whether the rollout is over; 'open' means: call again */
  async carryOn(row: RolloutEntity): Promise<'open' | 'over'> {
    const spec = row.spec as RolloutSpec;
    const route = await this.ownRoute(row);
    if (route === undefined)
      return this.close(row, 'failed', `its workflow ended from outside while it was ${row.phase}`);
    if (route.arms.length > 1) return this.routeBack(row, route);
    if (route.at.getTime() + secondsToMs(spec.drainSeconds) > Date.now()) return 'open';
    if (route.fence === lastFence) return this.close(row, 'failed', row.reason ?? 'its workflow ended from outside');
    const isPromoted = route.arms[0]?.version === row.candidateVersion;
    const reason = `its workflow ended from outside after version ${route.arms[0]?.version} had got all traffic`;
    return this.close(row, isPromoted ? 'promoted' : 'failed', reason);
  }

  /** The live route, when it is this rollout's own and the endpoint is still held by it. */
  private async ownRoute(row: RolloutEntity): Promise<RouteEntity | undefined> {
    return this.parts.database.read((tx) => ownRouteIn(tx, row));
  }

  private async routeBack(row: RolloutEntity, seen: RouteEntity): Promise<'open' | 'over'> {
    const { database, replicaSets, endpoints } = this.parts;
    const { id: rolloutId, endpoint, model, stableVersion, phase } = row;
    await database.run((tx) => replicaSets.ensureAtLeast(tx, { model, version: stableVersion, desired: 1, actor }));
    if ((await replicaSets.readyCount(model, stableVersion)) === 0) {
      if (row.updatedAt.getTime() + secondsToMs(capacityPatienceSeconds) > Date.now()) return 'open';
      const problem = `version ${stableVersion} has no ready replica, so the route stays split`;
      return this.close(row, 'failed', `its workflow ended from outside while it was ${phase}; ${problem}`);
    }
    const reason = `its workflow ended from outside while it was ${phase}; all traffic goes back to version ${stableVersion}`;
    await database.run(async (tx) => {
      await lockRollout(tx, rolloutId);
      const live = await ownRouteIn(tx, row);
      if (live?.revision !== seen.revision) return;
      const arms = [{ name: 'stable', version: stableVersion, weight: 100 }];
      const write = {
        endpoint,
        arms,
        reason,
        madeBy: actor,
        rolloutId,
        fence: lastFence,
        expectedRevision: live.revision,
      };
      const { revision } = await endpoints.writeRouteIn(tx, write);
      await tx.query(
        `UPDATE rollouts SET phase = 'rolling-back', weight = 0, reason = $2, updated_at = now() WHERE id = $1`,
        [rolloutId, reason],
      );
      const detail = { revision, weight: 0, fence: lastFence, reason };
      await appendEvent(tx, { rolloutId, eventKey: 'x-routed-back', kind: 'route', actor, detail });
      await appendAudit(tx, {
        actor,
        action: 'rollout.route',
        resource: `rollout:${rolloutId}`,
        outcome: 'done',
        detail: { endpoint, phase: 'rolling-back', step: row.stepIndex, weight: 0 },
      });
    });
    return 'open';
  }

  private async close(row: RolloutEntity, outcome: RolloutOutcome, reason: string): Promise<'over'> {
    const { id: rolloutId, model } = row;
    const version = outcome === 'promoted' ? row.stableVersion : row.candidateVersion;
    await this.parts.drain.drain({ rolloutId, model, version });
    await this.parts.ledger.end({ rolloutId, outcome, reason, actor, eventKey: 'x-swept' });
    return 'over';
  }
}

async function lockRollout(tx: Tx, id: string): Promise<void> {
  await tx.findOneOrFail(RolloutEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
}

async function ownRouteIn(tx: Tx, { id, endpoint }: RolloutEntity): Promise<RouteEntity | undefined> {
  const held = await tx.findOneByOrFail(EndpointEntity, { name: endpoint });
  if (held.rolloutId !== id) return undefined;
  const live = await tx.findOneByOrFail(RouteEntity, { endpoint, revision: held.revision });
  return live.rolloutId === id ? live : undefined;
}
