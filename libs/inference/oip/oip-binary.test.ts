import { isSluiceError } from '#libs/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryTensors } from '../../../test/support/arbitrary-tensor.js';
import {
  type BinaryMessage,
  decodeInferRequest,
  decodeInferResponse,
  encodeInferRequest,
  encodeInferResponse,
} from './oip-binary.js';
import type { ModelSignature } from './oip-infer-request.js';
import type { Tensor } from '../tensors/tensor.js';

const signatureOf = (inputs: readonly Tensor[], outputs: readonly Tensor[] = []): ModelSignature => ({
  inputs,
  outputs,
});

/** The body at the given distance from an aligned address, because sockets deliver it anywhere. */
function bodyOf({ chunks }: BinaryMessage, shift = 0): Buffer {
  return Buffer.concat([Buffer.alloc(shift), ...chunks]).subarray(shift);
}

const x: Tensor = { name: 'x', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
const s: Tensor = { name: 's', datatype: 'BYTES', shape: [2], data: ['grün', ''] };

function decodeWith(header: object | string, tail: Buffer, model: ModelSignature = signatureOf([x])): unknown {
  const head = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return decodeInferRequest(head.length, Buffer.concat([head, tail]), model);
}

const xOf = (parameters: object, more: object = {}): object => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], parameters, ...more }],
});

describe('the binary codec', () => {
  it('gives back every request that it wrote, for all datatypes and at any alignment', () => {
    fc.assert(
      fc.property(arbitraryTensors, fc.nat(8), (inputs, shift) => {
        const message = encodeInferRequest(inputs);
        const decoded = decodeInferRequest(message.headerLength, bodyOf(message, shift), signatureOf(inputs));
        expect(decoded.inputs).toEqual(inputs);
        expect(decoded.parameters).toEqual({ binary_data_output: true });
      }),
    );
  });

  it('gives back every response that it wrote', () => {
    fc.assert(
      fc.property(arbitraryTensors, fc.option(fc.string(), { nil: undefined }), fc.nat(8), (outputs, id, shift) => {
        const response = { modelName: 'm', modelVersion: '1', id, outputs };
        const message = encodeInferResponse(response);
        expect(decodeInferResponse(message.headerLength, bodyOf(message, shift))).toEqual(response);
      }),
    );
  });

  it('answers corrupt or cut bodies with an error of the table, and never reads beyond them', () => {
    const corruptions = fc.array(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }), { maxLength: 4 });
    fc.assert(
      fc.property(arbitraryTensors, corruptions, fc.nat(), fc.boolean(), (tensors, changes, cut, isCut) => {
        const request = encodeInferRequest(tensors);
        const response = encodeInferResponse({ modelName: 'm', modelVersion: '1', outputs: tensors });
        expectSluiceErrorAtMost(() =>
          decodeInferRequest(request.headerLength, damaged(bodyOf(request)), signatureOf(tensors)),
        );
        expectSluiceErrorAtMost(() => decodeInferResponse(response.headerLength, damaged(bodyOf(response))));
        function damaged(body: Buffer): Buffer {
          for (const { at, byte } of changes) body[at % body.length] = byte;
          return isCut ? body.subarray(0, cut % body.length) : body;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes any header length without harm', () => {
    const body = bodyOf(encodeInferRequest([x]));
    for (const length of [0, 1, -1, 1.5, NaN, Infinity, body.length, body.length + 1, 2 ** 40]) {
      expect(() => decodeInferRequest(length, body, signatureOf([x]))).toThrow(
        expect.objectContaining({ code: 'SLU_INFERENCE_INPUT' }),
      );
    }
  });

  it('makes numbers a view of the body where they lie aligned', () => {
    const message = encodeInferRequest([x]);
    const body = bodyOf(message);
    const aligned = Buffer.from(new ArrayBuffer(body.length));
    body.copy(aligned);
    const { inputs } = decodeInferRequest(message.headerLength, aligned, signatureOf([x]));
    expect((inputs[0]!.data as Float32Array).buffer).toBe(aligned.buffer);
  });

  it('names the outputs that are asked for', () => {
    const message = encodeInferRequest([x], [{ name: 's' }]);
    const { outputs } = decodeInferRequest(message.headerLength, bodyOf(message), signatureOf([x], [x, s]));
    expect(outputs).toEqual([{ name: 's', parameters: { binary_data: true } }]);
  });

  it('takes tensors in JSON beside tensors in binary', () => {
    const header = {
      inputs: [
        { name: 's', datatype: 'BYTES', shape: [2], data: ['a', 'b'] },
        ...(xOf({ binary_data_size: 16 }) as { inputs: object[] }).inputs,
      ],
    };
    const decoded = decodeWith(header, Buffer.alloc(16), signatureOf([x, s])) as { inputs: Tensor[] };
    expect(decoded.inputs.map(({ name }) => name)).toEqual(['x', 's']);
  });
});

describe('a lying body is refused with the field that lies', () => {
  const texts = (bytes: number[]): unknown =>
    decodeWith(
      { inputs: [{ name: 's', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: bytes.length } }] },
      Buffer.from(bytes),
      signatureOf([s]),
    );
  const bool: Tensor = { name: 'b', datatype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) };
  it.each<[string, () => unknown, string]>([
    [
      'more bytes than the body has',
      () => decodeWith(xOf({ binary_data_size: 17 }), Buffer.alloc(16)),
      'inputs[0].parameters.binary_data_size: is 17, but the body holds only 16 more bytes',
    ],
    [
      'fewer bytes than the shape wants',
      () => decodeWith(xOf({ binary_data_size: 12 }), Buffer.alloc(12)),
      'inputs[0]: has 12 bytes, but its shape and datatype FP32 want 16',
    ],
    [
      'bytes behind the last tensor',
      () => decodeWith(xOf({ binary_data_size: 16 }), Buffer.alloc(20)),
      'body: holds 4 bytes behind the last tensor',
    ],
    [
      'a negative size',
      () => decodeWith(xOf({ binary_data_size: -1 }), Buffer.alloc(16)),
      'must be a whole number of bytes',
    ],
    [
      'a size as text',
      () => decodeWith(xOf({ binary_data_size: '16' }), Buffer.alloc(16)),
      'must be a whole number of bytes',
    ],
    [
      'data and a size',
      () => decodeWith(xOf({ binary_data_size: 16 }, { data: [1, 2, 3, 4] }), Buffer.alloc(16)),
      'inputs[0].data: stands beside binary_data_size',
    ],
    [
      'a header that is not JSON',
      () => decodeWith('{"inputs":', Buffer.alloc(0)),
      'header: the first 10 bytes are not JSON',
    ],
    [
      'a text longer than the tensor',
      () => texts([9, 0, 0, 0, 97, 0, 0, 0]),
      'inputs[0][0]: says 9 bytes, but only 4 are left',
    ],
    [
      'a text length that is cut off',
      () => texts([1, 0, 0, 0, 97, 0, 0, 0]),
      'inputs[0][1]: is cut off before its length',
    ],
    ['too few bytes for the texts', () => texts([0, 0, 0, 0]), 'inputs[0]: has 4 bytes, too few for 2 texts'],
    [
      'bytes behind the last text',
      () => texts([0, 0, 0, 0, 0, 0, 0, 0, 1]),
      'inputs[0]: has 1 bytes behind its last text',
    ],
    ['a text that is not UTF-8', () => texts([1, 0, 0, 0, 0xff, 0, 0, 0, 0]), 'inputs[0][0]: is not valid UTF-8'],
    ['a text with a NUL', () => texts([1, 0, 0, 0, 0, 0, 0, 0, 0]), 'inputs[0].data: text 0 holds a NUL character'],
    [
      'a BOOL of 2',
      () =>
        decodeWith(
          { inputs: [{ name: 'b', datatype: 'BOOL', shape: [2], parameters: { binary_data_size: 2 } }] },
          Buffer.from([0, 2]),
          signatureOf([bool]),
        ),
      'inputs[0][1]: is neither 0 nor 1',
    ],
  ])('%s', (_what, decode, message) => {
    expect(decode).toThrow(message);
    expect(decode).toThrow(expect.objectContaining({ code: 'SLU_INFERENCE_INPUT' }));
  });

  it('blames a broken answer on the output', () => {
    const message = encodeInferResponse({ modelName: 'm', modelVersion: '1', outputs: [x] });
    const decode = (): unknown => decodeInferResponse(message.headerLength, bodyOf(message).subarray(0, -1));
    expect(decode).toThrow(expect.objectContaining({ code: 'SLU_INFERENCE_OUTPUT' }));
  });
});

function expectSluiceErrorAtMost(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!isSluiceError(error)) throw error;
  }
}
