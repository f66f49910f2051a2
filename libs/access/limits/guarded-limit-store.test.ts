import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasRedis, RedisServer } from '../../../test/support/redis-server.js';
import { limitStores, type LimitStores } from './limit-stores.js';
import { LimitSet, limitsOf } from './limit-set.js';
import type { WithoutRedis } from './guarded-limit-store.js';

const request = { requests: 1, streams: 0, tokens: 0 } as const;
const longestCallMs = 1_000;

it('the share of a process is at least one of what is not 0, and of a rate no more than the share over time', () => {
  const allowance = { requestsPerSecond: { perSecond: 1, burst: 1 }, requestsPerDay: 3, concurrentRequests: 0 };
  const own = new LimitSet(limitsOf('key', 'k', allowance)).scaled(0.25);
  expect(own.limits.map(({ name, capacity, intervalMs }) => [name, capacity, intervalMs])).toEqual([
    ['requests-per-second', 1, 4_000],
    ['requests-per-day', 1, 0],
    ['concurrent-requests', 0, 0],
  ]);
  const whole = new LimitSet(limitsOf('key', 'k', allowance)).scaled(1);
  expect(whole.limits.map(({ capacity }) => capacity)).toEqual([1, 3, 0]);
});

describe.skipIf(!hasRedis)('when Redis dies in the middle', () => {
  let server: RedisServer;
  let stores: LimitStores | undefined;
  beforeEach(async () => {
    server = await RedisServer.start();
  });
  afterEach(async () => {
    await stores?.[Symbol.asyncDispose]();
    server.thaw();
    await server[Symbol.asyncDispose]();
  });

  const open = async (withoutRedis: WithoutRedis): Promise<LimitStores> => {
    const told = { onLost: () => undefined, onBack: () => undefined };
    const opened = (stores = limitStores({ redisUrl: server.url, withoutRedis, ...told }));
    await expect.poll(() => admit(opened, setOf('probe')), { timeout: 10_000 }).toBe('admitted');
    return opened;
  };
  const setOf = (key: string, requestsPerDay = 8): LimitSet => new LimitSet(limitsOf('key', key, { requestsPerDay }));
  const admit = async (opened: LimitStores, set: LimitSet, of: 'inference' | 'management' = 'inference') => {
    const startedMs = performance.now();
    try {
      const { refusedBy } = await opened[of].admit(set, request);
      return refusedBy === -1 ? 'admitted' : 'limited';
    } catch (failure) {
      return (failure as { code?: string }).code ?? String(failure);
    } finally {
      expect(performance.now() - startedMs).toBeLessThan(longestCallMs);
    }
  };
  const tries = async (opened: LimitStores, set: LimitSet, count: number): Promise<string[]> => {
    const seen: string[] = [];
    for (let at = 0; at < count; at += 1) seen.push(await admit(opened, set));
    return seen;
  };

  it('nobody is let in until it is back, when that is what was configured', async () => {
    const opened = await open({ kind: 'refuse' });
    const set = setOf('refused');
    expect(await admit(opened, set)).toBe('admitted');
    await server.kill();
    expect(new Set(await tries(opened, set, 20))).toEqual(new Set(['SLU_ACCESS_LIMITS_DOWN']));
    expect(opened.shared?.isUp).toBe(false);
    await server.startAgain();
    await expect.poll(() => admit(opened, set), { timeout: 10_000 }).toBe('admitted');
    expect(opened.shared?.isUp).toBe(true);
  });

  it('each process lets in its share until it is back, when that is what was configured', async () => {
    const opened = await open({ kind: 'local', share: 0.25 });
    const set = setOf('shared');
    await server.kill();
    expect((await tries(opened, set, 8)).filter((each) => each === 'admitted')).toHaveLength(2);
    await server.startAgain();
    await expect.poll(() => admit(opened, set), { timeout: 10_000 }).toBe('admitted');
    expect(opened.shared?.isUp).toBe(true);
  });

  it('a Redis that hangs holds nobody up for long, and only one request a second waits for it', async () => {
    const opened = await open({ kind: 'refuse' });
    server.freeze();
    const startedMs = performance.now();
    expect(new Set(await tries(opened, setOf('hung'), 200))).toEqual(new Set(['SLU_ACCESS_LIMITS_DOWN']));
    expect(performance.now() - startedMs).toBeLessThan(longestCallMs);
    server.thaw();
    await expect.poll(() => admit(opened, setOf('thawed')), { timeout: 10_000 }).toBe('admitted');
  });

  it('management goes on by itself, whatever is configured', async () => {
    const opened = await open({ kind: 'refuse' });
    await server.kill();
    expect(await admit(opened, setOf('operator', 1), 'management')).toBe('admitted');
    expect(await admit(opened, setOf('operator', 0), 'management')).toBe('limited');
  });

  it('what was taken in Redis and ends without it does no harm', async () => {
    const opened = await open({ kind: 'refuse' });
    const { hold } = await opened.inference.admit(
      new LimitSet(limitsOf('key', 'k', { concurrentRequests: 1 })),
      request,
    );
    await server.kill();
    expect(() => opened.inference.end(hold!, 0)).not.toThrow();
  });
});
