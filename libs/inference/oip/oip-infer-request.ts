import { type DatatypeName, datatypes } from '../tensors/datatype.js';
import { readBinaryValues } from './oip-binary-values.js';
import { badInput, readJsonValues } from './oip-json-values.js';
import { isObject, namesOf, quote, specIndex } from './oip-members.js';
import { type InferParameters, readParameters, readScheduling } from './oip-parameters.js';
import { readRequestedOutputs, type RequestedOutput } from './oip-requested-outputs.js';
import { type Tensor, type TensorSpec, valueCount } from '../tensors/tensor.js';

/** What a caller asks of a model. `inputs` are complete, checked, and in the model's own order. */
export interface InferRequest {
  readonly id?: string | undefined;
  readonly inputs: Tensor[];
  /** The outputs to answer with, in this order; undefined asks for all of them. */
  readonly outputs?: RequestedOutput[] | undefined;
  readonly parameters: InferParameters;
  /** From `parameters.priority`: 1 is the most urgent, 0 the same as none. */
  readonly priority?: number | undefined;
  /** From `parameters.timeout`, which is in microseconds. */
  readonly timeoutMs?: number | undefined;
}

export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export interface InferRequestOptions {
  /** Most rows in one request. */
  maxRows?: number | undefined;
  /** What follows the JSON header, where the binary tensor data extension is in use. */
  binary?: Buffer | undefined;
}

const defaultMaxRows = 8_192;
const longestId = 256;
const largestSize = 2 ** 31 - 1;

/**
 * Reads the JSON of an Open Inference Protocol v2 infer request and holds it against what the model declares.
 * Unknown members are passed over, as the protocol asks. `parameters.binary_data_output` and `outputs[].parameters.binary_data`
 * are tolerated without the binary extension: the answer is JSON then.
 * @throws SLU_INFERENCE_INPUT with the path of the wrong field
 */
export function parseInferRequest(
  body: unknown,
  model: ModelSignature,
  options: InferRequestOptions = {},
): InferRequest {
  if (!isObject(body)) throw badInput('body', 'must be a JSON object with inputs');
  const { id } = body;
  if (id !== undefined && (typeof id !== 'string' || id.length > longestId)) {
    throw badInput('id', `must be a string of at most ${longestId} characters`);
  }
  const parameters = readParameters(body['parameters'], 'parameters');
  const inputs = readInputs(body['inputs'], model.inputs, options);
  const outputs = readRequestedOutputs(body['outputs'], model.outputs);
  const { priority, timeoutMs } = readScheduling(parameters);
  return { id, inputs, outputs, parameters, priority, timeoutMs };
}

function readInputs(given: unknown, specs: readonly TensorSpec[], options: InferRequestOptions): Tensor[] {
  if (given === undefined) throw badInput('inputs', `is missing: send an array with ${namesOf(specs)}`);
  if (!Array.isArray(given)) throw badInput('inputs', 'must be an array of tensors');
  if (given.length === 0) throw badInput('inputs', `is empty: send ${namesOf(specs)}`);
  const tail = new BinaryTail(options.binary);
  const inputs = new Array<Tensor | undefined>(specs.length).fill(undefined);
  for (let index = 0; index < given.length; index += 1) {
    const field = `inputs[${index}]`;
    const entry: unknown = given[index];
    if (!isObject(entry)) throw badInput(field, 'must be an object with name, datatype, shape and data');
    const at = specIndex(entry['name'], specs, index, field);
    if (inputs[at] !== undefined) throw badInput(`${field}.name`, `input ${quote(specs[at]!.name)} is given twice`);
    inputs[at] = readInput(entry, specs[at]!, field, tail);
  }
  tail.end();
  const missing = inputs.indexOf(undefined);
  if (missing >= 0) throw badInput('inputs', `input ${quote(specs[missing]!.name)} is missing`);
  checkRows(inputs as Tensor[], options.maxRows ?? defaultMaxRows);
  return inputs as Tensor[];
}

function readInput(entry: Record<string, unknown>, spec: TensorSpec, field: string, tail: BinaryTail): Tensor {
  const { name, datatype } = spec;
  if (entry['datatype'] !== datatype) {
    const given = typeof entry['datatype'] === 'string' ? `not ${quote(entry['datatype'])}` : 'as a string';
    throw badInput(`${field}.datatype`, `must be ${datatype}, ${given}`);
  }
  const shape = readShape(entry['shape'], spec.shape, `${field}.shape`);
  const data = readValues(entry, datatype, shape, field, tail);
  if (datatype === 'BYTES') refuseNul(data as readonly string[], `${field}.data`);
  return { name, datatype, shape, data };
}

// onnxruntime-node cuts a text at its first NUL without a word: what stands behind it would pass unread.
function refuseNul(texts: readonly string[], field: string): void {
  const wrong = texts.findIndex((text) => text.includes('\0'));
  if (wrong >= 0) throw badInput(field, `text ${wrong} holds a NUL character, which models cannot read: remove it`);
}

function readShape(given: unknown, wanted: readonly number[], field: string): number[] {
  const wantedText = `[${wanted.join(',')}]`;
  if (!Array.isArray(given)) throw badInput(field, `must be an array of sizes like ${wantedText}`);
  if (given.length !== wanted.length)
    throw badInput(field, `has ${given.length} sizes, the model wants ${wanted.length}: ${wantedText}`);
  checkSizes(given, field);
  for (let axis = 0; axis < wanted.length; axis += 1) {
    if (axis === 0 && given[0] === 0) throw badInput(`${field}[0]`, 'the batch is empty: send at least one row');
    if (wanted[axis] !== -1 && given[axis] !== wanted[axis]) {
      throw badInput(`${field}[${axis}]`, `is ${given[axis]}, the model wants ${wanted[axis]}: shape ${wantedText}`);
    }
  }
  return given as number[];
}

function checkSizes(shape: readonly unknown[], field: string): void {
  for (let axis = 0; axis < shape.length; axis += 1) {
    const size = shape[axis];
    if (!Number.isInteger(size) || (size as number) < 0 || (size as number) > largestSize) {
      throw badInput(`${field}[${axis}]`, `must be a whole number from 0 to ${largestSize}`);
    }
  }
}

function readValues(
  entry: Record<string, unknown>,
  datatype: DatatypeName,
  shape: readonly number[],
  field: string,
  tail: BinaryTail,
) {
  const count = valueCount(shape);
  if (count === undefined) throw badInput(`${field}.shape`, 'is too large: the product of its sizes cannot be counted');
  const parameters =
    entry['parameters'] === undefined ? undefined : readParameters(entry['parameters'], `${field}.parameters`);
  if (parameters?.['shared_memory_region'] !== undefined) {
    throw badInput(
      `${field}.parameters.shared_memory_region`,
      'is not supported: the server reads no memory but its own, send data',
    );
  }
  const size = parameters?.['binary_data_size'];
  if (size === undefined) {
    if (entry['data'] === undefined) throw badInput(`${field}.data`, 'is missing');
    return readJsonValues(datatype, entry['data'], shape, count, `${field}.data`);
  }
  if (entry['data'] !== undefined)
    throw badInput(`${field}.data`, 'stands beside binary_data_size: send one of the two');
  return readBinaryValues(datatype, tail.take(size, `${field}.parameters.binary_data_size`), count, field);
}

/** The bytes behind the JSON header, handed out tensor by tensor in the order of the request. */
class BinaryTail {
  private offset = 0;
  constructor(private readonly bytes: Buffer | undefined) {}

  take(size: unknown, field: string): Buffer {
    const { bytes } = this;
    if (bytes === undefined) {
      throw badInput(
        field,
        'needs the Inference-Header-Content-Length header and the bytes behind the JSON: send that, or data',
      );
    }
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw badInput(field, 'must be a whole number of bytes');
    const left = bytes.length - this.offset;
    if (size > left) throw badInput(field, `is ${size}, but the body holds only ${left} more bytes`);
    this.offset += size;
    return bytes.subarray(this.offset - size, this.offset);
  }

  end(): void {
    const left = (this.bytes?.length ?? 0) - this.offset;
    if (left > 0) throw badInput('body', `holds ${left} bytes behind the last tensor`);
  }
}

function checkRows(inputs: readonly Tensor[], maxRows: number): void {
  const rows = inputs[0]?.shape[0] ?? 0;
  if (rows > maxRows)
    throw badInput('inputs', `has ${rows} rows; one request may have at most ${maxRows}: send several requests`);
  for (const { name, shape } of inputs) {
    if (shape[0] === rows) continue;
    throw badInput(
      'inputs',
      `input ${quote(name)} has ${shape[0]} rows and input ${quote(inputs[0]!.name)} has ${rows}: make them equal`,
    );
  }
}

/**
 * Reads tensors that no declaration is at hand for: the outputs in a replica's answer.
 * @throws SLU_INFERENCE_INPUT; who asked turns it into the failure that it is for him
 */
export function readUndeclaredTensors(given: unknown, binary: Buffer | undefined): Tensor[] {
  if (!Array.isArray(given)) throw badInput('outputs', 'must be an array of tensors');
  const tail = new BinaryTail(binary);
  const tensors = given.map((entry: unknown, index): Tensor => {
    const field = `outputs[${index}]`;
    if (!isObject(entry)) throw badInput(field, 'must be an object');
    const { name, datatype, shape } = entry;
    if (typeof name !== 'string') throw badInput(`${field}.name`, 'must be a string');
    if (typeof datatype !== 'string' || !Object.hasOwn(datatypes, datatype))
      throw badInput(`${field}.datatype`, 'is unknown');
    if (!Array.isArray(shape)) throw badInput(`${field}.shape`, 'must be an array of sizes');
    checkSizes(shape, `${field}.shape`);
    const known = datatype as DatatypeName;
    return {
      name,
      datatype: known,
      shape: shape as number[],
      data: readValues(entry, known, shape as number[], field, tail),
    };
  });
  tail.end();
  return tensors;
}
