import { isSluiceError } from '#libs/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryBatch } from '../../../test/support/arbitrary-tensor.js';
import { type Tensor, rowCountOf, splitRows, stackKey, stackTensors, valueCount } from './tensor.js';

const row = (shape: number[], data: number[]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
});

describe('stacking requests into a batch', () => {
  it('gives every request its own rows back, whatever the datatypes and row counts', () => {
    fc.assert(
      fc.property(arbitraryBatch, (requests) => {
        const batch = stackTensors(requests);
        expect(splitRows(batch, requests.map(rowCountOf))).toEqual(requests);
      }),
    );
  });

  it('refuses tensors that differ behind the batch dimension, whose keys differ as well', () => {
    const [narrow, wide] = [[row([1, 2], [1, 2])], [row([1, 3], [1, 2, 3])]];
    expect(stackKey(narrow)).not.toBe(stackKey(wide));
    expect(() => stackTensors([narrow, wide])).toThrow('cannot share a batch');
  });

  it('gives the same key to requests that differ in rows alone', () => {
    expect(stackKey([row([1, 2], [1, 2])])).toBe(stackKey([row([2, 2], [1, 2, 3, 4])]));
  });

  it('does not copy a batch of one request', () => {
    const only = row([1, 2], [1, 2]);
    expect(stackTensors([[only]])[0]!.data).toBe(only.data);
  });
});

describe('parting a batch', () => {
  it('hands out views of the batch, not copies', () => {
    const batch = row([2, 2], [1, 2, 3, 4]);
    const parts = splitRows([batch], [1, 1]);
    expect((parts[1]![0]!.data as Float32Array).buffer).toBe((batch.data as Float32Array).buffer);
  });

  it('refuses an output that has not one row for each row of the batch', () => {
    const split = (): unknown => splitRows([row([3, 1], [1, 2, 3])], [1, 1]);
    expect(split).toThrow('output x has shape [3,1] for a batch of 2 rows');
    try {
      split();
    } catch (error) {
      expect(isSluiceError(error) && error.code).toBe('SLU_INFERENCE_OUTPUT');
    }
  });
});

it('counts the values of a shape exactly or not at all', () => {
  expect(valueCount([2, 3])).toBe(6);
  expect(valueCount([])).toBe(1);
  expect(valueCount([2 ** 31 - 1, 2 ** 31 - 1])).toBeUndefined();
  expect(valueCount([2 ** 31 - 1, 2 ** 31 - 1, 0])).toBe(0);
});
