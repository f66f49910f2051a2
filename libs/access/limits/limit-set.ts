import { minutes, secondsToMs } from '#libs/kernel';
import type { Allowance, LimitName, LimitScope } from './allowance.js';

/** Whose bucket it is in a store: management calls have one of their own. */
export type BucketScope = LimitScope | 'management';

/** One limit of one subject, as a store checks it. */
export interface Limit {
  readonly name: LimitName;
  readonly scope: BucketScope;
  readonly subject: string;
  readonly kind: 'rate' | 'day' | 'slots';
  /** What counts against it. */
  readonly unit: 'requests' | 'tokens' | 'streams';
  /** Most units at once (rate, slots), or in a day. */
  readonly capacity: number;
  /** How long a unit of a rate takes to come back. */
  readonly intervalMs: number;
  /** Names the subject in a store: all its limits share it. */
  readonly bucket: string;
}

/** All limits that hold for one caller at one endpoint, made once and used for every request. */
export class LimitSet {
  /** What a store keeps with the set, so that it looks up nothing twice. */
  notes: unknown = undefined;
  /** The `RateLimit-Policy` header, once somebody has asked for it. */
  policyHeader: string | undefined = undefined;

  constructor(readonly limits: readonly Limit[]) {}

  /** The same limits at a share of their size, for a process that cannot ask the others; none falls below one. */
  scaled(share: number): LimitSet {
    return new LimitSet(
      this.limits.map((limit) => ({
        ...limit,
        capacity: limit.capacity === 0 ? 0 : Math.max(1, Math.floor(limit.capacity * share)),
        intervalMs: limit.intervalMs / share,
      })),
    );
  }
}

export const noLimits = new LimitSet([]);

export function limitsOf(scope: BucketScope, subject: string, allowance: Allowance): Limit[] {
  const limits: Limit[] = [];
  const bucket = `${scope}:${subject}`;
  const add = (
    name: LimitName,
    kind: Limit['kind'],
    unit: Limit['unit'],
    size: number | null | undefined,
    intervalMs = 0,
  ): void => {
    if (size !== null && size !== undefined)
      limits.push({ name, scope, subject, kind, unit, capacity: size, intervalMs, bucket });
  };
  const { requestsPerSecond: rate, tokensPerMinute } = allowance;
  add('requests-per-second', 'rate', 'requests', rate?.burst, secondsToMs(1) / (rate?.perSecond ?? 1));
  add('requests-per-day', 'day', 'requests', allowance.requestsPerDay);
  add(
    'tokens-per-minute',
    'rate',
    'tokens',
    tokensPerMinute,
    secondsToMs(minutes(1)) / Math.max(1, tokensPerMinute ?? 1),
  );
  add('tokens-per-day', 'day', 'tokens', allowance.tokensPerDay);
  add('concurrent-requests', 'slots', 'requests', allowance.concurrentRequests);
  add('concurrent-streams', 'slots', 'streams', allowance.concurrentStreams);
  return limits;
}
