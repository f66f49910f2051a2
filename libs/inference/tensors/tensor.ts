import { sluiceError } from '#libs/kernel';
import type { DatatypeName } from './datatype.js';

/** Values of a tensor in row-major order. BYTES is text, 64-bit integers are bigint, BOOL is one byte (0 or 1) each. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | readonly string[];

/** A named tensor. `shape` has only known sizes here; its product is `data.length`. FP16 and BF16 are raw uint16 bits. */
export interface Tensor {
  readonly name: string;
  readonly datatype: DatatypeName;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** What a model declares: -1 stands for a size that a request chooses. The first size is the batch. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: DatatypeName;
  readonly shape: readonly number[];
  /** Names of the columns of the last dimension, for classifiers. */
  readonly labels?: readonly string[] | undefined;
}

export type NumericData = Exclude<TensorData, readonly string[]>;
export type NumericDatatype = Exclude<DatatypeName, 'BYTES'>;

/** How values of each datatype lie in memory. */
export const dataArrays = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Record<NumericDatatype, unknown>;

/** @returns zeros, or empty texts for BYTES */
export function blankData(datatype: DatatypeName, count: number): TensorData {
  return datatype === 'BYTES' ? new Array<string>(count).fill('') : new dataArrays[datatype](count);
}

/** @returns how many values a shape holds, or undefined when that is more than can be counted exactly */
export function valueCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) count *= size;
  if (Number.isSafeInteger(count)) return count;
  // A zero hides behind an overflow: 2^60 x 0 values are none.
  return shape.includes(0) ? 0 : undefined;
}

/** @returns the size of the batch dimension */
export const rowCountOf = (tensors: readonly Tensor[]): number => tensors[0]?.shape[0] ?? 0;

const headBytes = 256;
const textBytes = 32;

/** @returns about how much memory tensors take */
export function heldBytes(tensors: readonly Tensor[]): number {
  let bytes = headBytes * tensors.length;
  for (const { datatype, data } of tensors) {
    if (datatype !== 'BYTES') bytes += (data as NumericData).byteLength;
    else for (const text of data as readonly string[]) bytes += textBytes + 2 * text.length;
  }
  return bytes;
}

/**
 * Requests whose keys are equal can run in one batch: same tensors in the same order, same datatypes, and same shapes
 * behind the batch dimension.
 */
export function stackKey(tensors: readonly Tensor[]): string {
  let key = '';
  for (const { name, datatype, shape } of tensors) key += `${name}\n${datatype}:${shape.slice(1).join(',')}\n`;
  return key;
}

/** Concatenates the requests' tensors along the batch dimension, in order. All must have the same `stackKey`. */
export function stackTensors(requests: readonly (readonly Tensor[])[]): Tensor[] {
  const [first] = requests;
  if (first === undefined) return [];
  if (requests.length === 1) return [...first];
  return first.map((model, index) => {
    let rows = 0;
    let values = 0;
    for (const request of requests) {
      const tensor = request[index];
      if (tensor === undefined || request.length !== first.length || !stacksOn(tensor, model)) {
        throw new Error(`tensors ${model.name} and ${tensor?.name} cannot share a batch: their stack keys differ`);
      }
      rows += tensor.shape[0] ?? 0;
      values += tensor.data.length;
    }
    const parts = requests.map((request) => request[index]!.data);
    return { ...model, shape: [rows, ...model.shape.slice(1)], data: concatenate(model.datatype, parts, values) };
  });
}

function stacksOn(tensor: Tensor, model: Tensor): boolean {
  if (tensor.name !== model.name || tensor.datatype !== model.datatype) return false;
  if (tensor.shape.length !== model.shape.length || tensor.shape.length === 0) return false;
  for (let axis = 1; axis < model.shape.length; axis += 1) {
    if (tensor.shape[axis] !== model.shape[axis]) return false;
  }
  return true;
}

function concatenate(datatype: DatatypeName, parts: readonly TensorData[], values: number): TensorData {
  if (datatype === 'BYTES') return (parts as (readonly string[])[]).flat();
  const whole = new dataArrays[datatype](values);
  let offset = 0;
  for (const part of parts as NumericData[]) {
    // All parts have the datatype's own array type; the union of types cannot say so.
    (whole as Uint8Array).set(part as Uint8Array, offset);
    offset += part.length;
  }
  return whole;
}

/**
 * Parts the outputs of a batch into the requests it was stacked from. Numeric data are views of the batch, not copies.
 * @throws SLU_INFERENCE_OUTPUT when an output does not have one row for each row of the batch
 */
export function splitRows(outputs: readonly Tensor[], rowCounts: readonly number[]): Tensor[][] {
  let total = 0;
  for (const count of rowCounts) total += count;
  for (const { name, shape } of outputs) {
    if (shape[0] === total) continue;
    const problem = `output ${name} has shape [${shape.join(',')}] for a batch of ${total} rows`;
    throw sluiceError('SLU_INFERENCE_OUTPUT', { problem });
  }
  if (rowCounts.length === 1) return [[...outputs]];
  let row = 0;
  return rowCounts.map((count) => {
    const from = row;
    row += count;
    return outputs.map((output) => rowsOf(output, from, count, total));
  });
}

function rowsOf(tensor: Tensor, from: number, count: number, total: number): Tensor {
  const { name, datatype, shape, data } = tensor;
  const perRow = total === 0 ? 0 : data.length / total;
  const [start, end] = [from * perRow, (from + count) * perRow];
  const part =
    datatype === 'BYTES' ? (data as readonly string[]).slice(start, end) : (data as NumericData).subarray(start, end);
  return { name, datatype, shape: [count, ...shape.slice(1)], data: part };
}
