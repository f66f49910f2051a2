import { sluiceError, type Clock, type SluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { RequestQueue, WaitingRequest, type BatchAnswer, type BatchRequest } from './batcher-queue.js';
import { failureOf } from './batcher-failure.js';
import type { BatchTracing } from './batcher-trace.js';
import type { Claim, PooledReplica, ReplicaPool } from './replica-pool.js';
import { splitRows, stackTensors } from './tensor.js';

export interface BatcherSettings {
  version: string;
  maxBatchRows: number;
  pool: ReplicaPool;
  clock: Clock;
  log: Logger;
  tracing?: BatchTracing | undefined;
  maxQueuedRequests: number;
  maxQueuedBytes: number;
  /** How long a request waits for a replica to come up. */
  replicaWaitMs: number;
}

/** Runs that were put together again after a failure. A suspect may have killed its replica and gets the next one alone. */
interface Retry {
  items: WaitingRequest[];
  isSuspect: boolean;
}

const isolateUpTo = 4;
const retryAfterSeconds = 1;

/**
 * Puts the waiting requests of one version together: a batch leaves as soon as a replica has room. Each request gets
 * exactly one answer, its own rows or its own error, whatever happens to the others in its batch.
 */
export class Batcher {
  private readonly queue = new RequestQueue();
  private retries: Retry[] = [];
  private readonly running = new Set<WaitingRequest[]>();
  private isDispatchDue = false;
  private canStack = true;
  readonly totals = { batches: 0, requests: 0, rows: 0 };

  constructor(private readonly settings: BatcherSettings) {}

  get queuedRequests(): number {
    return this.queue.count;
  }

  get queuedBytes(): number {
    return this.queue.bytes;
  }

  get isIdle(): boolean {
    return this.queue.count === 0 && this.retries.length === 0 && this.running.size === 0;
  }

  /** @throws SLU_INFERENCE_QUEUE_FULL, NOT_READY, TIMEOUT, REPLICA_LOST, MODEL_FAILED, OUTPUT; SLU_REQUEST_ABANDONED */
  submit(request: BatchRequest): Promise<BatchAnswer> {
    const { pool, clock, maxQueuedRequests, maxQueuedBytes } = this.settings;
    if (request.caller?.isGone === true) return Promise.reject(sluiceError('SLU_REQUEST_ABANDONED'));
    if (pool.upCount === 0 && !pool.isExpected) return Promise.reject(this.notReady(request));
    if (this.queue.count >= maxQueuedRequests || this.queue.bytes + request.bytes > maxQueuedBytes) {
      return Promise.reject(this.queueFull(request));
    }
    const item = new WaitingRequest(request, clock.monotonicMs(), abandoned);
    const answered = item.answered();
    this.queue.push(item);
    this.dispatchSoon();
    return answered;
  }

  /** To be called when a replica has room, and after each submit. Requests that arrive together leave together. */
  dispatchSoon(): void {
    if (this.isDispatchDue) return;
    this.isDispatchDue = true;
    setImmediate(this.dispatch);
  }

  /** Ends what has waited too long. To be called every now and then: it is the one timer of all requests. */
  sweep(): void {
    const nowMs = this.settings.clock.monotonicMs();
    for (const item of this.queue) this.expire(item, nowMs, true);
    for (const { items } of this.retries) for (const item of items) this.expire(item, nowMs, true);
    for (const items of this.running) for (const item of items) this.expire(item, nowMs, false);
    this.retries = this.retries.filter(({ items }) => items.some((item) => !item.isSettled));
  }

  private readonly dispatch = (): void => {
    this.isDispatchDue = false;
    const { pool } = this.settings;
    for (;;) {
      const retry = this.nextRetry();
      if (retry === undefined && this.queue.count === 0) return;
      const maxRows = this.canStack ? this.settings.maxBatchRows : 0;
      const replica = pool.claim(this.claimFor(retry, maxRows));
      // A suspect at the head holds the others back for one run at most: then some replica is idle.
      if (replica === undefined) return;
      if (retry !== undefined) this.retries.shift();
      const items = retry?.items ?? this.queue.take(maxRows);
      void this.run(items, replica);
    }
  };

  // A full batch is sent ahead to a busy replica. One that can still grow waits until a replica is free, because larger
  // batches cost less than the way there takes.
  private claimFor(retry: Retry | undefined, maxRows: number): Claim {
    if (retry !== undefined) return retry.isSuspect ? 'alone' : 'ahead';
    return this.queue.isNextFull(maxRows) ? 'ahead' : 'idle';
  }

  private nextRetry(): Retry | undefined {
    for (;;) {
      const retry = this.retries[0];
      if (retry === undefined) return undefined;
      retry.items = retry.items.filter((item) => !item.isSettled);
      if (retry.items.length > 0) return retry;
      this.retries.shift();
    }
  }

  private async run(items: WaitingRequest[], member: PooledReplica): Promise<void> {
    const { clock, pool, tracing } = this.settings;
    const startedMs = clock.monotonicMs();
    this.running.add(items);
    let deadlineMs = 0;
    let rows = 0;
    for (const item of items) {
      item.startedMs = startedMs;
      deadlineMs = Math.max(deadlineMs, item.deadlineMs);
      rows += item.request.rows;
    }
    this.count(items.length, rows);
    const trace = tracing?.begin(items, rows);
    try {
      const inputs =
        items.length === 1 ? items[0]!.request.inputs : stackTensors(items.map((item) => item.request.inputs));
      const isRetry = items.some((item) => item.losses > 0);
      const call = { timeoutMs: Math.max(1, deadlineMs - startedMs), traceparent: trace?.traceparent, isRetry };
      const outputs = await member.replica.infer(inputs, call);
      const parts =
        items[0]!.request.stackKey === undefined
          ? [outputs]
          : splitRows(
              outputs,
              items.map((item) => item.request.rows),
            );
      const nowMs = clock.monotonicMs();
      for (let index = 0; index < items.length; index += 1) items[index]!.answer(parts[index]!, nowMs);
      trace?.end();
    } catch (error) {
      trace?.end(error);
      this.recover(items, member, error);
    } finally {
      this.running.delete(items);
      pool.release(member);
      if (!this.isIdle) this.dispatch();
    }
  }

  private count(requests: number, rows: number): void {
    this.totals.batches += 1;
    this.totals.requests += requests;
    this.totals.rows += rows;
  }

  private recover(items: WaitingRequest[], member: PooledReplica, error: unknown): void {
    const failure = failureOf(error, items[0]!.request.timeoutMs);
    if (failure.kind === 'lost') {
      this.settings.pool.lose(member);
      // On a server that is shared a run cannot be kept from others, so waiting for it to be alone would only cost time.
      this.retryLost(items, member.replica.mostRuns === undefined);
    } else if (failure.kind === 'overload') {
      for (const item of items) item.fail(this.overloaded(item, failure.retryAfterSeconds));
    } else if (failure.kind === 'timeout' || items.length === 1) {
      for (const item of items) item.fail(failure.error);
    } else {
      if (failure.kind === 'rows') this.stopStacking(failure.error);
      this.isolate(items, failure.kind === 'rows' ? items.length : isolateUpTo);
    }
  }

  // Which of them killed the replica is unknown. One by one, each on a replica of its own, only the guilty one fails.
  private retryLost(items: readonly WaitingRequest[], isSuspect: boolean): void {
    for (const item of items) {
      item.losses += 1;
      if (item.losses > 1) item.fail(sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { retryAfterSeconds }));
      else if (!item.isSettled) this.retries.push({ items: [item], isSuspect });
    }
  }

  // What was lost once and finds no room for its second try is lost; anything else may simply come again.
  private overloaded({ losses, request }: WaitingRequest, seconds = retryAfterSeconds): SluiceError {
    if (losses > 0) return sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { retryAfterSeconds: seconds });
    return this.queueFull(request, seconds);
  }

  // Halves find one guilty request among many in few runs.
  private isolate(items: readonly WaitingRequest[], oneByOneUpTo: number): void {
    if (items.length <= oneByOneUpTo) {
      for (const item of items) this.retries.push({ items: [item], isSuspect: item.losses > 0 });
      return;
    }
    const half = items.length >> 1;
    for (const part of [items.slice(0, half), items.slice(half)]) this.retries.push({ items: part, isSuspect: false });
  }

  private stopStacking(error: SluiceError): void {
    this.canStack = false;
    this.settings.log.warn(
      { version: this.settings.version, problem: error.message },
      'the model does not keep rows; batching is off for it',
    );
  }

  private expire(item: WaitingRequest, nowMs: number, isWaiting: boolean): void {
    const { pool, replicaWaitMs } = this.settings;
    if (item.isSettled) return;
    if (nowMs >= item.deadlineMs) {
      item.fail(sluiceError('SLU_INFERENCE_TIMEOUT', { seconds: item.request.timeoutMs / 1_000 }));
      return;
    }
    if (!isWaiting || pool.upCount > 0) return;
    const waitedMs = nowMs - Math.max(item.enqueuedMs, pool.downSinceMs);
    if (pool.isExpected && waitedMs < replicaWaitMs) return;
    item.fail(
      item.losses > 0
        ? sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { retryAfterSeconds })
        : this.notReady(item.request),
    );
  }

  private notReady({ endpoint }: BatchRequest): SluiceError {
    return sluiceError('SLU_INFERENCE_NOT_READY', { endpoint, version: this.settings.version }, { retryAfterSeconds });
  }

  private queueFull({ endpoint }: BatchRequest, seconds = retryAfterSeconds): SluiceError {
    return sluiceError(
      'SLU_INFERENCE_QUEUE_FULL',
      { endpoint, retryAfterSeconds: seconds },
      { retryAfterSeconds: seconds },
    );
  }
}

function abandoned(item: WaitingRequest): void {
  item.fail(sluiceError('SLU_REQUEST_ABANDONED'));
}
