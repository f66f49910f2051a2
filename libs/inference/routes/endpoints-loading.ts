import { setTimeout as pause } from 'node:timers/promises';
import { appendAudit } from '#libs/audit';
import { secondsToMs, sluiceError } from '#libs/kernel';
import { ModelVersionEntity, RouteEntity, type Database, type Tx } from '#libs/store';
import { versionsWithTraffic } from './endpoints-arms.js';
import type { Endpoints } from './endpoints.js';
import { usesOf } from '../models/model-version-uses.js';
import { replicaCountOf, type ReplicaSets } from '../replicas/replica-sets.js';
import { versionKey } from './route-table.js';

export interface LoadWish {
  endpoint: string;
  actor: string;
  requestId?: string | undefined;
  /** Ends the wait, and changes nothing about the wish. */
  signal?: AbortSignal | undefined;
}

export interface EndpointLoadingSettings {
  database: Database;
  endpoints: Endpoints;
  replicaSets: ReplicaSets;
  /** Has this process a replica of the version that answers? */
  isUp: (versionKey: string) => boolean;
  waitSeconds?: number;
}

const defaultWaitSeconds = 60;
const retryAfterSeconds = 5;
const lookEveryMs = 50;

/** The versions of a live route, and the wish that was written down for each. */
interface Loading {
  model: string;
  wishes: { version: string; count: number }[];
}

/**
 * The repository calls of the Open Inference Protocol: load asks for the replicas of an endpoint's versions, unload asks
 * for none any more. Routes stay as they are.
 */
export class EndpointLoading {
  constructor(private readonly settings: EndpointLoadingSettings) {}

  /**
   * Asks for the replicas that the manifests of the versions with traffic state, and resolves when they answer here. The
   * wish stays when the wait ends before, so that a second call goes on waiting.
   * @throws SLU_ENDPOINT_UNKNOWN, SLU_MODEL_VERSION_ARCHIVED, SLU_REPLICA_FAILED, SLU_INFERENCE_NOT_READY,
   *   SLU_REQUEST_ABANDONED
   */
  async load(wish: LoadWish): Promise<void> {
    const { model, wishes } = await this.settings.database.run((tx) => this.wishIn(tx, wish));
    const timeUp = AbortSignal.timeout(secondsToMs(this.settings.waitSeconds ?? defaultWaitSeconds));
    const signal = wish.signal === undefined ? timeUp : AbortSignal.any([timeUp, wish.signal]);
    for (const { version, count } of wishes) {
      try {
        await this.settings.replicaSets.waitUntilReady({ model, version, count, signal });
        // The row may be ahead of what this process has seen by now.
        while (!this.settings.isUp(versionKey(model, version))) await pause(lookEveryMs, undefined, { signal });
      } catch (cause) {
        if (wish.signal?.aborted === true) throw sluiceError('SLU_REQUEST_ABANDONED', {}, { cause });
        if (!timeUp.aborted) throw cause;
        const { endpoint } = wish;
        throw sluiceError('SLU_INFERENCE_NOT_READY', { endpoint, version }, { cause, retryAfterSeconds });
      }
    }
  }

  /**
   * Asks for no replicas of the endpoint's versions any more; resolves when this process sends nothing to them, or after
   * a while, since those that still answer others end in their own time.
   * @throws SLU_ENDPOINT_UNKNOWN; SLU_ENDPOINT_HELD by a rollout; SLU_MODEL_VERSION_IN_USE by another endpoint
   */
  async unload(wish: LoadWish): Promise<void> {
    const { model, wishes } = await this.settings.database.run((tx) => this.withdrawIn(tx, wish));
    const timeUp = AbortSignal.timeout(secondsToMs(this.settings.waitSeconds ?? defaultWaitSeconds));
    const isAnyUp = (): boolean => wishes.some(({ version }) => this.settings.isUp(versionKey(model, version)));
    while (isAnyUp() && !timeUp.aborted && wish.signal?.aborted !== true) await pause(lookEveryMs);
  }

  private async wishIn(tx: Tx, { endpoint, actor, requestId }: LoadWish): Promise<Loading> {
    const { model, arms } = await liveRoute(tx, endpoint, 'share');
    const wishes: Loading['wishes'] = [];
    for (const version of versionsWithTraffic(arms)) {
      await this.settings.endpoints.requireRegistered(tx, model, version);
      const count = await replicaCountOf(tx, { model, version });
      await this.settings.replicaSets.ensureAtLeast(tx, { model, version, desired: count, actor, requestId });
      wishes.push({ version, count });
    }
    await this.audit(tx, 'endpoint.load', { endpoint, actor, requestId }, wishes);
    return { model, wishes };
  }

  private async withdrawIn(tx: Tx, { endpoint, actor, requestId }: LoadWish): Promise<Loading> {
    const { model, arms, rolloutId } = await liveRoute(tx, endpoint, 'update');
    if (rolloutId !== null) throw sluiceError('SLU_ENDPOINT_HELD', { endpoint, rolloutId });
    const wishes = [...new Set(arms.map((arm) => arm.version))].map((version) => ({ version, count: 0 }));
    for (const { version } of wishes) {
      // Whoever gives the version traffic elsewhere waits for this lock.
      await tx.findOne(ModelVersionEntity, { where: { model, version }, lock: { mode: 'pessimistic_write' } });
      const others = (await usesOf(tx, model, version)).filter((use) => use !== `endpoint ${endpoint}`);
      if (others.length > 0)
        throw sluiceError('SLU_MODEL_VERSION_IN_USE', { model, version, usedBy: others.join(', ') });
      await this.settings.replicaSets.scaleDown(tx, { model, version, actor, requestId });
    }
    await this.audit(tx, 'endpoint.unload', { endpoint, actor, requestId }, wishes);
    return { model, wishes };
  }

  private async audit(
    tx: Tx,
    action: 'endpoint.load' | 'endpoint.unload',
    { endpoint, actor, requestId }: LoadWish,
    wishes: Loading['wishes'],
  ): Promise<void> {
    await appendAudit(tx, {
      actor,
      action,
      resource: `endpoint:${endpoint}`,
      outcome: 'done',
      requestId,
      detail: { versions: wishes.map(({ version, count }) => `${version}:${count}`).join(' ') },
    });
  }
}

async function liveRoute(
  tx: Tx,
  name: string,
  lock: 'share' | 'update',
): Promise<{ model: string; arms: RouteEntity['arms']; rolloutId: string | null }> {
  const rows: { model: string; revision: number; rolloutId: string | null }[] = await tx.query(
    `SELECT model, revision, rollout_id AS "rolloutId" FROM endpoints WHERE name = $1 FOR ${lock === 'share' ? 'SHARE' : 'UPDATE'}`,
    [name],
  );
  const [endpoint] = rows;
  if (endpoint === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
  const { arms } = await tx.findOneByOrFail(RouteEntity, { endpoint: name, revision: endpoint.revision });
  return { ...endpoint, arms };
}
