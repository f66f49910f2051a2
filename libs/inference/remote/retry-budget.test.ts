import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.js';

function setUp(ratio: number) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  return { clock, budget: new RetryBudget(ratio, clock) };
}

it('gives a quiet version ten retries in ten seconds, and none where the ratio is 0', () => {
  const { clock, budget } = setUp(0.2);
  expect(Array.from({ length: 12 }, () => budget.take()).filter(Boolean)).toHaveLength(10);
  clock.nowMs += 11_000;
  expect(budget.take()).toBe(true);
  expect(setUp(0).budget.take()).toBe(false);
});

it('bounds retries by the share of the calls, however many want one', () => {
  const { budget } = setUp(0.2);
  for (let count = 0; count < 1_000; count += 1) budget.noteCall();
  expect(Array.from({ length: 1_000 }, () => budget.take()).filter(Boolean)).toHaveLength(200);
});

it('holds its bound over every ten seconds, for any order of calls, retries and pauses', () => {
  const script = fc.array(fc.oneof(fc.constant('call'), fc.constant('take'), fc.integer({ min: 1, max: 3_000 })), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(script, fc.constantFrom(0.1, 0.5, 1), (steps, ratio) => {
      const { clock, budget } = setUp(ratio);
      const calls: number[] = [];
      const retries: number[] = [];
      // Its window moves in steps of a second, and holds the last nine to ten.
      const isRecent = (atMs: number): boolean => Math.floor(atMs / 1_000) > Math.floor(clock.nowMs / 1_000) - 10;
      for (const step of steps) {
        if (typeof step === 'number') clock.nowMs += step;
        else if (step === 'call') {
          budget.noteCall();
          calls.push(clock.nowMs);
        } else {
          const most = Math.max(10, ratio * calls.filter(isRecent).length);
          const isWithin = retries.filter(isRecent).length + 1 <= most;
          expect(budget.take()).toBe(isWithin);
          if (isWithin) retries.push(clock.nowMs);
        }
      }
    }),
  );
});
