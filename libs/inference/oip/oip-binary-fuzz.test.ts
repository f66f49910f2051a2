import { isSluiceError } from '#libs/kernel';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { tensorOf } from '../../../test/support/arbitrary-tensor.js';
import { datatypeNames, type DatatypeName } from '../tensors/datatype.js';
import {
  type BinaryMessage,
  decodeInferRequest,
  decodeInferResponse,
  encodeInferRequest,
  encodeInferResponse,
} from './oip-binary.js';
import { parseRawRequest } from './oip-raw-request.js';
import { type NumericData, type Tensor, valueCount } from '../tensors/tensor.js';

/** `SLUICE_FUZZ_EXAMPLES=200` for a long run: so many messages of each datatype, each with all of its bits turned. */
const numRuns = Number(process.env['SLUICE_FUZZ_EXAMPLES'] ?? 4);
vi.setConfig({ testTimeout: 30_000 + numRuns * 2_000 });

/** No byte of any UTF-8 text, so that a text that reaches beyond its message cannot pass for one. */
const beyond = 0xfe;
const marginBytes = 64;

/** The message in the middle of a buffer that others use as well, as sockets deliver it. */
function placed({ chunks }: BinaryMessage): { whole: Buffer; body: Buffer } {
  const bytes = Buffer.concat(chunks);
  const whole = Buffer.alloc(bytes.length + 2 * marginBytes, beyond);
  bytes.copy(whole, marginBytes);
  return { whole, body: whole.subarray(marginBytes, marginBytes + bytes.length) };
}

/** Either an error of the table, or tensors that are what they say and lie within what was sent. */
function expectRefusedOrSound(decode: () => readonly Tensor[], body: Buffer): 'refused' | 'sound' {
  let tensors: readonly Tensor[];
  try {
    tensors = decode();
  } catch (error) {
    const isOurs =
      isSluiceError(error) &&
      ['SLU_INFERENCE_INPUT', 'SLU_INFERENCE_OUTPUT', 'SLU_REQUEST_MALFORMED'].includes(error.code);
    if (!isOurs) throw error;
    return 'refused';
  }
  let bytes = 0;
  for (const { datatype, shape, data } of tensors) {
    if (data.length !== valueCount(shape)) throw new Error(`${data.length} values for shape [${shape.join(',')}]`);
    if (datatype === 'BYTES') {
      for (const text of data as readonly string[]) {
        if (!text.isWellFormed()) throw new Error('a text that is none');
        bytes += Buffer.byteLength(text);
      }
      continue;
    }
    const { buffer, byteOffset, byteLength } = data as NumericData;
    bytes += byteLength;
    if (buffer !== body.buffer || byteLength === 0) continue;
    if (byteOffset < body.byteOffset || byteOffset + byteLength > body.byteOffset + body.length)
      throw new Error('numbers from beyond the message');
  }
  // Each value takes bytes of the message, so nothing can grow on the way.
  if (bytes > body.length) throw new Error(`${bytes} bytes out of ${body.length}`);
  return 'sound';
}

const message = (datatype: DatatypeName): fc.Arbitrary<Tensor[]> =>
  fc.tuple(tensorOf('a', datatype, [2, 2]), tensorOf('b', 'BYTES', [2]), tensorOf('c', datatype, [2]));
const free = (tensors: readonly Tensor[]) =>
  tensors.map(({ name, datatype, shape }) => ({ name, datatype, shape: shape.map(() => -1) }));

function tally(): Record<'refused' | 'sound', number> {
  return { refused: 0, sound: 0 };
}

describe.each(datatypeNames)('a message with %s', (datatype) => {
  it('is refused or still sound when any of its bits is turned', () => {
    const seen = tally();
    fc.assert(
      fc.property(message(datatype), (tensors) => {
        const model = { inputs: free(tensors), outputs: [] };
        const request = encodeInferRequest(tensors);
        const response = encodeInferResponse({ modelName: 'm', modelVersion: '1', outputs: tensors });
        const asked = placed(request);
        const answered = placed(response);
        eachBit(asked.body, () => {
          const decode = () => decodeInferRequest(request.headerLength, asked.body, model).inputs;
          seen[expectRefusedOrSound(decode, asked.body)] += 1;
        });
        eachBit(answered.body, () => {
          const decode = () => decodeInferResponse(response.headerLength, answered.body).outputs;
          seen[expectRefusedOrSound(decode, answered.body)] += 1;
        });
      }),
      { numRuns },
    );
    // Were it all the one or all the other, the test would show nothing.
    expect(seen.refused).toBeGreaterThan(100);
    expect(seen.sound).toBeGreaterThan(10);
  });

  it('is refused when it is cut off anywhere', () => {
    fc.assert(
      fc.property(message(datatype), (tensors) => {
        const model = { inputs: free(tensors), outputs: [] };
        const request = encodeInferRequest(tensors);
        const { body } = placed(request);
        for (let length = 0; length < body.length; length += 1) {
          const decode = () => decodeInferRequest(request.headerLength, body.subarray(0, length), model).inputs;
          expect(expectRefusedOrSound(decode, body)).toBe('refused');
        }
      }),
      { numRuns },
    );
  });

  it('is refused or still sound with any length of its header', () => {
    fc.assert(
      fc.property(message(datatype), (tensors) => {
        const { headerLength, chunks } = encodeInferRequest(tensors);
        const { body } = placed({ headerLength, chunks });
        for (let length = 0; length <= body.length + 1; length += 1) {
          const decode = () => decodeInferRequest(length, body, { inputs: free(tensors), outputs: [] }).inputs;
          expectRefusedOrSound(decode, body);
        }
      }),
      { numRuns },
    );
  });

  it('comes back from raw bytes alone as it went, or is refused when it is cut off within a value', () => {
    fc.assert(
      fc.property(tensorOf('x', datatype, [3, 2]), (tensor) => {
        const isText = datatype === 'BYTES';
        const sent = isText ? { ...tensor, shape: [1, 1], data: [(tensor.data as string[])[0]!] } : tensor;
        const { chunks } = encodeInferRequest([sent]);
        const body = isText ? chunks[1]!.subarray(4) : chunks[1]!;
        const model = { inputs: [{ name: 'x', datatype, shape: [-1, isText ? 1 : 2] }], outputs: [] };
        expect(parseRawRequest(body, model).inputs).toEqual([sent]);
        for (let length = 0; length < body.length; length += 1)
          expectRefusedOrSound(() => parseRawRequest(body.subarray(0, length), model).inputs, body);
      }),
      { numRuns },
    );
  });
});

function eachBit(bytes: Buffer, look: () => void): void {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    look();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
}

it('allocates nothing for shapes and sizes that lie, however large they say they are', () => {
  const before = process.memoryUsage().arrayBuffers;
  const size = 2 ** 31 - 1;
  for (const datatype of datatypeNames) {
    for (const shape of [[size], [size, 1], [1, size], [size, size], [size, size, size], [2 ** 20, 2 ** 20]]) {
      for (const stated of [0, 8, size, 2 ** 53 - 1, 2 ** 60]) {
        const entry = { name: 'x', datatype, shape, parameters: { binary_data_size: stated } };
        const head = Buffer.from(JSON.stringify({ inputs: [entry], outputs: [] }));
        const body = Buffer.concat([head, Buffer.alloc(8)]);
        const model = { inputs: [{ name: 'x', datatype, shape: shape.map(() => -1) }], outputs: [] };
        expect(() => decodeInferRequest(head.length, body, model)).toThrow(
          expect.objectContaining({ code: 'SLU_INFERENCE_INPUT' }),
        );
        const answer = Buffer.from(JSON.stringify({ outputs: [entry] }));
        expect(() => decodeInferResponse(answer.length, Buffer.concat([answer, Buffer.alloc(8)]))).toThrow(
          expect.objectContaining({ code: 'SLU_INFERENCE_OUTPUT' }),
        );
      }
    }
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
});
