import { beforeEach, expect, it } from 'vitest';
import { SpendingRate } from './spending-rate.js';

let nowMs = 0;
let rate: SpendingRate;

beforeEach(() => {
  nowMs = 10_000;
  rate = new SpendingRate(() => nowMs);
});

function spend(amount: number, everyMs: number, times: number): void {
  for (let turn = 0; turn < times; turn += 1) {
    nowMs += everyMs;
    rate.add(amount);
  }
}

it('says nothing before a twentieth of a second has gone by', () => {
  spend(5, 1, 40);
  expect(rate.perSecond).toBe(0);
});

it('takes one dear request for no rate', () => {
  nowMs += 5_000;
  rate.add(2_000);
  nowMs += 60;
  expect(rate.perSecond).toBe(0);
  nowMs += 240;
  expect(rate.perSecond).toBeLessThan(7_000);
});

it('follows a rise at once and a fall by halves', () => {
  spend(1, 1, 100);
  expect(rate.perSecond).toBeCloseTo(1_000);
  spend(10, 1, 100);
  expect(rate.perSecond).toBeCloseTo(10_000);
  spend(1, 100, 10);
  expect(rate.perSecond).toBeCloseTo(5_005);
});

it('knows a burst after a rest within a twentieth of a second, however long the rest was', () => {
  spend(1, 1, 100);
  expect(rate.perSecond).toBeCloseTo(1_000);
  nowMs += 60_000;
  expect(rate.perSecond).toBe(0);
  nowMs += 60_000;
  rate.add(8);
  spend(8, 1, 60);
  expect(rate.perSecond).toBeGreaterThan(7_900);
});
