import { sluiceError, type Clock, type SluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { DrainRate } from './batcher-drain-rate.js';
import { failureOf } from './batcher-failure.js';
import { Refusals, retryAfterSeconds } from './batcher-refusals.js';
import { RequestQueue, type BatchPlan, type PlanRules } from './batcher-queue.js';
import { WaitingRequest, type BatchAnswer, type BatchRequest } from './batcher-request.js';
import { Retries, type Retry } from './batcher-retries.js';
import { systemTimers, type LaneTimers } from './batcher-timers.js';
import { BatcherTotals } from './batcher-totals.js';
import type { BatchTracing } from './batcher-trace.js';
import type { Claim, PooledReplica, ReplicaPool } from '../replicas/replica-pool.js';
import type { SchedulingRules } from './scheduling-rules.js';
import { splitRows, stackTensors, type Tensor } from '../tensors/tensor.js';
import type { VersionStatistics } from '../service/version-statistics.js';

export interface BatcherSettings {
  version: string;
  rules: SchedulingRules;
  pool: ReplicaPool;
  clock: Clock;
  timers?: LaneTimers | undefined;
  log: Logger;
  tracing?: BatchTracing | undefined;
  statistics?: VersionStatistics | undefined;
  maxQueuedBytes: number;
  /** How long a request waits for a replica to come up. */
  replicaWaitMs: number;
  /** A run of this one request ended with the replica's death, or, after such a death, well. */
  onAlone?: ((request: BatchRequest, hasKilled: boolean) => void) | undefined;
}

/**
 * Puts the waiting requests of one version together: a batch leaves as soon as a replica has room, or as its rules say.
 * Each request gets exactly one answer, its own rows or its own error, whatever happens to the others in its batch.
 */
export class Batcher {
  readonly queue: RequestQueue;
  readonly totals: BatcherTotals;
  readonly drain = new DrainRate();
  private readonly timers: LaneTimers;
  private readonly retries = new Retries();
  private readonly refusals: Refusals;
  private readonly running = new Set<WaitingRequest[]>();
  private isDispatchDue = false;
  private canStack = true;
  // The lane's one timer, for the batch that is held back.
  private holdUntilMs = Infinity;
  private callOffHold: (() => void) | undefined;

  constructor(private readonly settings: BatcherSettings) {
    const { rules, maxQueuedBytes, timers = systemTimers } = settings;
    const { maxRequests, priorityLevels } = rules;
    this.timers = timers;
    this.queue = new RequestQueue({ maxRequests, maxBytes: maxQueuedBytes, priorityLevels });
    this.totals = new BatcherTotals(priorityLevels);
    this.refusals = new Refusals(settings.version, this.queue, this.drain);
  }

  get queuedRequests(): number {
    return this.queue.count;
  }

  get queuedBytes(): number {
    return this.queue.bytes;
  }

  get isIdle(): boolean {
    return this.queue.count === 0 && this.retries.isEmpty && this.running.size === 0;
  }

  /**
   * @throws SLU_INFERENCE_QUEUE_FULL, OVERUSE, NOT_READY, TIMEOUT, REPLICA_LOST, MODEL_FAILED, OUTPUT;
   * SLU_REQUEST_ABANDONED
   */
  submit(request: BatchRequest): Promise<BatchAnswer> {
    const { pool, clock } = this.settings;
    if (request.caller?.isGone === true) return Promise.reject(sluiceError('SLU_REQUEST_ABANDONED'));
    if (pool.upCount === 0 && !pool.isExpected) return Promise.reject(this.refusals.notReady(request));
    const nowMs = clock.monotonicMs();
    const refusal = this.queue.refusalOf(request, (victim) => this.evict(victim, nowMs));
    if (refusal !== undefined) {
      this.totals.refused[refusal] += 1;
      return Promise.reject(this.refusals[refusal](request, nowMs));
    }
    const item = new WaitingRequest(request, nowMs, abandoned);
    const answered = item.answered();
    this.queue.push(item);
    this.dispatchSoon();
    return answered;
  }

  /** To be called when a replica has room, and after each submit. Requests that arrive together leave together. */
  dispatchSoon(): void {
    if (this.isDispatchDue) return;
    this.isDispatchDue = true;
    this.timers.soon(this.dispatch);
  }

  /** Ends what has waited too long. To be called every now and then: it is the one timer of all requests. */
  sweep(): void {
    const nowMs = this.settings.clock.monotonicMs();
    for (const item of this.queue) this.expire(item, nowMs);
    this.retries.sweep(nowMs, this.expire);
    for (const items of this.running) for (const item of items) this.expire(item, nowMs, false);
  }

  private readonly dispatch = (): void => {
    this.isDispatchDue = false;
    for (;;) {
      const retry = this.retries.isEmpty
        ? undefined
        : this.retries.next(this.settings.clock.monotonicMs(), this.expire);
      if (retry === undefined && this.queue.count === 0) return;
      // A suspect at the head holds the others back for one run at most: then some replica is idle.
      if (!(retry === undefined ? this.sendNext() : this.sendRetry(retry))) return;
    }
  };

  private sendRetry({ items, isSuspect }: Retry): boolean {
    const claim: Claim = isSuspect ? 'alone' : 'ahead';
    const member = this.settings.pool.pick(claim);
    if (member === undefined) return false;
    this.retries.begun();
    this.start(items, member, claim);
    return true;
  }

  /**
   * A full batch is sent ahead to a busy replica. One that can still grow waits until a replica is free, because larger
   * batches cost less than the way there takes. @returns whether to go on
   */
  private sendNext(): boolean {
    const { pool, clock, rules } = this.settings;
    let claim: Claim = 'idle';
    let member = pool.pick(claim);
    if (member === undefined) {
      claim = 'ahead';
      member = pool.pick(claim);
      if (member === undefined) return false;
    }
    const own = this.planRules(rules, member);
    if (claim === 'ahead' && !this.queue.mayBeFull(own)) return false;
    const nowMs = clock.monotonicMs();
    const plan = this.planNext(own, nowMs);
    for (const item of plan.expired) this.expire(item, nowMs);
    if (plan.items.length === 0) return true;
    if (!plan.isFull && claim === 'ahead') return false;
    if (isHeld(plan, nowMs)) {
      this.hold(plan, nowMs);
      return false;
    }
    this.queue.depart(plan);
    for (const { request, enqueuedMs } of plan.items) this.totals.left(request.priority, nowMs - enqueuedMs);
    this.start(plan.items, member, claim);
    return true;
  }

  // While the batch whose turn it is waits for more rows, one of another shape that need not wait goes before it.
  private planNext(rules: PlanRules, nowMs: number): BatchPlan {
    let next = this.queue.plan(rules, nowMs);
    if (!isHeld(next, nowMs)) return next;
    for (const key of this.queue.keys()) {
      if (key === next.key) continue;
      const other = this.queue.plan(rules, nowMs, key);
      if (!isHeld(other, nowMs)) return other;
      if (other.holdUntilMs < next.holdUntilMs) next = other;
    }
    return next;
  }

  private planRules(rules: SchedulingRules, member: PooledReplica): PlanRules {
    if (!this.canStack) return { maxRows: 0, preferredRows: undefined, maxDelayMs: 0 };
    const share = this.settings.pool.shareOf(member);
    return share >= 1 ? rules : { ...rules, maxRows: Math.max(1, Math.floor(rules.maxRows * share)) };
  }

  private hold({ holdUntilMs }: BatchPlan, nowMs: number): void {
    if (this.callOffHold !== undefined && this.holdUntilMs <= holdUntilMs) return;
    this.callOffHold?.();
    this.holdUntilMs = holdUntilMs;
    this.callOffHold = this.timers.after(holdUntilMs - nowMs, () => {
      this.callOffHold = undefined;
      this.dispatch();
    });
  }

  private start(items: WaitingRequest[], member: PooledReplica, claim: Claim): void {
    this.settings.pool.take(member, claim);
    void this.run(items, member);
  }

  private async run(items: WaitingRequest[], member: PooledReplica): Promise<void> {
    const { clock, pool, tracing } = this.settings;
    const startedMs = clock.monotonicMs();
    this.running.add(items);
    this.drain.busy(startedMs);
    let deadlineMs = 0;
    let rows = 0;
    let queuedMs = 0;
    for (const item of items) {
      item.startedMs = startedMs;
      queuedMs += startedMs - item.enqueuedMs;
      deadlineMs = Math.max(deadlineMs, item.deadlineMs);
      rows += item.request.rows;
    }
    this.totals.ran(items.length, rows);
    const trace = tracing?.begin(items, rows);
    try {
      const inputs =
        items.length === 1 ? items[0]!.request.inputs : stackTensors(items.map((item) => item.request.inputs));
      const isRetry = items.some((item) => item.losses > 0);
      const call = { timeoutMs: Math.max(1, deadlineMs - startedMs), traceparent: trace?.traceparent, isRetry };
      const sentMs = clock.monotonicMs();
      const outputs = await member.replica.infer(inputs, call);
      const answeredMs = clock.monotonicMs();
      const nowMs = this.answer(items, outputs);
      this.settings.statistics?.executed({
        rows,
        requests: items.length,
        queuedMs,
        inputMs: sentMs - startedMs,
        inferMs: answeredMs - sentMs,
        outputMs: nowMs - answeredMs,
      });
      trace?.end();
    } catch (error) {
      trace?.end(error);
      this.recover(items, member, error);
    } finally {
      this.running.delete(items);
      this.drain.answered(items.length, clock.monotonicMs(), this.running.size > 0);
      pool.release(member);
      if (!this.isIdle) this.dispatch();
    }
  }

  /** @returns when it did so, on the monotonic clock @throws SLU_INFERENCE_OUTPUT */
  private answer(items: readonly WaitingRequest[], outputs: readonly Tensor[]): number {
    const [first] = items;
    const parts =
      first!.request.stackKey === undefined
        ? [outputs]
        : splitRows(
            outputs,
            items.map((item) => item.request.rows),
          );
    const nowMs = this.settings.clock.monotonicMs();
    for (let index = 0; index < items.length; index += 1) items[index]!.answer(parts[index]!, nowMs);
    if (items.length === 1) this.settings.onAlone?.(first!.request, false);
    return nowMs;
  }

  private recover(items: WaitingRequest[], member: PooledReplica, error: unknown): void {
    const failure = failureOf(error, items[0]!.request);
    if (failure.kind === 'lost') {
      this.settings.pool.lose(member);
      const isOwn = member.replica.mostRuns === undefined;
      if (isOwn && failure.isDeath && items.length === 1) this.settings.onAlone?.(items[0]!.request, true);
      // On a server that is shared a run cannot be kept from others, so waiting for it to be alone would only cost time.
      this.retries.lost(items, isOwn);
    } else if (failure.kind === 'overload') {
      for (const item of items) item.fail(this.overloaded(item, failure.retryAfterSeconds));
    } else if (failure.kind === 'replica') {
      for (const item of items) item.fail(failure.error);
    } else if (failure.kind === 'timeout' || items.length === 1) {
      for (const item of items) item.fail(failure.error);
    } else {
      if (failure.kind === 'rows') this.stopStacking(failure.error);
      this.retries.isolate(items, failure.kind === 'rows');
    }
  }

  // What was lost once and finds no room for its second try is lost; anything else may simply come again.
  private overloaded({ losses, request }: WaitingRequest, seconds = retryAfterSeconds): SluiceError {
    if (losses > 0) return sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { retryAfterSeconds: seconds });
    return this.refusals.overload(request, this.settings.clock.monotonicMs(), seconds);
  }

  private stopStacking(error: SluiceError): void {
    this.canStack = false;
    this.settings.log.warn(
      { version: this.settings.version, problem: error.message },
      'the model does not keep rows; batching is off for it',
    );
  }

  private readonly expire = (item: WaitingRequest, nowMs: number, isWaiting = true): void => {
    const { pool, replicaWaitMs } = this.settings;
    if (item.isSettled) return;
    if (nowMs >= item.deadlineMs) {
      if (isWaiting) this.totals.expired += 1;
      item.fail(sluiceError('SLU_INFERENCE_TIMEOUT', { seconds: item.request.timeoutMs / 1_000 }));
      return;
    }
    if (!isWaiting || pool.upCount > 0) return;
    const waitedMs = nowMs - Math.max(item.enqueuedMs, pool.downSinceMs);
    if (pool.isExpected && waitedMs < replicaWaitMs) return;
    item.fail(
      item.losses > 0
        ? sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { retryAfterSeconds })
        : this.refusals.notReady(item.request),
    );
  };

  private evict(victim: WaitingRequest, nowMs: number): void {
    this.totals.evicted += 1;
    victim.fail(this.refusals.overuse(victim.request, nowMs));
  }
}

const isHeld = ({ items, isFull, isPreferred, holdUntilMs }: BatchPlan, nowMs: number): boolean =>
  items.length > 0 && !isFull && !isPreferred && nowMs < holdUntilMs;

function abandoned(item: WaitingRequest): void {
  item.fail(sluiceError('SLU_REQUEST_ABANDONED'));
}
