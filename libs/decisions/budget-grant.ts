export interface GrantAsk {
  /** Of the whole budget, in its unit. */
  readonly limit: number;
  /** Of the limit, what nobody has spent and nobody holds. */
  readonly left: number;
  /** What the asking process has of it already and does not use. */
  readonly spare: number;
  /** The worst cases that wait, the oldest first. */
  readonly wishes: readonly number[];
  /** What the process has been spending in a second. */
  readonly perSecond: number;
}

export interface GrantVerdict {
  /** For each wish, whether it is granted. */
  readonly granted: readonly boolean[];
  /** What the process gets on top of its spare; never more than `left`. */
  readonly slice: number;
  /** Near its end a budget is given out to the unit, and what is not used goes back at once. */
  readonly isNearEnd: boolean;
}

/** As much as a process spends in this time it may hold in advance. What it holds when it dies counts as spent. */
const aheadSeconds = 2;
/** Of what is left, so that several processes at work do not starve each other. */
const shareOfLeft = 16;
/** Below this share of the limit nothing is held in advance. */
const nearEndShare = 20;

/**
 * How much of a hard budget one process gets. A wish is granted when it fits into what is left with those granted before
 * it; one that is too large does not stand in the way of smaller ones behind it.
 */
export function grantOf({ limit, left, spare, wishes, perSecond }: GrantAsk): GrantVerdict {
  let open = Math.max(0, left) + spare;
  let used = 0;
  const granted = wishes.map((wish) => {
    if (wish > open) return false;
    open -= wish;
    used += wish;
    return true;
  });
  const needed = Math.max(0, used - spare);
  const leftAfter = Math.max(0, left) - needed;
  const isNearEnd = leftAfter < limit / nearEndShare;
  const wanted = Math.ceil(perSecond * aheadSeconds) - Math.max(0, spare - used);
  const ahead = isNearEnd ? 0 : Math.max(0, Math.min(Math.floor(leftAfter / shareOfLeft), wanted));
  return { granted, slice: needed + ahead, isNearEnd };
}
