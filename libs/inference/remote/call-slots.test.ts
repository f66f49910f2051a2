import { expect, it } from 'vitest';
import { CallSlots } from './call-slots.js';

const call = { timeoutMs: 10_000 };

it('lets so many in, and the others in the order of their coming', async () => {
  const slots = new CallSlots(2);
  const [first, second] = [await slots.acquire(call), await slots.acquire(call)];
  const order: number[] = [];
  const waiting = [1, 2, 3].map(async (number) => {
    const release = await slots.acquire(call);
    order.push(number);
    return release;
  });
  expect([slots.waitingCount, order]).toEqual([3, []]);
  first();
  first();
  (await waiting[0]!)();
  second();
  for (const next of waiting.slice(1)) (await next)();
  expect(order).toEqual([1, 2, 3]);
  // Given back twice, the first slot was still given back once.
  const again = [await slots.acquire(call), await slots.acquire(call)];
  const third = slots.acquire({ timeoutMs: 1 });
  await expect(third).rejects.toMatchObject({ kind: 'timeout' });
  for (const release of again) release();
});

it('keeps nobody longer than its time, nor one who has left, and gives their place to the next', async () => {
  const slots = new CallSlots(1);
  const release = await slots.acquire(call);
  const abort = new AbortController();
  const leaving = slots.acquire({ ...call, signal: abort.signal });
  const hurried = slots.acquire({ timeoutMs: 5 });
  const patient = slots.acquire(call);
  abort.abort();
  await expect(leaving).rejects.toMatchObject({ kind: 'lost' });
  await expect(hurried).rejects.toMatchObject({ kind: 'timeout' });
  await expect(slots.acquire({ ...call, signal: abort.signal })).rejects.toMatchObject({ kind: 'lost' });
  release();
  (await patient)();
  (await slots.acquire(call))();
});
