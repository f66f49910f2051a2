import type { Clock } from '#libs/kernel';
import { SlidingCounts } from '../records/sliding-counts.js';

export interface CircuitBreakerSettings {
  /** Share of failed calls in the window that opens it, 0 to 1. */
  failureRatio: number;
  /** Fewer calls than these in the window say nothing. */
  minCalls: number;
  windowMs: number;
  /** So long nothing goes there after it has opened; then one call tries. */
  openMs: number;
}

export type CircuitState = 'closed' | 'open' | 'half-open';
/** `unknown`: the call says nothing about the target, because its caller ended it, say. */
export type CallOutcome = 'ok' | 'failed' | 'unknown';

/** A call that was let through; it is ended once. */
export interface CircuitPass {
  readonly isTrial: boolean;
  /** Rises with each change: a late answer from before a change says nothing about the time after it. */
  readonly era: number;
}

const ok = 0;
const failed = 1;

/**
 * A circuit breaker (M. Nygard, Release It!): closed it lets everything through, open nothing; after `openMs` it is half
 * open and lets one call at a time try, whose success closes it and whose failure opens it again.
 */
export class CircuitBreaker {
  private readonly counts: SlidingCounts;
  private openedAtMs: number | undefined;
  private era = 0;
  private isTrying = false;

  constructor(
    private readonly settings: CircuitBreakerSettings,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.counts = new SlidingCounts(settings.windowMs, 2, clock);
  }

  get state(): CircuitState {
    if (this.openedAtMs === undefined) return 'closed';
    return this.clock.monotonicMs() - this.openedAtMs < this.settings.openMs ? 'open' : 'half-open';
  }

  /** @returns undefined when the call must not be made now */
  begin(): CircuitPass | undefined {
    const { state, era } = this;
    if (state === 'open' || (state === 'half-open' && this.isTrying)) return undefined;
    const isTrial = state === 'half-open';
    if (isTrial) this.isTrying = true;
    return { isTrial, era };
  }

  end({ isTrial, era }: CircuitPass, outcome: CallOutcome): void {
    if (era !== this.era) return;
    if (isTrial) this.endTrial(outcome);
    else this.count(outcome);
  }

  /** Something went wrong at the target after a call had been ended as good: a stream that broke off, say. */
  fail({ era }: CircuitPass): void {
    if (era === this.era) this.count('failed');
  }

  private count(outcome: CallOutcome): void {
    if (outcome === 'unknown' || this.openedAtMs !== undefined) return;
    this.counts.add(outcome === 'ok' ? ok : failed);
    if (outcome === 'ok') return;
    const failures = this.counts.sum(failed);
    const calls = failures + this.counts.sum(ok);
    if (calls >= this.settings.minCalls && failures >= calls * this.settings.failureRatio) this.open();
  }

  private endTrial(outcome: CallOutcome): void {
    this.isTrying = false;
    if (outcome === 'failed') this.open();
    if (outcome === 'ok') this.close();
  }

  private open(): void {
    this.openedAtMs = this.clock.monotonicMs();
    this.era += 1;
    this.isTrying = false;
  }

  private close(): void {
    this.openedAtMs = undefined;
    this.era += 1;
    this.counts.clear();
  }
}
