import { InProcessLimitStore } from './adapters/in-process/in-process-limit-store.js';
import { redisClient } from './adapters/redis/redis-client.js';
import { RedisLimitStore } from './adapters/redis/redis-limit-store.js';
import { GuardedLimitStore, type WithoutRedis } from './guarded-limit-store.js';
import type { LimitStore } from './ports/limit-store.js';

export interface LimitStoresSettings {
  /** Unset: everything is counted in this process. */
  redisUrl: string | undefined;
  /** A slot in Redis that was neither given back nor renewed for so long is free: its process has died. */
  leaseSeconds?: number;
  withoutRedis: WithoutRedis;
  onLost: (problem: unknown) => void;
  onBack: () => void;
}

export interface LimitStores extends AsyncDisposable {
  /** Counts inference. */
  inference: LimitStore;
  /** Counts management calls. Without Redis it goes on alone: operators must get in when something is broken. */
  management: LimitStore;
  shared: GuardedLimitStore | undefined;
}

export function limitStores({
  redisUrl,
  leaseSeconds,
  withoutRedis,
  onLost,
  onBack,
}: LimitStoresSettings): LimitStores {
  const local = new InProcessLimitStore();
  if (redisUrl === undefined)
    return { inference: local, management: local, shared: undefined, [Symbol.asyncDispose]: async () => undefined };
  // What goes wrong with the connection shows in the calls that fail by it.
  const redis = redisClient({ url: redisUrl });
  const counted = new RedisLimitStore({ redis, ...(leaseSeconds !== undefined && { leaseSeconds }) });
  const shared = new GuardedLimitStore({ shared: counted, local, without: withoutRedis, onLost, onBack });
  return {
    inference: shared,
    management: new GuardedLimitStore({ shared: counted, local, without: { kind: 'local', share: 1 } }),
    shared,
    [Symbol.asyncDispose]: async () => {
      counted[Symbol.dispose]();
      redis.disconnect();
    },
  };
}
