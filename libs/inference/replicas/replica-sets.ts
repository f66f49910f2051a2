import { setTimeout as pause } from 'node:timers/promises';
import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import { ModelVersionEntity, ReplicaEntity, ReplicaSetEntity, type Database, type Tx } from '#libs/store';
import type { Manifest } from '../models/manifest.js';

export interface VersionRef {
  model: string;
  version: string;
}

export interface DesiredReplicas extends VersionRef {
  desired: number;
  actor: string;
  requestId?: string | undefined;
}

export interface ReplicaDrain {
  id: string;
  actor: string;
  requestId?: string | undefined;
}

export interface ReplicaWait extends VersionRef {
  signal?: AbortSignal | undefined;
  /** Called at each look, so that an activity can heartbeat. */
  onHeartbeat?: ((seen: { ready: number }) => void) | undefined;
}

export interface ReplicaSetView extends VersionRef {
  desired: number;
  ready: number;
  updatedAt: Date;
}

const lookEveryMs = 200;
/** So many starts in a row that never became ready count as "this version does not start". */
const failedStartsLimit = 3;

/** How many replicas a version gets when nobody says otherwise: `instances.count`, or one on each server elsewhere, or 1. */
export async function replicaCountOf(tx: Tx, { model, version }: VersionRef): Promise<number> {
  const found = await tx.findOneBy(ModelVersionEntity, { model, version });
  const { instances, remote } = (found?.manifest ?? {}) as Partial<Manifest>;
  return instances?.count ?? remote?.targets.length ?? 1;
}

/** How many replicas each version shall have, and how many there are. The supervisor makes the one into the other. */
export class ReplicaSets {
  constructor(private readonly database: Database) {}

  /** Sets the wanted number within the caller's transaction. @returns the number before, 0 when there was none */
  async setDesired(tx: Tx, wish: DesiredReplicas): Promise<number> {
    const before: { desired: number }[] = await tx.query(
      'SELECT desired FROM replica_sets WHERE model = $1 AND version = $2 FOR UPDATE',
      [wish.model, wish.version],
    );
    const was = before[0]?.desired;
    if (was === wish.desired) return was;
    await tx.query(
      `INSERT INTO replica_sets (model, version, desired) VALUES ($1, $2, $3)
       ON CONFLICT (model, version) DO UPDATE SET desired = EXCLUDED.desired, updated_at = now()`,
      [wish.model, wish.version, wish.desired],
    );
    await appendAudit(tx, {
      actor: wish.actor,
      action: 'replicas.scale',
      resource: `model:${wish.model}/${wish.version}`,
      outcome: 'done',
      requestId: wish.requestId,
      detail: { from: was ?? 0, to: wish.desired },
    });
    return was ?? 0;
  }

  /** Raises the wanted number to `desired`; never lowers it. @returns the number before */
  async ensureAtLeast(tx: Tx, wish: DesiredReplicas): Promise<number> {
    // Locked, so that a higher wish that is being written at the same time is seen and not undone.
    const row = await tx.findOne(ReplicaSetEntity, {
      where: { model: wish.model, version: wish.version },
      lock: { mode: 'pessimistic_write' },
    });
    if (row !== null && row.desired >= wish.desired) return row.desired;
    return this.setDesired(tx, wish);
  }

  /** Asks for no replicas any more, where some were asked for. */
  async scaleDown(tx: Tx, wish: Omit<DesiredReplicas, 'desired'>): Promise<void> {
    const row = await tx.findOneBy(ReplicaSetEntity, { model: wish.model, version: wish.version });
    if (row !== null) await this.setDesired(tx, { ...wish, desired: 0 });
  }

  async list(): Promise<ReplicaSetView[]> {
    return this.database.query<ReplicaSetView>(
      `SELECT s.model, s.version, s.desired, s.updated_at AS "updatedAt",
              (SELECT count(*)::int FROM replicas r
                WHERE r.model = s.model AND r.version = s.version AND r.state = 'ready' AND r.ended_at IS NULL) AS ready
         FROM replica_sets s ORDER BY s.model, s.version`,
    );
  }

  /** Rows of replicas that live, and the latest that ended, the newest first. */
  async replicas(limit = 200): Promise<ReplicaEntity[]> {
    return this.database.read((tx) =>
      tx
        .createQueryBuilder(ReplicaEntity, 'replica')
        .orderBy('replica.ended_at', 'DESC', 'NULLS FIRST')
        .addOrderBy('replica.started_at', 'DESC')
        .limit(limit)
        .getMany(),
    );
  }

  /**
   * Asks for one replica to be taken out: APIs stop sending to it, and its supervisor replaces it where the version still
   * wants it. A second time changes nothing.
   * @throws SLU_REPLICA_UNKNOWN, SLU_REPLICA_ENDED
   */
  async drain({ id, actor, requestId }: ReplicaDrain): Promise<ReplicaEntity> {
    return this.database.run(async (tx) => {
      const replica = await tx.findOne(ReplicaEntity, { where: { id }, lock: { mode: 'pessimistic_write' } });
      if (replica === null) throw sluiceError('SLU_REPLICA_UNKNOWN', { id });
      if (replica.endedAt !== null) throw sluiceError('SLU_REPLICA_ENDED', { id, state: replica.state });
      if (replica.state === 'draining') return replica;
      await tx.update(ReplicaEntity, { id }, { state: 'draining' });
      await appendAudit(tx, {
        actor,
        action: 'replica.drain',
        resource: `replica:${id}`,
        outcome: 'done',
        requestId,
        detail: { model: replica.model, version: replica.version, from: replica.state },
      });
      return { ...replica, state: 'draining' };
    });
  }

  async desired(model: string, version: string): Promise<number> {
    const row = await this.database.read((tx) => tx.findOneBy(ReplicaSetEntity, { model, version }));
    return row?.desired ?? 0;
  }

  async readyCount(model: string, version: string): Promise<number> {
    return this.count(`state = 'ready' AND ended_at IS NULL`, { model, version });
  }

  /**
   * Resolves when at least `count` replicas are ready, or as many as the version can have.
   * @throws SLU_REPLICA_FAILED when the version fails to start again and again; the signal's reason when it is aborted
   */
  async waitUntilReady(wait: ReplicaWait & { count: number }): Promise<void> {
    const count = Math.min(wait.count, await this.mostReplicas(wait));
    await this.lookUntil(wait, async (ready) => {
      if (ready >= count) return true;
      await this.refuseFailingStarts(wait);
      return false;
    });
  }

  /** Resolves when no replica of the version lives any more. */
  async waitUntilGone(wait: ReplicaWait): Promise<void> {
    await this.lookUntil(wait, async () => (await this.count('ended_at IS NULL', wait)) === 0);
  }

  private async lookUntil(wait: ReplicaWait, isDone: (ready: number) => Promise<boolean>): Promise<void> {
    for (;;) {
      wait.signal?.throwIfAborted();
      const ready = await this.readyCount(wait.model, wait.version);
      wait.onHeartbeat?.({ ready });
      if (await isDone(ready)) return;
      await pause(lookEveryMs, undefined, { signal: wait.signal }).catch(() => wait.signal?.throwIfAborted());
    }
  }

  // Only starts since the wanted number last changed count: an old failure says nothing about a new attempt. A replica
  // that was ready and died later is not a failed start.
  private async refuseFailingStarts({ model, version }: VersionRef): Promise<void> {
    const rows = await this.database.query<{ state: string; readyAt: Date | null; reason: string | null }>(
      `SELECT r.state, r.ready_at AS "readyAt", r.reason FROM replicas r
         JOIN replica_sets s ON s.model = r.model AND s.version = r.version
        WHERE r.model = $1 AND r.version = $2 AND r.state <> 'starting' AND r.started_at >= s.updated_at
        ORDER BY r.started_at DESC LIMIT $3`,
      [model, version, failedStartsLimit],
    );
    const isFailing =
      rows.length === failedStartsLimit && rows.every((row) => row.state === 'failed' && row.readyAt === null);
    if (!isFailing) return;
    throw sluiceError('SLU_REPLICA_FAILED', { model, version, reason: rows[0]?.reason ?? 'no reason was given' });
  }

  // On servers elsewhere there are never more than the manifest names.
  private async mostReplicas({ model, version }: VersionRef): Promise<number> {
    const row = await this.database.read((tx) => tx.findOneBy(ModelVersionEntity, { model, version }));
    const { remote } = (row?.manifest ?? {}) as Partial<Manifest>;
    return remote?.targets.length ?? Infinity;
  }

  private async count(condition: string, { model, version }: VersionRef): Promise<number> {
    const rows = await this.database.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM replicas WHERE model = $1 AND version = $2 AND ${condition}`,
      [model, version],
    );
    return rows[0]?.count ?? 0;
  }
}
