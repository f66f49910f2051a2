import { SluiceError, sluiceError, type ErrorDetail } from '#libs/kernel';
import { openAiLimitHeaders, policyHeader, rateLimitItem } from './limit-headers.js';
import type { Limit, LimitSet } from './limit-set.js';
import type { LimitCost, LimitVerdict } from './ports/limit-store.js';

/** A limit is used up: which one, whose, how large it is, and when it has room again. */
export class LimitRefusal extends SluiceError {
  constructor(
    readonly limit: Limit,
    private readonly set: LimitSet,
    private readonly verdict: LimitVerdict,
    cost: LimitCost,
  ) {
    const isNever = verdict.retryAfterMs === Infinity;
    const retryAfterSeconds = Math.max(1, Math.ceil(verdict.retryAfterMs / 1_000));
    const detail: ErrorDetail = { limit: limit.name, scope: limit.scope, allowed: allowedText(limit) };
    super(
      isNever ? 'SLU_ACCESS_LIMIT_NEVER' : 'SLU_ACCESS_LIMIT_REACHED',
      isNever ? { ...detail, asked: cost[limit.unit] } : { ...detail, retryAfterSeconds },
      isNever ? {} : { retryAfterSeconds },
    );
  }

  get retryAfterMs(): number {
    return this.verdict.retryAfterMs;
  }

  /** What an answer over HTTP says besides the error. */
  get headers(): [name: string, value: string][] {
    const { set, verdict } = this;
    const standing = rateLimitItem(set, verdict, verdict.refusedBy, verdict.retryAfterMs);
    return [
      ['ratelimit-policy', policyHeader(set)],
      ['ratelimit', standing],
    ];
  }

  get openAiHeaders(): [name: string, value: string][] {
    return openAiLimitHeaders(this.set, this.verdict);
  }
}

/** @throws LimitRefusal; SLU_INTERNAL when the store names a limit that the set does not have */
export function refuse(set: LimitSet, verdict: LimitVerdict, cost: LimitCost): never {
  const limit = set.limits[verdict.refusedBy];
  if (limit === undefined) throw sluiceError('SLU_INTERNAL');
  throw new LimitRefusal(limit, set, verdict, cost);
}

function allowedText({ name, capacity, intervalMs }: Limit): string {
  if (name !== 'requests-per-second') return String(capacity);
  return `${Number((1_000 / intervalMs).toPrecision(6))}, at once ${capacity}`;
}
