import { type ErrorDetail, type SluiceError, sluiceError } from '#libs/kernel';
import type { DatatypeName } from '../tensors/datatype.js';
import { bfloatBits, halfBits } from './oip-half-float.js';
import { type NumericDatatype, type TensorData, dataArrays } from '../tensors/tensor.js';

export function badInput(field: string, problem: string, detail: ErrorDetail = {}): SluiceError {
  return sluiceError('SLU_INFERENCE_INPUT', { ...detail, field, problem });
}

/**
 * Reads the `data` of one tensor in a single pass: flat in row-major order, or nested exactly as `shape` says.
 * @param count the product of `shape`
 * @param field where `data` stands, for errors
 * @throws SLU_INFERENCE_INPUT
 */
export function readJsonValues(
  datatype: DatatypeName,
  data: unknown,
  shape: readonly number[],
  count: number,
  field: string,
): TensorData {
  if (!Array.isArray(data)) throw badInput(field, 'must be an array of values');
  const values = data as readonly unknown[];
  const isNested = shape.length > 1 && Array.isArray(values[0]);
  // Nothing is allocated before the number of values is known to be what the shape says.
  if (isNested) checkNesting(values, shape, 0, field);
  else if (values.length !== count) {
    throw badInput(field, `has ${values.length} values, but shape [${shape.join(',')}] wants ${count}`);
  }
  const target = datatype === 'BYTES' ? new Array<string>(count) : new dataArrays[datatype](count);
  const fill = fillers[datatype] as Filler;
  const wrong = isNested ? fillNested(fill, values, shape, target) : fill(values, target, 0);
  if (wrong === nothingWrong) return target;
  const path = isNested ? pathOf(wrong, shape) : `[${wrong}]`;
  throw badInput(field + path, problemOf(datatype, valueAt(values, isNested ? shape : [count], wrong)));
}

function checkNesting(values: readonly unknown[], shape: readonly number[], axis: number, field: string): void {
  if (values.length !== shape[axis]) {
    throw badInput(field, `has ${values.length} elements, but shape [${shape.join(',')}] wants ${shape[axis]} here`);
  }
  if (axis === shape.length - 1) return;
  for (let index = 0; index < values.length; index += 1) {
    const row = values[index];
    if (!Array.isArray(row)) throw badInput(`${field}[${index}]`, 'must be an array, as its neighbours are');
    // Only a row that is wrong pays for the text of its path.
    if (row.length !== shape[axis + 1] || axis + 2 < shape.length)
      checkNesting(row, shape, axis + 1, `${field}[${index}]`);
  }
}

type WritableValues = { [index: number]: unknown };

/** Copies values into the target. @returns the index in the target of the first wrong value, or `nothingWrong` */
type Filler = (values: readonly unknown[], target: WritableValues, offset: number) => number;

const nothingWrong = -1;

function fillNested(
  fill: Filler,
  values: readonly unknown[],
  shape: readonly number[],
  target: WritableValues,
): number {
  let offset = 0;
  const rowLength = shape.at(-1) ?? 0;
  const visit = (rows: readonly unknown[], axis: number): number => {
    if (axis === shape.length - 1) {
      const wrong = fill(rows, target, offset);
      offset += rowLength;
      return wrong;
    }
    for (const row of rows) {
      const wrong = visit(row as readonly unknown[], axis + 1);
      if (wrong !== nothingWrong) return wrong;
    }
    return nothingWrong;
  };
  return visit(values, 0);
}

function indicesOf(index: number, shape: readonly number[]): number[] {
  let rest = index;
  const indices: number[] = [];
  for (const size of shape.toReversed()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return indices;
}

const pathOf = (index: number, shape: readonly number[]): string =>
  indicesOf(index, shape)
    .map((at) => `[${at}]`)
    .join('');

function valueAt(values: readonly unknown[], shape: readonly number[], index: number): unknown {
  return indicesOf(index, shape).reduce<unknown>((row, at) => (row as readonly unknown[])[at], values);
}

const integerRanges = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffff_ffff],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x8000_0000, 0x7fff_ffff],
} as const;

// Each filler is its own function, so that the engine sees one array type in each of the hot loops.
const fillers: Record<NumericDatatype, (values: readonly unknown[], target: never, offset: number) => number> & {
  BYTES: Filler;
} = {
  FP32: (values, target: Float32Array, offset) => {
    for (let index = 0; index < values.length; index += 1) {
      let value = values[index];
      if (typeof value === 'bigint') value = Number(value);
      if (typeof value !== 'number') return offset + index;
      target[offset + index] = value;
      const stored = target[offset + index]!;
      // Only a number that is not finite differs from itself less itself.
      if (stored - stored !== 0) return offset + index;
    }
    return nothingWrong;
  },
  FP64: (values, target: Float64Array, offset) => {
    for (let index = 0; index < values.length; index += 1) {
      let value = values[index];
      if (typeof value === 'bigint') value = Number(value);
      if (typeof value !== 'number' || value - value !== 0) return offset + index;
      target[offset + index] = value;
    }
    return nothingWrong;
  },
  FP16: halfFiller(halfBits, 0x7c00),
  BF16: halfFiller(bfloatBits, 0x7f80),
  INT64: (values, target: BigInt64Array, offset) => {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (Number.isSafeInteger(value)) target[offset + index] = BigInt(value as number);
      else if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) target[offset + index] = value;
      else return offset + index;
    }
    return nothingWrong;
  },
  UINT64: (values, target: BigUint64Array, offset) => {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (Number.isSafeInteger(value) && (value as number) >= 0) target[offset + index] = BigInt(value as number);
      else if (typeof value === 'bigint' && BigInt.asUintN(64, value) === value) target[offset + index] = value;
      else return offset + index;
    }
    return nothingWrong;
  },
  UINT8: integerFiller('UINT8'),
  UINT16: integerFiller('UINT16'),
  UINT32: integerFiller('UINT32'),
  INT8: integerFiller('INT8'),
  INT16: integerFiller('INT16'),
  INT32: integerFiller('INT32'),
  BOOL: (values, target: Uint8Array, offset) => {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (value !== true && value !== false) return offset + index;
      target[offset + index] = value ? 1 : 0;
    }
    return nothingWrong;
  },
  BYTES: (values, target, offset) => {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (typeof value !== 'string' || !value.isWellFormed()) return offset + index;
      target[offset + index] = value;
    }
    return nothingWrong;
  },
};

function integerFiller(datatype: keyof typeof integerRanges) {
  const [least, most] = integerRanges[datatype];
  return (values: readonly unknown[], target: Int32Array, offset: number): number => {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) return offset + index;
      target[offset + index] = value as number;
    }
    return nothingWrong;
  };
}

function halfFiller(bitsOf: (value: number) => number, exponentMask: number) {
  return (values: readonly unknown[], target: Uint16Array, offset: number): number => {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (typeof value !== 'number') return offset + index;
      const bits = bitsOf(value);
      // All exponent bits set: an infinity, or not a number.
      if ((bits & exponentMask) === exponentMask) return offset + index;
      target[offset + index] = bits;
    }
    return nothingWrong;
  };
}

/** Says what is wrong with a value that a filler refused, without showing it: inputs are private. */
function problemOf(datatype: DatatypeName, value: unknown): string {
  const kind = Array.isArray(value)
    ? 'an array'
    : value === null
      ? 'null'
      : value === undefined
        ? 'nothing'
        : `a ${typeof value}`;
  if (datatype === 'BOOL') return `must be true or false, not ${kind}`;
  if (datatype === 'BYTES') {
    if (typeof value === 'string') return 'holds half of a surrogate pair, so it is not valid text';
    return `must be a string, not ${kind}`;
  }
  if (typeof value !== 'number') return `must be a number for ${datatype}, not ${kind}`;
  if (!Number.isFinite(value)) return 'must be a finite number';
  if (datatype === 'FP16' || datatype === 'BF16' || datatype === 'FP32' || datatype === 'FP64')
    return `is out of range for ${datatype}`;
  if (!Number.isInteger(value)) return `must be a whole number for ${datatype}`;
  if (datatype === 'UINT64' && value < 0) return 'must not be negative for UINT64';
  if (datatype === 'INT64' || datatype === 'UINT64') {
    return 'is beyond 2^53 - 1, where JSON numbers lose digits: send this tensor with the binary tensor data extension';
  }
  const [least, most] = integerRanges[datatype];
  return `is out of range for ${datatype} (${least} to ${most})`;
}
