import fc from 'fast-check';
import { expect, it } from 'vitest';
import { grantOf } from './budget-grant.js';
import { thresholdsReached } from './budget-threshold.js';

const ask = fc.record({
  limit: fc.integer({ min: 1, max: 1_000_000 }),
  left: fc.integer({ min: -1_000, max: 1_000_000 }),
  spare: fc.nat(10_000),
  wishes: fc.array(fc.nat(50_000), { maxLength: 20 }),
  perSecond: fc.nat(1_000_000),
});

it('never gives more than is left, and always enough for what it grants', () => {
  fc.assert(
    fc.property(ask, (asked) => {
      const { granted, slice } = grantOf(asked);
      const sum = asked.wishes.filter((_wish, index) => granted[index]).reduce((total, wish) => total + wish, 0);
      expect(slice).toBeGreaterThanOrEqual(0);
      expect(slice).toBeLessThanOrEqual(Math.max(0, asked.left));
      expect(sum).toBeLessThanOrEqual(slice + asked.spare);
    }),
  );
});

it('grants a wish that fits into what is left, down to the last unit', () => {
  expect(grantOf({ limit: 1_000, left: 1, spare: 0, wishes: [1], perSecond: 500 })).toEqual({
    granted: [true],
    slice: 1,
    isNearEnd: true,
  });
  expect(grantOf({ limit: 1_000, left: 3, spare: 2, wishes: [9, 5, 1], perSecond: 0 }).granted).toEqual([
    false,
    true,
    false,
  ]);
});

it('gives nothing in advance near the end, and two seconds of traffic at most before', () => {
  expect(grantOf({ limit: 1_000, left: 40, spare: 0, wishes: [1], perSecond: 900 }).slice).toBe(1);
  expect(grantOf({ limit: 10_000, left: 10_000, spare: 0, wishes: [1], perSecond: 10 }).slice).toBe(21);
  expect(grantOf({ limit: 10_000, left: 10_000, spare: 15, wishes: [1], perSecond: 10 }).slice).toBe(6);
  expect(grantOf({ limit: 10_000, left: 10_000, spare: 500, wishes: [1], perSecond: 10 }).slice).toBe(0);
  expect(grantOf({ limit: 1_600, left: 1_600, spare: 0, wishes: [], perSecond: 9_000 }).slice).toBe(100);
});

it('says each threshold once, when it is reached', () => {
  expect(thresholdsReached([50, 80, 100], { spent: 79, limit: 100 }, [])).toEqual([50]);
  expect(thresholdsReached([50, 80, 100], { spent: 100, limit: 100 }, [50])).toEqual([80, 100]);
  expect(thresholdsReached([100], { spent: 9_007_199_254_740_990, limit: 9_007_199_254_740_991 }, [])).toEqual([]);
});
