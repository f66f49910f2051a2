import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  latencyBucket,
  latencyCountAbove,
  latencyOfBucket,
  latencyQuantile,
  latencyTotal,
  mergeLatencyCounts,
  type LatencyCounts,
} from './latency-histogram.js';

const durations = fc.array(fc.double({ min: 0.002, max: 200_000, noNaN: true }), { minLength: 1, maxLength: 200 });

function countsOf(values: readonly number[]): LatencyCounts {
  return mergeLatencyCounts(values.map((value) => ({ [latencyBucket(value)]: 1 })));
}

it('reads any duration back within 2.5 %', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.002, max: 200_000, noNaN: true }), (milliseconds) => {
      expect(Math.abs(latencyOfBucket(latencyBucket(milliseconds)) / milliseconds - 1)).toBeLessThan(0.0251);
    }),
  );
});

it('gives a quantile within 2.5 % of the exact one', () => {
  fc.assert(
    fc.property(durations, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, quantile) => {
      const exact = [...values].sort((a, b) => a - b)[Math.max(1, Math.ceil(quantile * values.length)) - 1]!;
      expect(Math.abs(latencyQuantile(countsOf(values), quantile)! / exact - 1)).toBeLessThan(0.0251);
    }),
  );
});

it('merges to the same counts whatever the order, and loses none', () => {
  fc.assert(
    fc.property(durations, durations, (a, b) => {
      const merged = mergeLatencyCounts([countsOf(a), countsOf(b)]);
      expect(merged).toEqual(countsOf([...b, ...a]));
      expect(latencyTotal(merged)).toBe(a.length + b.length);
      expect(latencyCountAbove(merged, 0)).toBe(a.length + b.length);
    }),
  );
});

it('keeps durations that are no durations in the lowest bucket', () => {
  for (const odd of [0, -1, Number.NaN]) expect(latencyBucket(odd)).toBe(0);
  expect(latencyQuantile({}, 0.5)).toBeUndefined();
});
