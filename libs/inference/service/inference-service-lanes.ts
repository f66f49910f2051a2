import type { Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Tracer } from '@opentelemetry/api';
import { BatchTracing } from '../batching/batcher-trace.js';
import { Batcher } from '../batching/batcher.js';
import type { Quarantine } from '../batching/quarantine.js';
import { ReplicaPool, type ReplicaPlace } from '../replicas/replica-pool.js';
import type { Replica } from '../ports/replica.js';
import { ResponseCache } from '../batching/response-cache.js';
import type { ServedVersion } from '../routes/route-table.js';
import { schedulingRules, type SchedulingRules } from '../batching/scheduling-rules.js';
import type { ServingSnapshot } from '../routes/serving-state-tables.js';
import { ServingStatistics, type VersionStatistics } from './version-statistics.js';

/** Opens the connection to a replica of a version; it does not have to answer yet. */
export type OpenReplica = (place: ReplicaPlace, version: ServedVersion) => Replica;

export interface LaneSettings {
  open: OpenReplica;
  clock: Clock;
  log: Logger;
  tracer?: Tracer | undefined;
  random?: (() => number) | undefined;
  quarantine: Quarantine;
  runsPerReplica?: number;
  /** For versions whose manifests say nothing else. */
  maxQueuedRequests: number;
  timeoutMs: number;
  maxQueuedBytes: number;
  replicaWaitMs: number;
}

/** What serves one version: its replicas and the batcher before them. */
export interface VersionLane {
  readonly version: ServedVersion;
  readonly rules: SchedulingRules;
  readonly pool: ReplicaPool;
  readonly batcher: Batcher;
  readonly statistics: VersionStatistics;
  /** Only where the manifest asks for one. */
  readonly cache: ResponseCache | undefined;
}

const sweepEveryMs = 50;

/** One lane for each version that has, or shall have, replicas or traffic. */
export class VersionLanes implements AsyncDisposable {
  readonly statistics = new ServingStatistics();
  private readonly lanes = new Map<string, VersionLane>();
  private readonly closing = new Set<Promise<void>>();
  // One timer for all time limits of all requests.
  private readonly sweeper: NodeJS.Timeout;

  constructor(private readonly settings: LaneSettings) {
    this.sweeper = setInterval(() => {
      for (const { batcher } of this.lanes.values()) batcher.sweep();
    }, sweepEveryMs);
    this.sweeper.unref();
  }

  get all(): Iterable<VersionLane> {
    return this.lanes.values();
  }

  find(versionKey: string): VersionLane | undefined {
    return this.lanes.get(versionKey);
  }

  of(version: ServedVersion): VersionLane {
    let lane = this.lanes.get(version.key);
    if (lane === undefined) this.lanes.set(version.key, (lane = this.open(version)));
    return lane;
  }

  rulesOf(version: ServedVersion): SchedulingRules {
    return schedulingRules(version, this.settings);
  }

  follow(snapshot: ServingSnapshot): void {
    const wanted = new Set<string>();
    for (const { arms, pinned } of snapshot.endpoints.values()) {
      for (const { version } of [...arms, ...pinned.values()]) wanted.add(version.key);
    }
    for (const [key, { desired, places }] of snapshot.replicas) {
      if (desired > 0 || places.length > 0) wanted.add(key);
    }
    for (const key of wanted) {
      const version = snapshot.versions.get(key);
      if (version !== undefined) this.of(version).pool.follow(snapshot.replicas.get(key));
    }
    for (const [key, lane] of this.lanes) {
      if (!wanted.has(key)) this.retire(key, lane);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.sweeper);
    await Promise.all([...this.lanes.values()].map(({ pool }) => pool[Symbol.asyncDispose]()));
    await Promise.all(this.closing);
  }

  private open(version: ServedVersion): VersionLane {
    const { open, clock, log, tracer, random, runsPerReplica, quarantine, maxQueuedBytes, replicaWaitMs } =
      this.settings;
    const rules = this.rulesOf(version);
    const onRoom = (): void => lane.batcher.dispatchSoon();
    const pool = new ReplicaPool({
      open: (place) => open(place, version),
      log,
      clock,
      random,
      onRoom,
      ...(runsPerReplica === undefined ? {} : { runsPerReplica }),
    });
    const statistics = this.statistics.of(version.key);
    const batcher = new Batcher({
      version: version.version,
      rules,
      pool,
      clock,
      log,
      tracing: tracer === undefined ? undefined : new BatchTracing(tracer, version.key),
      statistics,
      maxQueuedBytes,
      replicaWaitMs,
      onAlone: (request, hasKilled) => quarantine.judge(version, request.inputs, hasKilled),
    });
    const { responseCache } = version.settings;
    const cache =
      responseCache === undefined
        ? undefined
        : new ResponseCache(version.contentDigest, responseCache, { clock, statistics });
    const lane: VersionLane = { version, rules, pool, batcher, statistics, cache };
    return lane;
  }

  private retire(key: string, { pool, batcher }: VersionLane): void {
    pool.follow(undefined);
    if (!batcher.isIdle) return;
    this.lanes.delete(key);
    const closing = pool[Symbol.asyncDispose]().finally(() => this.closing.delete(closing));
    this.closing.add(closing);
  }
}
