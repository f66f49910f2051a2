import type { ThrottlerStorage } from '@nestjs/throttler';
import { LimitSet } from './limit-set.js';
import type { LimitCost, LimitStore } from './ports/limit-store.js';

const oneRequest: LimitCost = { requests: 1, streams: 0, tokens: 0 };
const mostSets = 10_000;

type ThrottlerRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/** Nest's throttler on the store of the limits: the same buckets, without a timer per hit. */
export class LimitThrottlerStorage implements ThrottlerStorage {
  private readonly sets = new Map<string, LimitSet>();

  constructor(private readonly store: LimitStore) {}

  /** @param key whose bucket @param ttl milliseconds in which `limit` requests come back */
  async increment(key: string, ttl: number, limit: number): Promise<ThrottlerRecord> {
    const set = this.setOf(key, ttl, limit);
    const { refusedBy, retryAfterMs, remaining } = await this.store.admit(set, oneRequest);
    const left = remaining[0] ?? 0;
    return {
      // The guard takes more hits than the limit for a refusal.
      totalHits: limit - left + (refusedBy >= 0 ? 1 : 0),
      timeToExpire: Math.ceil(((limit - left) * ttl) / limit / 1_000),
      isBlocked: refusedBy >= 0,
      timeToBlockExpire: refusedBy >= 0 ? Math.max(1, Math.ceil(retryAfterMs / 1_000)) : 0,
    };
  }

  private setOf(key: string, ttl: number, limit: number): LimitSet {
    const name = `${key} ${ttl} ${limit}`;
    let set = this.sets.get(name);
    if (set === undefined) {
      if (this.sets.size >= mostSets) this.sets.clear();
      set = new LimitSet([
        {
          name: 'requests-per-second',
          scope: 'management',
          subject: key,
          kind: 'rate',
          unit: 'requests',
          capacity: limit,
          intervalMs: ttl / limit,
          bucket: `management:${key}`,
        },
      ]);
      this.sets.set(name, set);
    }
    return set;
  }
}
