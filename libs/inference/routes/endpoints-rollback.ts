import { secondsToMs, sluiceError } from '#libs/kernel';
import { ModelVersionEntity, RouteEntity, type Database } from '#libs/store';
import type { Endpoints, EndpointView } from './endpoints.js';
import { replicaCountOf, type ReplicaSets } from '../replicas/replica-sets.js';
import { usesOf } from '../models/model-version-uses.js';
import { soleVersion, versionsWithTraffic } from './endpoints-arms.js';

export interface RollbackWish {
  endpoint: string;
  /** The revision whose arms shall be live again; without it, the latest one that gave all traffic to another version. */
  revision?: number | undefined;
  actor: string;
  requestId?: string | undefined;
  signal?: AbortSignal | undefined;
}

const capacityWaitSeconds = 30;

/** One call back to an earlier route: capacity first, then the traffic, as the next revision. */
export class EndpointRollback {
  constructor(
    private readonly database: Database,
    private readonly endpoints: Endpoints,
    private readonly replicaSets: ReplicaSets,
  ) {}

  /** @throws SLU_ENDPOINT_HELD, SLU_ROUTE_UNKNOWN, SLU_ROUTE_STALE, SLU_REPLICA_FAILED, SLU_INFERENCE_NOT_READY, SLU_POLICY_* */
  async rollbackTo(wish: RollbackWish): Promise<RouteEntity> {
    const endpoint = await this.endpoints.get(wish.endpoint);
    if (endpoint.rolloutId !== null) {
      throw sluiceError('SLU_ENDPOINT_HELD', { endpoint: endpoint.name, rolloutId: endpoint.rolloutId });
    }
    const target = await this.target(endpoint, wish.revision);
    const raised: string[] = [];
    try {
      for (const version of versionsWithTraffic(target.arms)) await this.bringUp(endpoint, version, wish, raised);
      return await this.endpoints.writeRoute({
        endpoint: endpoint.name,
        arms: target.arms,
        reason: `rolled back to revision ${target.revision}`,
        madeBy: wish.actor,
        expectedRevision: endpoint.route.revision,
        isRollback: true,
        requestId: wish.requestId,
      });
    } catch (failure) {
      // What was brought up for a rollback that does not happen goes down again.
      for (const version of raised) await this.lowerUnlessUsed(endpoint.model, version, wish).catch(() => undefined);
      throw failure;
    }
  }

  private async target(endpoint: EndpointView, revision: number | undefined): Promise<RouteEntity> {
    if (revision !== undefined) {
      const found = await this.database.read((tx) => tx.findOneBy(RouteEntity, { endpoint: endpoint.name, revision }));
      if (found === null) throw sluiceError('SLU_ROUTE_UNKNOWN', { endpoint: endpoint.name, revision });
      return found;
    }
    const live = soleVersion(endpoint.route.arms);
    const earlier = (await this.endpoints.history(endpoint.name)).find((route) => {
      const version = soleVersion(route.arms);
      return route.revision < endpoint.route.revision && version !== undefined && version !== live;
    });
    if (earlier === undefined)
      throw sluiceError('SLU_ROUTE_UNKNOWN', { endpoint: endpoint.name, revision: 'to go back to' });
    return earlier;
  }

  private async bringUp(endpoint: EndpointView, version: string, wish: RollbackWish, raised: string[]): Promise<void> {
    const { actor, requestId } = wish;
    const scale = { model: endpoint.model, version, actor, requestId };
    const before = await this.database.run(async (tx) => {
      await this.endpoints.requireRegistered(tx, endpoint.model, version);
      return this.replicaSets.ensureAtLeast(tx, { ...scale, desired: await replicaCountOf(tx, scale) });
    });
    if (before === 0) raised.push(version);
    const timeUp = AbortSignal.timeout(secondsToMs(capacityWaitSeconds));
    const signal = wish.signal === undefined ? timeUp : AbortSignal.any([timeUp, wish.signal]);
    try {
      await this.replicaSets.waitUntilReady({ model: endpoint.model, version, count: 1, signal });
    } catch (failure) {
      if (!timeUp.aborted) throw failure;
      throw sluiceError(
        'SLU_INFERENCE_NOT_READY',
        { endpoint: endpoint.name, version },
        { cause: failure, retryAfterSeconds: 5 },
      );
    }
  }

  /** Somebody else's rollback, or a rollout, may have come to need it meanwhile; whoever writes a route waits for the lock. */
  private async lowerUnlessUsed(model: string, version: string, { actor, requestId }: RollbackWish): Promise<void> {
    await this.database.run(async (tx) => {
      await tx.findOne(ModelVersionEntity, { where: { model, version }, lock: { mode: 'pessimistic_write' } });
      if ((await usesOf(tx, model, version)).length > 0) return;
      await this.replicaSets.scaleDown(tx, { model, version, actor, requestId });
    });
  }
}
