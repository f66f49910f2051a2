import { secondsToMs, type Clock } from '#libs/kernel';
import { SlidingCounts } from '../records/sliding-counts.js';

const windowMs = secondsToMs(10);
/** So many are free in each window, so that a quiet version may retry at all. */
const freeRetries = 10;
const call = 0;
const retry = 1;

/**
 * How much may be tried again: at most `ratio` of the calls of the last ten seconds, and ten in any case unless the ratio
 * is 0. When everything fails, retries then add a share to the load and do not multiply it.
 */
export class RetryBudget {
  private readonly counts: SlidingCounts;

  /** @param ratio 0 to 1 */
  constructor(
    private readonly ratio: number,
    clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.counts = new SlidingCounts(windowMs, 2, clock);
  }

  noteCall(): void {
    this.counts.add(call);
  }

  /** Takes one retry out of the budget. @returns false when nothing is left: the failure stands */
  take(): boolean {
    if (this.ratio === 0) return false;
    if (this.counts.sum(retry) + 1 > Math.max(freeRetries, this.ratio * this.counts.sum(call))) return false;
    this.counts.add(retry);
    return true;
  }
}
