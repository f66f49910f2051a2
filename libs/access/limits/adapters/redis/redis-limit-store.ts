import { randomBytes } from 'node:crypto';
import { secondsToMs } from '#libs/kernel';
import type { Cluster, Redis } from 'ioredis';
import type { LimitSet } from '../../limit-set.js';
import type { LimitCost, LimitHold, LimitStore, LimitVerdict } from '../../ports/limit-store.js';
import { admitScript, endScript, redisPrefix, redisTimeLua, renewScript } from './limit-scripts.js';

interface RedisHold extends LimitHold {
  readonly lease: string;
  takenMs: number;
}

interface SetNotes {
  readonly keys: readonly string[];
  readonly limits: readonly (string | number)[];
  readonly hasSlots: boolean;
  readonly hasTokens: boolean;
}

type Script = (keyCount: number, ...args: (string | number)[]) => Promise<number[]>;
type Scripts = Record<'sluiceAdmit' | 'sluiceEnd' | 'sluiceRenew', Script>;

export interface RedisLimitStoreSettings {
  redis: Redis | Cluster;
  /** A slot that was neither given back nor renewed for so long is free: its process has died. */
  leaseSeconds?: number;
  /** Lua that sets `wall`; the server's clock by default. */
  timeLua?: string;
}

const defaultLeaseSeconds = 30;
const renewalsPerLease = 3;

/** Counts in Redis for all API processes together: one script, and so one round trip, for all limits of a request. */
export class RedisLimitStore implements LimitStore, Disposable {
  private readonly scripts: Scripts;
  private readonly leaseMs: number;
  private readonly process = randomBytes(9).toString('base64url');
  private leases = 0;
  private readonly held = new Set<RedisHold>();
  private readonly renewer: NodeJS.Timeout;

  constructor({ redis, leaseSeconds = defaultLeaseSeconds, timeLua = redisTimeLua }: RedisLimitStoreSettings) {
    redis.defineCommand('sluiceAdmit', { lua: admitScript(timeLua) });
    redis.defineCommand('sluiceEnd', { lua: endScript(timeLua) });
    redis.defineCommand('sluiceRenew', { lua: renewScript(timeLua) });
    this.scripts = redis as unknown as Scripts;
    this.leaseMs = secondsToMs(leaseSeconds);
    this.renewer = setInterval(() => this.renew(), this.leaseMs / renewalsPerLease);
    this.renewer.unref();
  }

  /** @throws what the client says when Redis does not answer in time */
  async admit(set: LimitSet, cost: LimitCost): Promise<LimitVerdict> {
    const { keys, limits, hasSlots } = notesOf(set);
    const lease = `${this.process}:${(this.leases += 1)}`;
    const { requests, streams, tokens } = cost;
    const { leaseMs, scripts } = this;
    const takenMs = performance.now();
    const asked = scripts.sluiceAdmit(keys.length, ...keys, requests, streams, tokens, lease, leaseMs, ...limits);
    // An answer that comes too late may have taken slots that nobody holds; on one connection this comes after it.
    asked.catch(() => hasSlots && this.free(keys, lease));
    const answer = await asked;
    const [refusedBy = 0, waitMs = 0, day = 0, untilNextDayMs = 0, ...remaining] = answer;
    const retryAfterMs = waitMs < 0 ? Infinity : waitMs;
    if (refusedBy >= 0) return { refusedBy, retryAfterMs, remaining, untilNextDayMs, hold: undefined };
    const hold: RedisHold = { set, cost, day, lease, takenMs };
    if (hasSlots) this.held.add(hold);
    return { refusedBy, retryAfterMs, remaining, untilNextDayMs, hold };
  }

  end(given: LimitHold, usedTokens: number): void {
    const hold = given as RedisHold;
    this.held.delete(hold);
    const { keys, limits, hasSlots, hasTokens } = notesOf(hold.set);
    const more = hasTokens ? usedTokens - hold.cost.tokens : 0;
    if (!hasSlots && more === 0) return;
    const corrections = more === 0 ? [] : limits;
    this.scripts.sluiceEnd(keys.length, ...keys, hold.lease, more, hold.day, ...corrections).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    clearInterval(this.renewer);
  }

  private free(keys: readonly string[], lease: string): void {
    this.scripts.sluiceEnd(keys.length, ...keys, lease, 0, 0).catch(() => undefined);
  }

  private renew(): void {
    const lateMs = performance.now() - this.leaseMs / renewalsPerLease / 2;
    for (const hold of this.held) {
      if (hold.takenMs > lateMs) continue;
      const { keys } = notesOf(hold.set);
      const { requests, streams } = hold.cost;
      this.scripts
        .sluiceRenew(keys.length, ...keys, hold.lease, this.leaseMs, requests, streams)
        .catch(() => undefined);
    }
  }
}

function notesOf(set: LimitSet): SetNotes {
  return (set.notes ??= writeNotes(set)) as SetNotes;
}

function writeNotes({ limits }: LimitSet): SetNotes {
  const buckets = [...new Set(limits.map(({ bucket }) => bucket))];
  return {
    keys: buckets.flatMap((bucket) => ['', ':requests', ':streams'].map((end) => `${redisPrefix}${bucket}${end}`)),
    limits: limits.flatMap(({ bucket, kind, unit, name, capacity, intervalMs }) => [
      buckets.indexOf(bucket) + 1,
      kind,
      unit,
      name,
      capacity,
      intervalMs,
    ]),
    hasSlots: limits.some(({ kind }) => kind === 'slots'),
    hasTokens: limits.some(({ unit }) => unit === 'tokens'),
  };
}
