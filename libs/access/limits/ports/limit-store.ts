import type { LimitSet } from '../limit-set.js';

/** What one admission takes of each unit. */
export interface LimitCost {
  readonly requests: 0 | 1;
  readonly streams: 0 | 1;
  readonly tokens: number;
}

export interface LimitVerdict {
  /** Which of the set's limits refuses, the one that stays shut longest first; -1: admitted. */
  readonly refusedBy: number;
  /** When that limit has room again; Infinity when it never has for so much. */
  readonly retryAfterMs: number;
  /** What is left of each limit of the set after this admission, whole units. */
  readonly remaining: readonly number[];
  readonly untilNextDayMs: number;
  /** Gives back the slots; undefined when refused. */
  readonly hold: LimitHold | undefined;
}

/** What an admission took, so that it can be given back. Only the store that made it looks inside. */
export interface LimitHold {
  readonly set: LimitSet;
  readonly cost: LimitCost;
  /** The UTC day that it was counted in. */
  readonly day: number;
}

/**
 * Where use is counted. All limits of a set are taken or none is. A store whose clock steps back gives nobody more for it,
 * and locks nobody out. In process the answer is there at once; over a wire it is a promise that rejects within a bounded
 * time when the store cannot be asked.
 */
export interface LimitStore {
  admit(set: LimitSet, cost: LimitCost): LimitVerdict | Promise<LimitVerdict>;
  /**
   * Gives back the slots, and counts the tokens that were used instead of those that were reserved. Never throws: what
   * does not arrive runs out by itself.
   */
  end(hold: LimitHold, usedTokens: number): void;
}
