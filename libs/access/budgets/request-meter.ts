import type { Consumption } from '#libs/decisions';
import type { PricedPlace } from './price-book.js';

/** What a request may use at most on the version that it goes to. */
export interface WorstCase extends Consumption, PricedPlace {
  /** The caller can lower `tokensOut` by asking for fewer. */
  readonly hasTokenLimit: boolean;
}

export interface Used extends Consumption {
  readonly isFailed: boolean;
}

/** The account of one request: reserve before anything is run, settle once whatever came of it. */
export interface RequestMeter {
  /** Undefined: done at once. @throws SLU_BUDGET_EXHAUSTED, SLU_BUDGET_UNAVAILABLE, both as rejections where it waits */
  reserve(worst: WorstCase): Promise<void> | undefined;
  /** Only the first call counts. Does nothing when nothing was reserved. */
  settle(used: Used): void;
}
