import { datatypes } from '../tensors/datatype.js';
import { type InferRequest, type ModelSignature, parseInferRequest } from './oip-infer-request.js';
import { badInput } from './oip-json-values.js';
import { type TensorSpec, valueCount } from '../tensors/tensor.js';

const field = 'inference-header-content-length';
const lengthBytes = 4;

/**
 * Reads a body of raw bytes alone (`Inference-Header-Content-Length: 0`), as Triton takes it for models with one input:
 * little-endian numbers whose one free size follows from their number, or for BYTES the whole body as one text.
 * All outputs are asked for, in binary.
 * @throws SLU_INFERENCE_INPUT
 */
export function parseRawRequest(body: Buffer, model: ModelSignature): InferRequest {
  const [input, another] = model.inputs;
  if (input === undefined || another !== undefined)
    throw badInput(field, `is 0, but the model has ${model.inputs.length} inputs: send a JSON header that names them`);
  const { name, datatype } = input;
  const shape = datatype === 'BYTES' ? shapeOfOne(input) : deducedShape(input, datatypes[datatype].bytes, body.length);
  const binary = datatype === 'BYTES' ? Buffer.concat([lengthOf(body), body]) : body;
  const parameters = { binary_data_size: binary.length };
  return parseInferRequest(
    { inputs: [{ name, datatype, shape, parameters }], parameters: { binary_data_output: true } },
    model,
    { binary },
  );
}

function shapeOfOne({ name, shape }: TensorSpec): number[] {
  if (shape.some((size) => size !== -1 && size !== 1))
    throw badInput(field, `is 0, but input ${name} has shape [${shape.join(',')}], not one text: send a JSON header`);
  return shape.map(() => 1);
}

function deducedShape({ name, shape }: TensorSpec, bytesPerValue: number, bodyBytes: number): number[] {
  const free = shape.indexOf(-1);
  if (free !== shape.lastIndexOf(-1))
    throw badInput(field, `is 0, but input ${name} has more than one free size: send a JSON header with its shape`);
  if (free < 0) return [...shape];
  const fixed = valueCount(shape.map((size) => (size === -1 ? 1 : size)));
  const bytesPerStep = (fixed ?? Infinity) * bytesPerValue;
  const steps = bodyBytes / bytesPerStep;
  if (!Number.isInteger(steps) || steps === 0) {
    const problem = `has ${bodyBytes} bytes, but shape [${shape.join(',')}] wants a multiple of ${bytesPerStep}`;
    throw badInput('body', problem);
  }
  return shape.map((size) => (size === -1 ? steps : size));
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.allocUnsafe(lengthBytes);
  length.writeUInt32LE(bytes.length);
  return length;
}
