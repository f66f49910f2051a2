import { expect, it } from 'vitest';
import { renderInferResponse } from './oip-infer-response.js';
import type { Tensor } from '../tensors/tensor.js';

const render = (...outputs: Tensor[]): string => renderInferResponse({ modelName: 'tone', modelVersion: '1', outputs });
const dataOf = (output: Omit<Tensor, 'name'>): unknown =>
  (JSON.parse(render({ name: 'y', ...output })) as { outputs: { data: unknown }[] }).outputs[0]!.data;

it("writes the protocol's answer", () => {
  const outputs: Tensor[] = [
    { name: 'label', datatype: 'BYTES', shape: [2], data: ['a "quoted" one', 'b\n'] },
    { name: 'p', datatype: 'FP32', shape: [2, 1], data: Float32Array.of(0.5, -1e-7) },
  ];
  const text = renderInferResponse({
    modelName: 'to"ne',
    modelVersion: '1',
    id: 'i"d',
    outputs,
    parameters: { arm: 'stable' },
  });
  expect(JSON.parse(text)).toEqual({
    model_name: 'to"ne',
    model_version: '1',
    id: 'i"d',
    parameters: { arm: 'stable' },
    outputs: [
      { name: 'label', datatype: 'BYTES', shape: [2], data: ['a "quoted" one', 'b\n'] },
      { name: 'p', datatype: 'FP32', shape: [2, 1], data: [0.5, Math.fround(-1e-7)] },
    ],
  });
});

it('writes booleans, halves and empty outputs', () => {
  expect(dataOf({ datatype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) })).toEqual([true, false]);
  expect(dataOf({ datatype: 'FP16', shape: [1], data: Uint16Array.of(0x3e00) })).toEqual([1.5]);
  expect(dataOf({ datatype: 'BF16', shape: [1], data: Uint16Array.of(0xc000) })).toEqual([-2]);
  expect(dataOf({ datatype: 'FP32', shape: [1, 0], data: new Float32Array() })).toEqual([]);
  expect(dataOf({ datatype: 'BYTES', shape: [0], data: [] })).toEqual([]);
});

it('keeps all digits of 64-bit integers', () => {
  const text = render({
    name: 'y',
    datatype: 'INT64',
    shape: [2],
    data: BigInt64Array.of(9_223_372_036_854_775_807n, -1n),
  });
  expect(text).toContain('"data":[9223372036854775807,-1]');
});

it.each([NaN, Infinity, -Infinity])('refuses an output of %d, and names it', (value) => {
  for (const data of [Float32Array.of(0, value), Float64Array.of(0, value)]) {
    const datatype = data instanceof Float32Array ? 'FP32' : 'FP64';
    const work = (): string => render({ name: 'y', datatype, shape: [2], data });
    expect(work).toThrow(`value 1 of output y is ${value}`);
    expect(work).toThrow(expect.objectContaining({ code: 'SLU_INFERENCE_OUTPUT' }));
  }
});
