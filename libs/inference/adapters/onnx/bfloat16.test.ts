import { expect, it } from 'vitest';
import { bfloat16ToFloat, floatToBfloat16 } from './bfloat16.js';

const allBits = Uint16Array.from({ length: 65_536 }, (_value, index) => index);

it('gives every value back with the bits that it had, NaNs as NaNs', () => {
  const floats = bfloat16ToFloat(allBits);
  const back = floatToBfloat16(floats);
  const wrong = allBits.filter((bits) =>
    Number.isNaN(floats[bits]) ? (back[bits]! & 0x7fff) <= 0x7f80 : back[bits] !== bits,
  );
  expect([...wrong]).toEqual([]);
});

it('means by its bits what IEEE 754 says', () => {
  const bits = Uint16Array.of(0x3f80, 0xc000, 0x0000, 0x8000, 0x7f80, 0xff80, 0x0001, 0x7f7f);
  const values = [1, -2, 0, -0, Infinity, -Infinity, 2 ** -133, (2 - 2 ** -7) * 2 ** 127];
  expect([...bfloat16ToFloat(bits)]).toEqual(values);
});

it('rounds what lies between to the nearest, the even one of two, and past the largest to infinity', () => {
  const [one, step] = [1, 2 ** -7];
  const between = Float32Array.of(one + step / 2, one + (3 * step) / 2, one + step / 2 + 2 ** -20, 3.4e38);
  expect([...floatToBfloat16(between)]).toEqual([0x3f80, 0x3f82, 0x3f81, 0x7f80]);
});

it('reads a view that begins within its buffer', () => {
  expect([...floatToBfloat16(Float32Array.of(0, 1, 2).subarray(1))]).toEqual([0x3f80, 0x4000]);
});
