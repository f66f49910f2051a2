import { expect, it } from 'vitest';
import { LimitSet, limitsOf } from '../../limit-set.js';
import { contractStart, limitStoreContract } from '../../ports/limit-store.contract.js';
import { InProcessLimitStore } from './in-process-limit-store.js';

function steppedClock() {
  let wallMs = contractStart.getTime();
  let monotonicMs = 0;
  return {
    now: () => new Date(wallMs),
    monotonicMs: () => monotonicMs,
    pass: (milliseconds: number) => {
      wallMs += milliseconds;
      monotonicMs += milliseconds;
    },
    step: (milliseconds: number) => void (wallMs += milliseconds),
  };
}

limitStoreContract('in process', async () => {
  const clock = steppedClock();
  return {
    store: new InProcessLimitStore({ clock }),
    // A clock that runs is looked at now and then; one that jumps ahead in a test is looked at on the way.
    pass: async (milliseconds) => clock.pass(milliseconds),
    step: async (milliseconds) => clock.step(milliseconds),
    settled: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
});

const request = { requests: 1, streams: 0, tokens: 0 } as const;

it('throws out the buckets that nobody uses, and counts on with those in use', () => {
  const clock = steppedClock();
  const store = new InProcessLimitStore({ clock, sweepAtCells: 100 });
  const setOf = (key: string): LimitSet =>
    new LimitSet(limitsOf('key', key, { requestsPerSecond: { perSecond: 1, burst: 1 }, requestsPerDay: 2 }));
  const busy = setOf('busy');
  for (let at = 0; at < 2_000; at += 1) {
    if (at % 10 === 0) store.admit(busy, request);
    store.admit(setOf(`passer-by ${at}`), request);
    clock.pass(3_600_000);
  }
  expect(store.cellCount).toBeLessThan(500);
  store.admit(busy, request);
  expect(store.admit(busy, request).refusedBy).not.toBe(-1);
});

it('keeps one count for two callers of a tenant when buckets are thrown out in between', () => {
  const clock = steppedClock();
  const store = new InProcessLimitStore({ clock, sweepAtCells: 10 });
  const tenant = limitsOf('tenant', 't', { requestsPerDay: 3 });
  const [first, second] = [new LimitSet(tenant), new LimitSet(tenant)];
  store.admit(first, request);
  for (let at = 0; at < 50; at += 1)
    store.admit(new LimitSet(limitsOf('key', `k${at}`, { requestsPerDay: 1 })), request);
  store.admit(second, request);
  expect([store.admit(first, request).refusedBy, store.admit(second, request).refusedBy]).toEqual([-1, 0]);
});
