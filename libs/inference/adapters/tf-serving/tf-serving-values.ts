import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import { isUtf8 } from 'node:buffer';
import type { DatatypeName } from '../../tensors/datatype.js';
import { readJsonValues } from '../../oip/oip-json-values.js';
import { type Tensor, type TensorData, type TensorSpec, valueCount } from '../../tensors/tensor.js';

/** TensorFlow's names for the datatypes that its REST API carries: `tensorflow_serving/util/json_tensor.cc`. */
export const tensorflowDatatypes: Readonly<Record<string, DatatypeName>> = {
  DT_BOOL: 'BOOL',
  DT_UINT8: 'UINT8',
  DT_UINT32: 'UINT32',
  DT_UINT64: 'UINT64',
  DT_INT8: 'INT8',
  DT_INT16: 'INT16',
  DT_INT32: 'INT32',
  DT_INT64: 'INT64',
  DT_FLOAT: 'FP32',
  DT_DOUBLE: 'FP64',
  DT_STRING: 'BYTES',
};

const carried: ReadonlySet<DatatypeName> = new Set(Object.values(tensorflowDatatypes));

/** Half floats and UINT16 have no JSON form there. */
export const isCarried = (datatype: DatatypeName): boolean => carried.has(datatype);

/** Writes a tensor as nested JSON arrays, with the tokens NaN, Infinity and -Infinity that TensorFlow Serving reads. */
export function nestedJson({ shape, datatype, data }: Tensor): string {
  const write = writers[datatype] ?? String;
  const level = (axis: number, offset: number, step: number): string => {
    const size = shape[axis];
    if (size === undefined) return write(data[offset]!);
    const inner = step / Math.max(1, size);
    let text = '';
    for (let index = 0; index < size; index += 1)
      text += `${index === 0 ? '' : ','}${level(axis + 1, offset + index * inner, inner)}`;
    return `[${text}]`;
  };
  return level(0, 0, data.length);
}

/** The rows of a tensor, each as JSON. */
export function rowsJson(tensor: Tensor): string[] {
  const [rows = 0, ...shape] = tensor.shape;
  const perRow = rows === 0 ? 0 : tensor.data.length / rows;
  return Array.from({ length: rows }, (_value, row) => {
    const data = tensor.data.slice(row * perRow, (row + 1) * perRow) as TensorData;
    return nestedJson({ ...tensor, shape, data });
  });
}

type Writer = (value: number | bigint | string) => string;

// A whole number without a point is an integer to it, and integers beyond the float's digits are refused as lossy.
const writeFloat: Writer = (value) => {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return Number.isInteger(value) && !text.includes('e') ? `${text}.0` : text;
};

const writers: Partial<Record<DatatypeName, Writer>> = {
  BOOL: (value) => (value === 0 ? 'false' : 'true'),
  // Plain JSON strings would do for texts; this form is read as bytes, whatever the text is.
  BYTES: (value) => `{"b64":"${Buffer.from(value as string).toString('base64')}"}`,
  FP32: writeFloat,
  FP64: writeFloat,
};

/**
 * Reads nested JSON arrays as a tensor of the declared kind. Floats may be infinite, and null stands for NaN where the
 * text held that token.
 * @throws SLU_INFERENCE_OUTPUT
 */
export function tensorOfNested({ name, datatype }: TensorSpec, value: unknown, hasNaN: boolean): Tensor {
  const shape = shapeOf(value);
  const flat: unknown[] = [];
  flatten(value, shape, 0, flat, name);
  const count = valueCount(shape) ?? 0;
  return { name, datatype, shape, data: dataOf(datatype, flat, count, { name, hasNaN }) };
}

function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let level = value; Array.isArray(level); level = level[0] as unknown) shape.push(level.length);
  return shape;
}

function flatten(value: unknown, shape: readonly number[], axis: number, into: unknown[], name: string): void {
  if (axis === shape.length) {
    if (Array.isArray(value)) throw unreadable(name, 'is nested unevenly');
    into.push(value);
    return;
  }
  if (!Array.isArray(value) || value.length !== shape[axis]) throw unreadable(name, 'is nested unevenly');
  for (const part of value) flatten(part, shape, axis + 1, into, name);
}

function dataOf(
  datatype: DatatypeName,
  flat: unknown[],
  count: number,
  { name, hasNaN }: { name: string; hasNaN: boolean },
): TensorData {
  if (datatype === 'FP32' || datatype === 'FP64') return floatsOf(datatype, flat, name, hasNaN);
  if (datatype === 'BYTES') return flat.map((value) => textOf(value, name));
  try {
    return readJsonValues(datatype, flat, [count], count, `output ${name}`);
  } catch (cause) {
    throw isSluiceError(cause) ? sluiceError('SLU_INFERENCE_OUTPUT', { problem: cause.message }, { cause }) : cause;
  }
}

function floatsOf(datatype: 'FP32' | 'FP64', flat: unknown[], name: string, hasNaN: boolean): TensorData {
  const target = datatype === 'FP32' ? new Float32Array(flat.length) : new Float64Array(flat.length);
  for (const [index, value] of flat.entries()) {
    if (value === null && hasNaN) target[index] = NaN;
    else if (typeof value === 'number' || typeof value === 'bigint') target[index] = Number(value);
    else throw unreadable(name, `holds something that is no number at ${index}`);
  }
  return target;
}

function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  const encoded = (value as { b64?: unknown } | null)?.b64;
  if (typeof encoded !== 'string') throw unreadable(name, 'holds something that is no string');
  const bytes = Buffer.from(encoded, 'base64');
  if (!isUtf8(bytes)) throw unreadable(name, 'holds bytes that are no text');
  return bytes.toString();
}

export const unreadable = (name: string, problem: string): SluiceError =>
  sluiceError('SLU_INFERENCE_OUTPUT', { problem: `output ${name} ${problem}` });
