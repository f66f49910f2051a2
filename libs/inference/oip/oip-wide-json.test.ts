import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseWideJson } from './oip-wide-json.js';

it('reads what JSON.parse reads, as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const { value, hasNaN } = parseWideJson(text);
      const narrow = (each: unknown): unknown => {
        if (typeof each === 'bigint') return Number(each);
        if (typeof each !== 'object' || each === null) return each;
        if (Array.isArray(each)) return each.map(narrow);
        return Object.fromEntries(Object.entries(each).map(([key, part]) => [key, narrow(part)]));
      };
      expect(narrow(value)).toEqual(narrow(JSON.parse(text)));
      expect(hasNaN).toBe(false);
    }),
    { examples: [['"NaN"'], ['{"Infinity":["-Infinity","\\"NaN, ",1]}']] },
  );
});

it('keeps all digits of integers, and reads the tokens of Python and TensorFlow Serving', () => {
  expect(parseWideJson('[9223372036854775807,-9223372036854775808,9007199254740993,12,1e300]').value).toEqual([
    9_223_372_036_854_775_807n,
    -9_223_372_036_854_775_808n,
    9_007_199_254_740_993n,
    12,
    1e300,
  ]);
  expect(parseWideJson('{"NaN":[NaN,Infinity,-Infinity,"a \\" NaN",null]}')).toEqual({
    value: { NaN: [null, Infinity, -Infinity, 'a " NaN', null] },
    hasNaN: true,
  });
  for (const wrong of ['', 'NaNs', '[Infinity', '[+Infinity]', 'nan']) expect(() => parseWideJson(wrong)).toThrow();
});
