import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasRedis, RedisServer } from '../../../../../test/support/redis-server.js';
import { LimitSet, limitsOf } from '../../limit-set.js';
import { contractStart, limitStoreContract, type StoreUnderTest } from '../../ports/limit-store.contract.js';
import { redisPrefix } from './limit-scripts.js';
import { redisClient } from './redis-client.js';
import { RedisLimitStore } from './redis-limit-store.js';

const clockKey = `${redisPrefix}clock`;
/** The server's clock, held in a key so that a test can set it. */
const heldTimeLua = `local wall = tonumber(redis.call('GET', '${clockKey}'))`;
const request = { requests: 1, streams: 0, tokens: 0 } as const;

async function storeAt(url: string): Promise<StoreUnderTest> {
  const redis = redisClient({ url });
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
  await redis.set(clockKey, contractStart.getTime());
  const store = new RedisLimitStore({ redis, timeLua: heldTimeLua, leaseSeconds: 3_600 * 24 * 30 });
  const move = async (milliseconds: number): Promise<void> => void (await redis.incrby(clockKey, milliseconds));
  return {
    store,
    pass: move,
    step: move,
    // Commands of one connection are answered in their order.
    settled: async () => void (await redis.get(clockKey)),
    [Symbol.asyncDispose]: async () => {
      store[Symbol.dispose]();
      redis.disconnect();
    },
  };
}

describe.skipIf(!hasRedis)('with a real Redis', () => {
  let server: RedisServer;
  let cluster: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
    cluster = await RedisServer.start([
      '--cluster-announce-ip',
      '127.0.0.1',
      '--cluster-enabled',
      'yes',
      '--cluster-config-file',
      `/tmp/nodes-${process.pid}`,
    ]);
    const plain = new Redis(cluster.url);
    await plain.cluster('ADDSLOTSRANGE', 0, 16_383);
    await vi.waitFor(async () => expect(await plain.cluster('INFO')).toContain('cluster_state:ok'), 10_000);
    plain.disconnect();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  limitStoreContract('in Redis', () => storeAt(server.url));
  limitStoreContract('in a cluster of Redis', () => storeAt(`${cluster.url},${cluster.url}`));

  it('counts by the clock of the server', async () => {
    const redis = redisClient({ url: server.url });
    await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
    using store = new RedisLimitStore({ redis });
    const { untilNextDayMs } = await store.admit(
      new LimitSet(limitsOf('key', 'timed', { requestsPerDay: 1 })),
      request,
    );
    const dayMs = 86_400_000;
    expect(Math.abs(untilNextDayMs - (dayMs - (Date.now() % dayMs)))).toBeLessThan(5_000);
    redis.disconnect();
  });

  it('gives back the slot of an admission that was answered too late', async () => {
    await using slow = await RedisServer.start();
    const redis = redisClient({ url: slow.url });
    await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
    using store = new RedisLimitStore({ redis });
    const set = new LimitSet(limitsOf('key', 'late', { requestsPerDay: 10, concurrentRequests: 1 }));
    const admitted = async (): Promise<boolean> => (await store.admit(set, request)).refusedBy === -1;
    slow.freeze();
    await expect(store.admit(set, request)).rejects.toThrow('timed out');
    slow.thaw();
    // It was counted, and the slot is free at once.
    await expect.poll(() => redis.hget(`${redisPrefix}key:late`, 'requests-per-day').catch(() => '')).toBe('1');
    expect([await admitted(), await admitted()]).toEqual([true, false]);
    redis.disconnect();
  });

  it('lets every key run out by itself', async () => {
    const redis = redisClient({ url: server.url });
    await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
    using store = new RedisLimitStore({ redis });
    const set = new LimitSet(limitsOf('key', 'expiring', { requestsPerDay: 1, concurrentRequests: 1 }));
    await store.admit(set, request);
    const keys = await (redis as Redis).keys('*expiring*');
    expect(keys.length).toBe(2);
    for (const key of keys) expect(await redis.pttl(key)).toBeGreaterThan(0);
    redis.disconnect();
  });

  it('frees the slots of a process that died after their lease, and keeps those of one that lives', async () => {
    const set = (): LimitSet => new LimitSet(limitsOf('key', 'leased', { concurrentRequests: 2 }));
    const clients = await Promise.all(
      [0, 1, 2].map(async () => {
        const redis = redisClient({ url: server.url });
        await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
        return { redis, store: new RedisLimitStore({ redis, leaseSeconds: 0.6 }) };
      }),
    );
    const [dying, living, other] = clients;
    await dying!.store.admit(set(), request);
    await living!.store.admit(set(), request);
    expect((await other!.store.admit(set(), request)).refusedBy).toBe(0);
    // As when the process is killed: nobody renews its leases any more.
    dying!.store[Symbol.dispose]();
    dying!.redis.disconnect();
    await expect.poll(async () => (await other!.store.admit(set(), request)).refusedBy, { timeout: 5_000 }).toBe(-1);
    expect((await other!.store.admit(set(), request)).refusedBy).toBe(0);
    for (const { redis, store } of clients) {
      store[Symbol.dispose]();
      redis.disconnect();
    }
  });
});
