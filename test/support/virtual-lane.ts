import pino from 'pino';
import { Batcher, type BatcherSettings } from '../../libs/inference/batching/batcher.js';
import { ReplicaPool, type ReplicaPoolSettings } from '../../libs/inference/replicas/replica-pool.js';
import type { SchedulingRules } from '../../libs/inference/batching/scheduling-rules.js';
import type { Tensor } from '../../libs/inference/tensors/tensor.js';
import { VirtualReplica, type VirtualCall, type VirtualRun } from './virtual-replica.js';
import { VirtualTime } from './virtual-time.js';

export const plainRules: SchedulingRules = {
  maxRows: 8,
  preferredRows: undefined,
  maxDelayMs: 0,
  priorityLevels: 1,
  defaultPriority: 1,
  maxRequests: 2_048,
  defaultTimeoutMs: 60_000,
  longestTimeoutMs: 60_000,
};

export interface VirtualLaneSettings {
  model: (inputs: readonly Tensor[]) => Tensor[];
  /** What the next run is like. */
  script?: (runs: number) => VirtualCall;
  replicas?: number;
  rules?: Partial<SchedulingRules>;
  pool?: Partial<ReplicaPoolSettings>;
  batcher?: Partial<BatcherSettings>;
}

/** A version's batcher and replicas in virtual time, swept as in the service. */
export class VirtualLane implements AsyncDisposable {
  readonly time = new VirtualTime();
  readonly runs: VirtualRun[] = [];
  readonly batcher: Batcher;
  readonly pool: ReplicaPool;

  constructor({ model, script = () => ({ runMs: 1 }), ...settings }: VirtualLaneSettings) {
    const { time, runs } = this;
    const { clock, timers } = time;
    const log = pino({ level: 'silent' });
    this.pool = new ReplicaPool({
      open: ({ id }) => new VirtualReplica(id, time, model, () => script(runs.length), runs),
      log,
      clock,
      timers,
      probeEveryMs: 1,
      onRoom: () => this.batcher.dispatchSoon(),
      ...settings.pool,
    });
    this.batcher = new Batcher({
      version: '1',
      rules: { ...plainRules, ...settings.rules },
      pool: this.pool,
      clock,
      timers,
      log,
      maxQueuedBytes: 1_000_000,
      replicaWaitMs: 5_000,
      ...settings.batcher,
    });
    this.follow(settings.replicas ?? 1);
    this.sweep();
  }

  /** From now on there are so many replicas: r0, r1, ... */
  follow(replicas: number): void {
    const places = Array.from({ length: replicas }, (_none, index) => ({
      id: `r${index}`,
      address: '',
      model: 'm',
      version: '1',
      state: 'ready' as const,
      reason: null,
      startedAt: new Date(0),
      endedAt: null,
    }));
    this.pool.follow({ desired: replicas, newest: undefined, places });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }

  private sweep(): void {
    this.batcher.sweep();
    this.time.timers.after(50, () => this.sweep());
  }
}
