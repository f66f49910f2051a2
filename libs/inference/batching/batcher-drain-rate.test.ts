import { expect, it } from 'vitest';
import { DrainRate } from './batcher-drain-rate.js';

it('says a second while nothing is known', () => {
  expect(new DrainRate().secondsFor(1_000, 0)).toBe(1);
});

it('counts the time with work alone, so a quiet hour does not make a crowd look hopeless', () => {
  const rate = new DrainRate();
  for (const hour of [0, 1, 2]) {
    rate.busy(hour * 3_600_000);
    rate.answered(10, hour * 3_600_000 + 100, false);
  }
  expect(rate.perSecond(9e6)).toBeCloseTo(100);
  expect(rate.secondsFor(450, 9e6)).toBe(5);
});

it('follows a change of pace within some ten seconds of work', () => {
  const rate = new DrainRate();
  rate.busy(0);
  for (let second = 1; second <= 60; second += 1) rate.answered(100, second * 1_000, true);
  for (let second = 61; second <= 90; second += 1) rate.answered(10, second * 1_000, true);
  expect(rate.perSecond(90_000)!).toBeLessThan(20);
});

it('grows with a run that hangs, and never says more than a minute', () => {
  const rate = new DrainRate();
  rate.busy(0);
  rate.answered(10, 1_000, true);
  expect(rate.secondsFor(100, 1_000)).toBe(10);
  expect(rate.secondsFor(100, 4_000)).toBe(40);
  expect(rate.secondsFor(100, 1e6)).toBe(60);
});
