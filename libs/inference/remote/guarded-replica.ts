import type { Clock } from '#libs/kernel';
import { CallSlots } from './call-slots.js';
import { CircuitBreaker, type CallOutcome, type CircuitBreakerSettings, type CircuitPass } from './circuit-breaker.js';
import { type Replica, type ReplicaCall, ReplicaFailure, type ReplicaMetadata } from '../ports/replica.js';
import type { RetryBudget } from './retry-budget.js';
import type { Tensor } from '../tensors/tensor.js';

export interface HealthProbe extends AsyncDisposable {
  /** @returns why it is not ready, undefined when it is. Never rejects. */
  problem(): Promise<string | undefined>;
}

export interface ReplicaGuardSettings {
  clock: Clock;
  /** Most calls at the same time; more wait in the order of coming, at most their own time. */
  maxConcurrency: number;
  /** Most time of one call, the wait for its place and its retry included. */
  timeoutMs: number;
  breaker: CircuitBreakerSettings;
  /** Shared by all replicas of a version. */
  budget: RetryBudget;
  probeEveryMs: number;
  /** Asks the server whether it is ready, and is closed with the replica. */
  probe: HealthProbe;
  /** Why nothing may be sent there at all, for now: a secret that is not set, say. */
  hindrance?: (() => string | undefined) | undefined;
  /** Takes out of a message what must not be shown. */
  scrub?: ((text: string) => string) | undefined;
  onChange?: ((change: string) => void) | undefined;
}

interface Attempt<T> {
  result: T;
  pass: CircuitPass;
}

/** One of the server's places, and the call with the time that it has left. */
interface Place {
  call: ReplicaCall;
  release: () => void;
}

/** A call that had less time than this says nothing about the server when it ran out of it. */
const fairTimeMs = 1_000;
const longestPauseMs = 30_000;
const firstProbeBackOffMs = 200;
/** One health check may fail by chance. */
const failedProbesUntilOut = 2;

/**
 * Stands before a replica on a server that is not ours: at most so many calls at a time, each with a limit of its time; a
 * circuit breaker; one retry of what was lost, within a budget; and health checks of its own while it has seen no success.
 */
export class GuardedReplica implements Replica {
  readonly id: string;
  private readonly breaker: CircuitBreaker;
  private readonly slots: CallSlots;
  private readonly listeners = new Set<() => void>();
  private probeTimer: NodeJS.Timeout | undefined;
  private pausedUntilMs = -Infinity;
  private nextProbeMs = -Infinity;
  private failedProbes = 0;
  private lastGoodMs = -Infinity;
  private lastProblem: string | undefined;
  private isIn = false;

  constructor(
    protected readonly inner: Replica,
    protected readonly guard: ReplicaGuardSettings,
  ) {
    this.id = inner.id;
    this.breaker = new CircuitBreaker(guard.breaker, guard.clock);
    this.slots = new CallSlots(guard.maxConcurrency);
  }

  get mostRuns(): number {
    if (this.isPaused || this.guard.hindrance?.() !== undefined) return 0;
    switch (this.breaker.state) {
      case 'open':
        return 0;
      case 'half-open':
        return 1;
      case 'closed':
        return this.guard.maxConcurrency;
    }
  }

  onOut(listener: () => void): void {
    this.listeners.add(listener);
    if (this.probeTimer !== undefined) return;
    this.probeTimer = setInterval(() => void this.lookAfter(), this.guard.probeEveryMs);
    this.probeTimer.unref();
  }

  async isReady(): Promise<boolean> {
    const { clock } = this.guard;
    if (this.isPaused || this.breaker.state === 'open' || clock.monotonicMs() < this.nextProbeMs) return false;
    if ((await this.problem()) !== undefined) return false;
    this.isIn = true;
    return true;
  }

  metadata(): Promise<ReplicaMetadata> {
    return this.inner.metadata();
  }

  async infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]> {
    const place = this.takePlace(call) ?? (await this.waitForPlace(call));
    try {
      return (await this.attempt(place.call, (once) => this.inner.infer(inputs, once))).result;
    } catch (error) {
      throw this.shown(error);
    } finally {
      place.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.probeTimer);
    this.listeners.clear();
    await Promise.all([this.inner[Symbol.asyncDispose](), this.guard.probe[Symbol.asyncDispose]()]);
  }

  /** A place at the server if one is free: nearly every call gets it so, without a promise. @throws ReplicaFailure */
  protected takePlace(call: ReplicaCall): Place | undefined {
    const { budget, timeoutMs, hindrance } = this.guard;
    const problem = hindrance?.();
    if (problem !== undefined) throw new ReplicaFailure('lost', problem);
    if (call.isRetry !== true) budget.noteCall();
    else if (!budget.take())
      throw new ReplicaFailure('overload', 'too much is tried again already', { retryAfterSeconds: 1 });
    const release = this.slots.take();
    if (release === undefined) return undefined;
    return { call: call.timeoutMs <= timeoutMs ? call : { ...call, timeoutMs }, release };
  }

  /** After `takePlace` has found none. @returns the call with the time that is left of it @throws ReplicaFailure */
  protected async waitForPlace(call: ReplicaCall): Promise<Place> {
    const { clock, timeoutMs: mostMs } = this.guard;
    const timeoutMs = Math.min(call.timeoutMs, mostMs);
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const release = await this.slots.acquire({ ...call, timeoutMs });
    return { call: { ...call, timeoutMs: Math.max(1, deadlineMs - clock.monotonicMs()) }, release };
  }

  /**
   * Sends it, and once more when it was lost before an answer and the budget has room.
   * @param judge what an answer says about the server
   */
  protected async attempt<T>(
    call: ReplicaCall,
    send: (call: ReplicaCall) => Promise<T>,
    judge: (result: T) => CallOutcome = () => 'ok',
  ): Promise<Attempt<T>> {
    const { clock } = this.guard;
    const deadlineMs = clock.monotonicMs() + call.timeoutMs;
    for (let once = call, isLast = false; ; isLast = true) {
      const pass = this.breaker.begin();
      if (pass === undefined)
        throw new ReplicaFailure('lost', 'nothing is sent to this server for now: its calls failed');
      try {
        const result = await send(once);
        const outcome = judge(result);
        this.endPass(pass, outcome);
        if (outcome === 'ok') this.lastGoodMs = clock.monotonicMs();
        return { result, pass };
      } catch (error) {
        this.noteFailure(error, pass, once);
        const timeoutMs = deadlineMs - clock.monotonicMs();
        if (isLast || !this.mayRetry(error, call, timeoutMs)) throw error;
        once = { ...call, timeoutMs };
      }
    }
  }

  private noteFailure(error: unknown, pass: CircuitPass, call: ReplicaCall): void {
    this.lastProblem = wordsOf(error);
    this.endPass(pass, outcomeOf(error, call, this.guard.timeoutMs));
    if (error instanceof ReplicaFailure && error.kind === 'overload') this.pause(error.retryAfterSeconds ?? 1);
  }

  /** The server broke off an answer that had begun well. */
  protected failLate(pass: CircuitPass): void {
    this.watchBreaker(() => this.breaker.fail(pass));
  }

  /** It has asked for patience. What it names is believed within reason: a wrong number must not cost a day. */
  protected pause(seconds: number): void {
    const untilMs = this.guard.clock.monotonicMs() + Math.min(longestPauseMs, seconds * 1_000);
    this.pausedUntilMs = Math.max(this.pausedUntilMs, untilMs);
    if (this.isPaused) this.goOut();
  }

  private get isPaused(): boolean {
    return this.guard.clock.monotonicMs() < this.pausedUntilMs;
  }

  private mayRetry(error: unknown, call: ReplicaCall, timeoutMs: number): boolean {
    if (!(error instanceof ReplicaFailure) || error.kind !== 'lost') return false;
    // What comes from another replica was tried twice with this one. And a server that is out gets nothing more.
    if (call.isRetry === true || call.signal?.aborted === true || timeoutMs < 1) return false;
    return this.breaker.state === 'closed' && this.guard.budget.take();
  }

  private endPass(pass: CircuitPass, outcome: CallOutcome): void {
    this.watchBreaker(() => this.breaker.end(pass, outcome));
  }

  private watchBreaker(work: () => void): void {
    const before = this.breaker.state;
    work();
    const { state } = this.breaker;
    if (state === before) return;
    const { lastProblem } = this;
    const why = lastProblem === undefined ? '' : `; the last one: ${lastProblem}`;
    this.guard.onChange?.(
      state === 'open' ? `its circuit opens, too many of its calls failed${why}` : 'its circuit closes',
    );
    if (state === 'open') this.goOut();
  }

  private goOut(): void {
    this.isIn = false;
    for (const listener of this.listeners) listener();
  }

  // Calls that go well are the best health check; only a server without them is asked.
  private async lookAfter(): Promise<void> {
    const { clock, probeEveryMs } = this.guard;
    if (!this.isIn || this.breaker.state === 'open') return;
    if (clock.monotonicMs() - this.lastGoodMs < probeEveryMs) return;
    const isHindered = this.guard.hindrance?.() !== undefined;
    const problem = await this.problem();
    if (problem === undefined || !this.isIn) return;
    if (!isHindered && this.failedProbes < failedProbesUntilOut) return;
    this.guard.onChange?.(`it fails its health checks: ${problem}`);
    this.goOut();
  }

  /** One health check, in the pace of a server that does not answer: less and less often. */
  private async problem(): Promise<string | undefined> {
    const { clock, probeEveryMs, hindrance, probe } = this.guard;
    const problem = hindrance?.() ?? (await probe.problem());
    if (problem === undefined) {
      this.failedProbes = 0;
      return undefined;
    }
    this.failedProbes += 1;
    const backOffMs = firstProbeBackOffMs * 2 ** Math.min(16, this.failedProbes - 1);
    this.nextProbeMs = clock.monotonicMs() + Math.min(probeEveryMs, backOffMs);
    return problem;
  }

  // Servers like to repeat what they were sent.
  protected shown(error: unknown): unknown {
    if (!(error instanceof ReplicaFailure) || this.guard.scrub === undefined) return error;
    const message = this.guard.scrub(error.message);
    if (message === error.message) return error;
    const { kind, blame, retryAfterSeconds, status } = error;
    // Without its cause, whose words may be the same.
    return new ReplicaFailure(kind, message, { blame, retryAfterSeconds, status });
  }
}

/** What the log may say of it. A server's own words about an input may repeat it, as its answers do that nobody can read. */
function wordsOf(error: unknown): string | undefined {
  if (!(error instanceof ReplicaFailure)) return undefined;
  const { message, cause, status } = error;
  if (status !== undefined) return `it answers ${status}`;
  return cause instanceof Error && !message.includes(cause.message) ? `${message}: ${cause.message}` : message;
}

/** What a failed call says about the server. */
function outcomeOf(error: unknown, call: ReplicaCall, limitMs: number): CallOutcome {
  if (call.signal?.aborted === true || !(error instanceof ReplicaFailure)) return 'unknown';
  // Callers choose how long they wait: one in a hurry must not close the door for the others.
  if (error.kind === 'timeout') return call.timeoutMs < Math.min(limitMs / 2, fairTimeMs) ? 'unknown' : 'failed';
  if (error.kind === 'overload') return 'unknown';
  return error.blame === 'input' ? 'ok' : 'failed';
}
