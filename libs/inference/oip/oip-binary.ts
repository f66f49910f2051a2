import { isSluiceError, sluiceError } from '#libs/kernel';
import { binaryValuesOf } from './oip-binary-values.js';
import {
  type InferRequest,
  type InferRequestOptions,
  type ModelSignature,
  parseInferRequest,
  readUndeclaredTensors,
} from './oip-infer-request.js';
import { type InferResponse, renderResponseHead, renderTensor, renderTensorHead } from './oip-infer-response.js';
import { badInput } from './oip-json-values.js';
import type { RequestedOutput } from './oip-requested-outputs.js';
import { parseWideJson } from './oip-wide-json.js';
import type { Tensor } from '../tensors/tensor.js';

/**
 * The binary tensor data extension of the Open Inference Protocol v2: a JSON header of `headerLength` bytes, sent as
 * `Inference-Header-Content-Length`, then the raw bytes of the tensors in the header's order.
 */
export interface BinaryMessage {
  readonly headerLength: number;
  /** The header and then the tensors; their concatenation is the body. */
  readonly chunks: Buffer[];
}

export const headerLengthField = 'inference-header-content-length';

/** @param requestedOutputs undefined asks for all of the model's outputs */
export function encodeInferRequest(
  inputs: readonly Tensor[],
  requestedOutputs?: readonly Pick<RequestedOutput, 'name'>[],
): BinaryMessage {
  const wanted =
    requestedOutputs === undefined
      ? '"parameters":{"binary_data_output":true}'
      : `"outputs":[${requestedOutputs.map(({ name }) => `{"name":${JSON.stringify(name)},"parameters":{"binary_data":true}}`).join(',')}]`;
  return encodeMessage(wanted, 'inputs', inputs);
}

/** @param isBinary which outputs go in binary, by their place; all when left out. The others stand in the JSON header. */
export function encodeInferResponse(
  response: InferResponse,
  isBinary: (index: number) => boolean = () => true,
): BinaryMessage {
  return encodeMessage(renderResponseHead(response), 'outputs', response.outputs, isBinary);
}

function encodeMessage(
  head: string,
  member: string,
  tensors: readonly Tensor[],
  isBinary: (index: number) => boolean = () => true,
): BinaryMessage {
  const chunks: Buffer[] = [];
  const list = tensors.map((tensor, index) => {
    if (!isBinary(index)) return renderTensor(tensor);
    const bytes = binaryValuesOf(tensor);
    chunks.push(bytes);
    return `{${renderTensorHead(tensor)},"parameters":{"binary_data_size":${bytes.length}}}`;
  });
  let text = `{${head},"${member}":[${list.join(',')}]}`;
  // Blanks behind the JSON let the first tensor begin aligned, so that the reader needs no copy of it.
  const length = Buffer.byteLength(text);
  text += ' '.repeat((alignmentBytes - (length % alignmentBytes)) % alignmentBytes);
  const header = Buffer.from(text);
  return { headerLength: header.length, chunks: [header, ...chunks] };
}

const alignmentBytes = 8;

/**
 * Reads an infer request with the binary extension; tensors may also stand in the JSON header.
 * @throws SLU_INFERENCE_INPUT
 */
export function decodeInferRequest(
  headerLength: number,
  body: Buffer,
  model: ModelSignature,
  options: Pick<InferRequestOptions, 'maxRows'> = {},
): InferRequest {
  if (headerLength === 0)
    throw badInput(headerLengthField, 'is 0: a body of raw bytes alone is not supported, send a JSON header');
  const { header, binary } = readMessage(headerLength, body);
  return parseInferRequest(header, model, { ...options, binary });
}

/** @throws SLU_INFERENCE_OUTPUT when the answer is not what the extension says */
export function decodeInferResponse(headerLength: number, body: Buffer): InferResponse {
  return asOutput(() => {
    const { header, binary } = readMessage(headerLength, body);
    return readResponse(header, binary);
  });
}

/** An answer that is wholly JSON. 64-bit integers keep their digits. @throws SLU_INFERENCE_OUTPUT */
export function decodeJsonInferResponse(body: Buffer): InferResponse {
  return asOutput(() => {
    let header: unknown;
    try {
      header = parseWideJson(body.toString()).value;
    } catch (cause) {
      throw sluiceError(
        'SLU_INFERENCE_INPUT',
        { field: 'body', problem: `its ${body.length} bytes are not JSON` },
        { cause },
      );
    }
    return readResponse(header, Buffer.alloc(0));
  });
}

function asOutput(read: () => InferResponse): InferResponse {
  try {
    return read();
  } catch (error) {
    if (!isSluiceError(error) || error.code !== 'SLU_INFERENCE_INPUT') throw error;
    throw sluiceError('SLU_INFERENCE_OUTPUT', { problem: error.message }, { cause: error });
  }
}

function readResponse(header: unknown, binary: Buffer): InferResponse {
  if (typeof header !== 'object' || header === null) throw badInput('header', 'must be a JSON object');
  const { model_name: name, model_version: version, id, outputs } = header as Record<string, unknown>;
  return {
    modelName: typeof name === 'string' ? name : '',
    modelVersion: typeof version === 'string' ? version : '',
    id: typeof id === 'string' ? id : undefined,
    outputs: readUndeclaredTensors(outputs, binary),
  };
}

function readMessage(headerLength: number, body: Buffer): { header: unknown; binary: Buffer } {
  if (!Number.isSafeInteger(headerLength) || headerLength < 0)
    throw badInput(headerLengthField, 'must be a whole number of bytes');
  if (headerLength > body.length) {
    throw badInput(headerLengthField, `is ${headerLength}, but the body has only ${body.length} bytes`);
  }
  try {
    const header: unknown = JSON.parse(body.toString('utf8', 0, headerLength));
    return { header, binary: body.subarray(headerLength) };
  } catch (cause) {
    throw sluiceError(
      'SLU_INFERENCE_INPUT',
      { field: 'header', problem: `the first ${headerLength} bytes are not JSON` },
      { cause },
    );
  }
}
