import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bfloatBits, bfloatValue, halfBits, halfValue } from './oip-half-float.js';

const isHalfNaN = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
const isBfloatNaN = (bits: number): boolean => (bits & 0x7f80) === 0x7f80 && (bits & 0x7f) !== 0;

it('turns every 16-bit pattern into its number and back', () => {
  for (let bits = 0; bits <= 0xffff; bits += 1) {
    if (!isHalfNaN(bits) && halfBits(halfValue(bits)) !== bits) throw new Error(`half ${bits}`);
    if (!isBfloatNaN(bits) && bfloatBits(bfloatValue(bits)) !== bits) throw new Error(`bfloat ${bits}`);
  }
  expect(isHalfNaN(halfBits(NaN))).toBe(true);
  expect(isBfloatNaN(bfloatBits(NaN))).toBe(true);
});

it('rounds to the nearest half, ties to even, as IEEE 754 does', () => {
  expect(halfBits(65_504)).toBe(0x7bff);
  expect(halfBits(65_519.99)).toBe(0x7bff);
  expect(halfBits(65_520)).toBe(0x7c00);
  expect(halfBits(2 ** -25)).toBe(0);
  expect(halfBits(2 ** -25 * 1.000001)).toBe(1);
  expect(halfBits(1 + 2 ** -11)).toBe(0x3c00);
  expect(halfBits(1 + 3 * 2 ** -11)).toBe(0x3c02);
});

it('is never further from a number than the neighbouring halves are', () => {
  fc.assert(
    fc.property(fc.double({ min: -65_504, max: 65_504, noNaN: true }), (value) => {
      const bits = halfBits(value);
      const distance = Math.abs(halfValue(bits) - value);
      for (const neighbour of [bits - 1, bits + 1]) {
        if (neighbour < 0 || (neighbour & 0x7c00) === 0x7c00 || (neighbour & 0x8000) !== (bits & 0x8000)) continue;
        expect(distance).toBeLessThanOrEqual(Math.abs(halfValue(neighbour) - value));
      }
    }),
  );
});
