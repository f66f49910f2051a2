import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  costMicros,
  freePrice,
  mostConsumed,
  mostPriceMicros,
  tokensOutThatFit,
  worstCostMicros,
  type Price,
} from './request-cost.js';

const micros = fc.nat(mostPriceMicros);
const price: fc.Arbitrary<Price> = fc.record({
  requestMicros: micros,
  thousandTokensInMicros: micros,
  thousandTokensOutMicros: micros,
  replicaSecondMicros: micros,
  rowMicros: micros,
  failedRequestMicros: micros,
});
const consumption = fc.record({
  tokensIn: fc.nat(2_000_000),
  tokensOut: fc.nat(2_000_000),
  replicaMs: fc.nat(600_000),
  rows: fc.nat(10_000),
});

it('costs exactly what the same sum in whole numbers of any size costs, rounded up', () => {
  fc.assert(
    fc.property(price, consumption, (given, used) => {
      const thousandths =
        (BigInt(given.requestMicros) + BigInt(used.rows) * BigInt(given.rowMicros)) * 1_000n +
        BigInt(used.tokensIn) * BigInt(given.thousandTokensInMicros) +
        BigInt(used.tokensOut) * BigInt(given.thousandTokensOutMicros) +
        BigInt(used.replicaMs) * BigInt(given.replicaSecondMicros);
      expect(BigInt(costMicros(given, used))).toBe((thousandths + 999n) / 1_000n);
    }),
  );
});

it('never costs more than its worst case', () => {
  fc.assert(
    fc.property(price, consumption, consumption, (given, one, other) => {
      const worst = {
        tokensIn: Math.max(one.tokensIn, other.tokensIn),
        tokensOut: Math.max(one.tokensOut, other.tokensOut),
        replicaMs: Math.max(one.replicaMs, other.replicaMs),
        rows: Math.max(one.rows, other.rows),
      };
      expect(costMicros(given, one)).toBeLessThanOrEqual(worstCostMicros(given, worst));
      expect(given.failedRequestMicros).toBeLessThanOrEqual(worstCostMicros(given, worst));
    }),
  );
});

it('tells the most tokens that fit: they do, and one more does not', () => {
  fc.assert(
    fc.property(price, consumption, fc.nat(10 ** 12), (given, worst, left) => {
      const fit = tokensOutThatFit(given, worst, left);
      if (fit < 0) expect(worstCostMicros(given, { ...worst, tokensOut: 0 })).toBeGreaterThan(left);
      else if (fit < mostConsumed) {
        expect(costMicros(given, { ...worst, tokensOut: fit })).toBeLessThanOrEqual(left);
        expect(costMicros(given, { ...worst, tokensOut: fit + 1 })).toBeGreaterThan(left);
      }
    }),
  );
});

it('charges a single token of a cheap model, and nothing where nothing has a price', () => {
  const cheap = { ...freePrice, thousandTokensInMicros: 1 };
  expect(costMicros(cheap, { tokensIn: 1, tokensOut: 0, replicaMs: 0, rows: 0 })).toBe(1);
  expect(costMicros(freePrice, { tokensIn: 1, tokensOut: 5, replicaMs: 9, rows: 3 })).toBe(0);
});
