import fc from 'fast-check';
import { expect, it } from 'vitest';
import { classify } from './oip-classification.js';
import { bfloatBits, halfBits } from './oip-half-float.js';
import { parseInferRequest } from './oip-infer-request.js';
import { selectOutputs } from './oip-requested-outputs.js';
import type { Tensor } from '../tensors/tensor.js';

const floats = (shape: number[], ...values: number[]): Tensor => ({
  name: 'y',
  datatype: 'FP32',
  shape,
  data: Float32Array.from(values),
});

it('gives the highest values of each row with their places, as the extension has it', () => {
  expect(classify(floats([2, 4], 1, 5, 10, 4, -1, -3, -2, -4), { count: 2 })).toEqual({
    name: 'y',
    datatype: 'BYTES',
    shape: [2, 2],
    data: ['10.000000:2', '5.000000:1', '-1.000000:0', '-2.000000:2'],
  });
});

it('names the classes where there are labels, and asks for no more classes than there are', () => {
  const labels = ['hostile', 'neutral'];
  expect(classify(floats([1, 3], 0.25, 0.5, 0.125), { count: 9, labels })).toMatchObject({
    shape: [1, 3],
    data: ['0.500000:1:neutral', '0.250000:0:hostile', '0.125000:2'],
  });
});

it('counts an index through all values of a row, and names it only where it is a column', () => {
  const cube = classify(floats([1, 2, 2], 1, 2, 3, 4), { count: 1, labels: ['a', 'b', 'c', 'd'] });
  expect(cube).toMatchObject({ shape: [1, 1], data: ['4.000000:3'] });
  const flat = classify(floats([1, 1, 2], 1, 2), { count: 1, labels: ['a', 'b'] });
  expect(flat.data).toEqual(['2.000000:1:b']);
  expect(classify(floats([2], 7, 8), { count: 3 })).toMatchObject({
    shape: [2, 1],
    data: ['7.000000:0', '8.000000:0'],
  });
});

it('compares and writes each datatype as its own', () => {
  const of = (datatype: Tensor['datatype'], data: Tensor['data']): unknown =>
    classify({ name: 'y', datatype, shape: [1, data.length], data }, { count: 2 }).data;
  expect(of('UINT64', BigUint64Array.of(2n ** 63n, 2n ** 63n + 1n))).toEqual([
    '9223372036854775809:1',
    '9223372036854775808:0',
  ]);
  expect(of('INT8', Int8Array.of(-1, 3))).toEqual(['3:1', '-1:0']);
  expect(of('FP16', Uint16Array.of(halfBits(-2), halfBits(1.5)))).toEqual(['1.500000:1', '-2.000000:0']);
  expect(of('BF16', Uint16Array.of(bfloatBits(3), bfloatBits(1)))).toEqual(['3.000000:0', '1.000000:1']);
  expect(of('FP64', Float64Array.of(1e22, -Infinity))).toEqual(['10000000000000000000000.000000:0', '-inf:1']);
  expect(of('FP32', Float32Array.of(NaN, -Infinity, Infinity))).toEqual(['inf:2', '-inf:1']);
  expect(of('FP32', Float32Array.of(NaN, NaN, 0))).toEqual(['0.000000:2', 'nan:0']);
});

it('answers as a stable sort of the whole row would, for any number of classes', () => {
  fc.assert(
    fc.property(fc.float32Array({ minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 200 }), (data, count) => {
      const rank = (value: number): number => (Number.isNaN(value) ? -Infinity : value);
      const sorted = [...data.keys()].sort((one, other) => {
        const [a, b] = [data[one]!, data[other]!];
        if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
        return rank(a) === rank(b) ? one - other : rank(b) - rank(a);
      });
      const answer = classify({ name: 'y', datatype: 'FP32', shape: [1, data.length], data }, { count });
      const indices = (answer.data as string[]).map((text) => Number(text.split(':')[1]));
      expect(indices).toEqual(sorted.slice(0, count));
    }),
  );
});

it('is what an output is turned into that asks for it, and no other', () => {
  const model = {
    inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
    outputs: [
      { name: 'y', datatype: 'FP32' as const, shape: [-1, 2], labels: ['no', 'yes'] },
      { name: 'z', datatype: 'FP32' as const, shape: [-1, 1] },
    ],
  };
  const { outputs } = parseInferRequest(
    {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }],
      outputs: [{ name: 'z' }, { name: 'y', parameters: { classification: 1 } }],
    },
    model,
  );
  const z: Tensor = { ...floats([1, 1], 3), name: 'z' };
  expect(selectOutputs([floats([1, 2], 0, 1), z], outputs)).toEqual([
    z,
    { name: 'y', datatype: 'BYTES', shape: [1, 1], data: ['1.000000:1:yes'] },
  ]);
});
