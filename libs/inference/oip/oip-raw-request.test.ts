import { describe, expect, it } from 'vitest';
import type { DatatypeName } from '../tensors/datatype.js';
import { parseRawRequest } from './oip-raw-request.js';

const model = (shape: number[], datatype: DatatypeName = 'FP32', more = 0) => ({
  inputs: Array.from({ length: 1 + more }, (_none, index) => ({ name: `x${index}`, datatype, shape })),
  outputs: [],
});
const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

describe('a body of raw bytes alone', () => {
  it('gets its one free size from its length, and asks for binary outputs', () => {
    expect(parseRawRequest(floats(1, 2, 3, 4), model([-1, 2]))).toMatchObject({
      inputs: [{ name: 'x0', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
      outputs: undefined,
      parameters: { binary_data_output: true },
    });
    expect(parseRawRequest(floats(1, 2, 3), model([1, -1])).inputs[0]!.shape).toEqual([1, 3]);
    expect(parseRawRequest(floats(1, 2), model([1, 2])).inputs[0]!.shape).toEqual([1, 2]);
  });

  it('is one text for BYTES', () => {
    expect(parseRawRequest(Buffer.from('naïve'), model([-1, 1], 'BYTES')).inputs).toEqual([
      { name: 'x0', datatype: 'BYTES', shape: [1, 1], data: ['naïve'] },
    ]);
    expect(parseRawRequest(Buffer.alloc(0), model([-1], 'BYTES')).inputs[0]!.data).toEqual(['']);
  });

  it.each<[string, () => unknown, string]>([
    ['a model with two inputs', () => parseRawRequest(floats(1), model([-1], 'FP32', 1)), 'the model has 2 inputs'],
    ['two free sizes', () => parseRawRequest(floats(1), model([-1, -1])), 'input x0 has more than one free size'],
    [
      'half a row',
      () => parseRawRequest(floats(1, 2, 3), model([-1, 2])),
      'body: has 12 bytes, but shape [-1,2] wants',
    ],
    ['half a value', () => parseRawRequest(Buffer.alloc(3), model([-1])), 'wants a multiple of 4'],
    ['nothing', () => parseRawRequest(Buffer.alloc(0), model([-1])), 'body: has 0 bytes'],
    ['another size than the only one', () => parseRawRequest(floats(1), model([1, 2])), 'has 4 bytes, but its shape'],
    ['a shape of no size', () => parseRawRequest(floats(1), model([-1, 0])), 'wants a multiple of 0'],
    ['more than one text', () => parseRawRequest(Buffer.from('a'), model([-1, 2], 'BYTES')), 'not one text'],
    ['a text that is not UTF-8', () => parseRawRequest(Buffer.from([0xff]), model([-1], 'BYTES')), 'not valid UTF-8'],
    ['too many rows', () => parseRawRequest(Buffer.alloc(4 * 8_193), model([-1])), 'at most 8192'],
  ])('is refused for %s', (_what, parse, message) => {
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code: 'SLU_INFERENCE_INPUT' }));
  });
});
