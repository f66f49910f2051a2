import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import {
  EndpointEntity,
  isUniqueViolation,
  ModelVersionEntity,
  RouteEntity,
  type Database,
  type RouteArm,
  type Tx,
} from '#libs/store';
import { EndpointRollback, type RollbackWish } from './endpoints-rollback.js';
import type { EndpointPolicy } from './endpoint-policy.js';
import { checkArms } from './endpoints-arms.js';
import { EndpointPolicies } from './endpoints-policies.js';
import { ModelSignatures } from '../models/model-signatures.js';
import { replicaCountOf, type ReplicaSets } from '../replicas/replica-sets.js';

export interface EndpointView {
  name: string;
  model: string;
  /** The rollout that holds the endpoint, if one does: only that one may write routes then. */
  rolloutId: string | null;
  createdAt: Date;
  createdBy: string;
  route: RouteEntity;
}

export interface NewEndpoint {
  name: string;
  model: string;
  version: string;
  /** What it asks of versions from the start, of this one too. */
  policy?: EndpointPolicy | undefined;
  actor: string;
  requestId?: string | undefined;
}

export interface RouteWrite {
  endpoint: string;
  arms: readonly RouteArm[];
  reason: string;
  madeBy: string;
  /** With `fence`: a write of a rollout. A repeat of the pair answers the same revision and changes nothing. */
  rolloutId?: string | undefined;
  /** Rises with each write of one rollout; an older one is refused. */
  fence?: number | undefined;
  /** Refuse when another revision is live by now. */
  expectedRevision?: number | undefined;
  /** A person goes back to an earlier route: what had all traffic once may have it again. */
  isRollback?: boolean | undefined;
  requestId?: string | undefined;
}

/** Endpoints and their routes. A route revision is immutable; a change is always the next revision. */
export class Endpoints {
  readonly policies: EndpointPolicies;

  constructor(
    private readonly database: Database,
    private readonly replicaSets: ReplicaSets,
    signatures = new ModelSignatures(database),
  ) {
    this.policies = new EndpointPolicies(database, signatures);
  }

  /**
   * Route revision 1 gives the version all traffic; as many replicas are asked for as its manifest says.
   * @throws SLU_ENDPOINT_CONFLICT, SLU_MODEL_VERSION_*, SLU_POLICY_*
   */
  async create(wish: NewEndpoint): Promise<EndpointView> {
    try {
      await this.database.run((tx) => this.createIn(tx, wish));
    } catch (failure) {
      await this.policies.noteRefusal(failure, wish.name, wish);
      if (!isUniqueViolation(failure, 'endpoints_pkey')) throw failure;
      throw sluiceError('SLU_ENDPOINT_CONFLICT', { endpoint: wish.name });
    }
    return this.get(wish.name);
  }

  /** @throws SLU_ENDPOINT_UNKNOWN */
  async get(name: string): Promise<EndpointView> {
    const found = (await this.views(name))[0];
    if (found === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
    return found;
  }

  async list(): Promise<EndpointView[]> {
    return this.views();
  }

  /** Route revisions, the newest first. @throws SLU_ENDPOINT_UNKNOWN */
  async history(name: string, limit = 1_000): Promise<RouteEntity[]> {
    await this.get(name);
    return this.database.read((tx) =>
      tx.find(RouteEntity, { where: { endpoint: name }, order: { revision: 'DESC' }, take: limit }),
    );
  }

  /**
   * Writes the next route revision and makes it live.
   * @throws SLU_ROUTE_STALE, SLU_ENDPOINT_HELD, SLU_ENDPOINT_UNKNOWN, SLU_ROUTE_INVALID, SLU_MODEL_VERSION_*, SLU_POLICY_*
   */
  async writeRoute(write: RouteWrite): Promise<RouteEntity> {
    try {
      return await this.database.run((tx) => this.writeRouteIn(tx, write));
    } catch (failure) {
      await this.policies.noteRefusal(failure, write.endpoint, { actor: write.madeBy, requestId: write.requestId });
      throw failure;
    }
  }

  /** The same within the caller's transaction. */
  async writeRouteIn(tx: Tx, write: RouteWrite): Promise<RouteEntity> {
    checkArms(write.arms);
    const endpoint = await lockEndpoint(tx, write.endpoint);
    const repeated = await refuseUnlessCurrent(tx, endpoint, write);
    if (repeated !== undefined) return repeated;
    for (const arm of write.arms) await requireRegistered(tx, endpoint.model, arm.version);
    const { arms: liveArms } = await liveRoute(tx, endpoint);
    const { model } = endpoint;
    const warnings = await this.policies.admit(tx, { ...write, model, liveArms, actor: write.madeBy });
    const route = await insertRoute(tx, { ...write, revision: endpoint.revision + 1, warnings });
    await tx.update(EndpointEntity, { name: endpoint.name }, { revision: route.revision });
    await auditRoute(tx, route, write.requestId);
    return route;
  }

  /** Gives the endpoint to a rollout, within the caller's transaction. @throws SLU_ENDPOINT_HELD by another one */
  async hold(tx: Tx, name: string, rolloutId: string): Promise<EndpointEntity> {
    const endpoint = await lockEndpoint(tx, name);
    if (endpoint.rolloutId !== null && endpoint.rolloutId !== rolloutId) refuseHeld(name, endpoint.rolloutId);
    await tx.update(EndpointEntity, { name }, { rolloutId });
    return { ...endpoint, rolloutId };
  }

  /** Takes the endpoint back from a rollout; changes nothing when another one, or none, holds it. */
  async release(tx: Tx, name: string, rolloutId: string): Promise<void> {
    await tx.update(EndpointEntity, { name, rolloutId }, { rolloutId: null });
  }

  /** One call back to an earlier route; see EndpointRollback. */
  async rollbackTo(wish: RollbackWish): Promise<RouteEntity> {
    return new EndpointRollback(this.database, this, this.replicaSets).rollbackTo(wish);
  }

  /** The share lock keeps the version from being archived before this transaction ends. @throws SLU_MODEL_VERSION_* */
  async requireRegistered(tx: Tx, model: string, version: string): Promise<void> {
    await requireRegistered(tx, model, version);
  }

  /**
   * Whether a version may take traffic from what is live, asked before a rollout begins.
   * @returns what was let pass all the same @throws SLU_POLICY_*
   */
  async admitCandidate(
    tx: Tx,
    endpoint: EndpointEntity,
    version: string,
    by: { actor: string; requestId?: string | undefined },
  ): Promise<string[]> {
    const { arms: liveArms } = await liveRoute(tx, endpoint);
    const arms = [{ name: 'candidate', version, weight: 100 }];
    return this.policies.admit(tx, { ...by, endpoint: endpoint.name, model: endpoint.model, arms, liveArms });
  }

  private async createIn(tx: Tx, wish: NewEndpoint): Promise<void> {
    await requireRegistered(tx, wish.model, wish.version);
    await tx.query('INSERT INTO endpoints (name, model, revision, created_by) VALUES ($1, $2, 1, $3)', [
      wish.name,
      wish.model,
      wish.actor,
    ]);
    const { name: endpoint, model, version, actor, requestId } = wish;
    const arms = [{ name: 'stable', version, weight: 100 }];
    if (wish.policy !== undefined) await this.policies.putIn(tx, endpoint, 1, wish.policy, wish);
    const warnings = await this.policies.admit(tx, { endpoint, model, arms, liveArms: [], actor, requestId });
    const reason = 'endpoint created';
    const route = await insertRoute(tx, { endpoint, revision: 1, arms, reason, madeBy: actor, warnings });
    const desired = await replicaCountOf(tx, { model, version });
    await this.replicaSets.ensureAtLeast(tx, { model, version, desired, actor, requestId });
    await appendAudit(tx, {
      actor,
      action: 'endpoint.create',
      resource: `endpoint:${wish.name}`,
      outcome: 'done',
      requestId,
      detail: { model, version },
    });
    await auditRoute(tx, route, requestId);
  }

  private async views(name?: string): Promise<EndpointView[]> {
    const rows = await this.database.read((tx) =>
      tx.find(EndpointEntity, { ...(name === undefined ? {} : { where: { name } }), order: { name: 'ASC' } }),
    );
    if (rows.length === 0) return [];
    const live = rows.map((row) => ({ endpoint: row.name, revision: row.revision }));
    const routes = await this.database.read((tx) => tx.find(RouteEntity, { where: live }));
    return rows.flatMap((row) => {
      const route = routes.find((candidate) => candidate.endpoint === row.name);
      if (route === undefined) return [];
      const { model, rolloutId, createdAt, createdBy } = row;
      return [{ name: row.name, model, rolloutId, createdAt, createdBy, route }];
    });
  }
}

async function lockEndpoint(tx: Tx, name: string): Promise<EndpointEntity> {
  const endpoint = await tx.findOne(EndpointEntity, { where: { name }, lock: { mode: 'pessimistic_write' } });
  if (endpoint === null) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
  return endpoint;
}

const liveRoute = (tx: Tx, { name, revision }: EndpointEntity): Promise<RouteEntity> =>
  tx.findOneByOrFail(RouteEntity, { endpoint: name, revision });

/** @returns the route already written by the same (rollout, fence), when this is a repeat */
async function refuseUnlessCurrent(
  tx: Tx,
  endpoint: EndpointEntity,
  write: RouteWrite,
): Promise<RouteEntity | undefined> {
  const { rolloutId, fence } = write;
  if (rolloutId === undefined) {
    if (endpoint.rolloutId !== null) refuseHeld(endpoint.name, endpoint.rolloutId);
  } else {
    if (fence === undefined) throw new Error('a rollout writes a route with a fence, always');
    const repeated = await tx.findOneBy(RouteEntity, { rolloutId, fence });
    if (repeated !== null) return repeated.endpoint === endpoint.name ? repeated : refuseStale();
    if (endpoint.rolloutId !== rolloutId) refuseStale();
    const newer: unknown[] = await tx.query('SELECT 1 FROM routes WHERE rollout_id = $1 AND fence > $2 LIMIT 1', [
      rolloutId,
      fence,
    ]);
    if (newer.length > 0) refuseStale();
  }
  if (write.expectedRevision !== undefined && write.expectedRevision !== endpoint.revision) refuseStale();
  return undefined;
}

async function insertRoute(
  tx: Tx,
  write: RouteWrite & { revision: number; warnings: readonly string[] },
): Promise<RouteEntity> {
  await tx.query(
    `INSERT INTO routes (endpoint, revision, arms, reason, made_by, rollout_id, fence, warnings)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      write.endpoint,
      write.revision,
      JSON.stringify(write.arms.map(({ name, version, weight }) => ({ name, version, weight }))),
      write.reason,
      write.madeBy,
      write.rolloutId ?? null,
      write.fence ?? null,
      JSON.stringify(write.warnings),
    ],
  );
  return tx.findOneByOrFail(RouteEntity, { endpoint: write.endpoint, revision: write.revision });
}

/** The share lock keeps the version from being archived before this transaction ends. */
async function requireRegistered(tx: Tx, model: string, version: string): Promise<void> {
  const found = await tx.findOne(ModelVersionEntity, { where: { model, version }, lock: { mode: 'pessimistic_read' } });
  if (found === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
  if (found.state === 'archived') throw sluiceError('SLU_MODEL_VERSION_ARCHIVED', { model, version });
}

async function auditRoute(tx: Tx, route: RouteEntity, requestId: string | undefined): Promise<void> {
  const shares = route.arms.map((arm) => `${arm.name}=${arm.version}:${arm.weight}`).join(' ');
  await appendAudit(tx, {
    actor: route.madeBy,
    action: 'route.write',
    resource: `endpoint:${route.endpoint}`,
    outcome: 'done',
    requestId,
    detail: {
      revision: route.revision,
      arms: shares,
      reason: route.reason,
      rolloutId: route.rolloutId,
      fence: route.fence,
    },
  });
}

function refuseHeld(endpoint: string, rolloutId: string): never {
  throw sluiceError('SLU_ENDPOINT_HELD', { endpoint, rolloutId });
}

function refuseStale(): never {
  throw sluiceError('SLU_ROUTE_STALE');
}
