import type { DatatypeName } from '../tensors/datatype.js';
import { bfloatValue, halfValue } from './oip-half-float.js';
import type { NumericData, Tensor } from '../tensors/tensor.js';

/** What `outputs[].parameters.classification` asks for. */
export interface Classes {
  /** How many of the highest values; fewer when a row has fewer. */
  readonly count: number;
  /** Names of the columns of the last dimension. */
  readonly labels?: readonly string[] | undefined;
}

/** Up to so many classes a row is searched once with the best ones at hand; beyond, sorting it whole is cheaper. */
const searchedUpTo = 64;
const floats: ReadonlySet<DatatypeName> = new Set(['FP16', 'BF16', 'FP32', 'FP64']);

/**
 * Triton's classification extension: of each row the highest values, as BYTES `[rows, classes]` of
 * `value:index[:label]`. Numbers compare in their own datatype; of equal ones the first counts more, and NaN least.
 * An index counts through all values of the row.
 */
export function classify(output: Tensor, { count, labels }: Classes): Tensor {
  const { name, shape, datatype } = output;
  const values = comparable(output);
  const rows = shape[0] ?? 1;
  const perRow = rows === 0 ? 0 : values.length / rows;
  const classes = Math.min(count, perRow);
  // Labels name columns: where several dimensions lie behind the batch, an index is no column.
  const named = shape.length <= 2 || shape.at(-1) === perRow ? labels : undefined;
  const textOf = floats.has(datatype) ? floatText : String;
  const data: string[] = [];
  for (let row = 0; row < rows; row += 1) {
    const ofRow = values.subarray(row * perRow, (row + 1) * perRow);
    for (const index of highest(ofRow, classes)) {
      const label = named?.[index];
      data.push(`${textOf(ofRow[index]!)}:${index}${label === undefined ? '' : `:${label}`}`);
    }
  }
  return { name, datatype: 'BYTES', shape: [rows, classes], data };
}

function comparable({ datatype, data }: Tensor): NumericData {
  if (datatype === 'FP16') return Float32Array.from(data as Uint16Array, halfValue);
  if (datatype === 'BF16') return Float32Array.from(data as Uint16Array, bfloatValue);
  return data as NumericData;
}

/** @returns indices of the highest values, the highest first */
function highest(values: NumericData, count: number): Iterable<number> {
  if (count > searchedUpTo) {
    const order = new Uint32Array(values.length).map((_none, index) => index);
    return order.sort((one, other) => comparison(values[one]!, values[other]!) || one - other).subarray(0, count);
  }
  const best: number[] = [];
  for (let index = 0; index < values.length; index += 1) {
    if (best.length === count && comparison(values[index]!, values[best[count - 1]!]!) >= 0) continue;
    let at = best.length;
    while (at > 0 && comparison(values[index]!, values[best[at - 1]!]!) < 0) at -= 1;
    best.splice(at, 0, index);
    if (best.length > count) best.pop();
  }
  return best;
}

/** Below 0 when the first is the higher one. */
function comparison(one: number | bigint, other: number | bigint): number {
  if (one > other) return -1;
  if (one < other) return 1;
  if (one === other) return 0;
  // Only a NaN is neither above, nor below, nor equal.
  return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
}

/** As C's `std::to_string`, which Triton uses: six decimals for floats. */
function floatText(value: number | bigint): string {
  const number = Number(value);
  if (Number.isNaN(number)) return 'nan';
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf';
  // Beyond this toFixed changes to an exponent.
  return Math.abs(number) < 1e21 ? number.toFixed(6) : `${BigInt(number)}.000000`;
}
