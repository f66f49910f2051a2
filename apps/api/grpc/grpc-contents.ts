import { sluiceError, type SluiceError } from '#libs/kernel';
import { dataArrays, type DatatypeName, type NumericData, type Tensor } from '#libs/inference';
import type { GrpcContents } from './grpc-messages.js';

type ContentsField = keyof GrpcContents;

/** Where the values of each datatype stand; FP16 and BF16 have no typed form and travel raw. */
const fields: Readonly<Partial<Record<DatatypeName, ContentsField>>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

export const hasTypedForm = ({ datatype }: Pick<Tensor, 'datatype'>): boolean => fields[datatype] !== undefined;

/**
 * Typed contents as the raw bytes that they stand for (little-endian; texts behind their lengths), so that one reader
 * checks both forms.
 * @throws SLU_INFERENCE_INPUT
 */
export function rawOfContents(datatype: string, contents: GrpcContents, field: string): Buffer {
  const name = Object.hasOwn(fields, datatype) ? fields[datatype as DatatypeName] : undefined;
  if (name === undefined) {
    throw badContents(`${field}.contents`, `has no form for ${datatype.slice(0, 20)}: send raw_input_contents`);
  }
  const stray = Object.entries(contents).find(
    ([other, values]) => other !== name && Array.isArray(values) && values.length > 0,
  );
  if (stray !== undefined)
    throw badContents(`${field}.contents.${stray[0]}`, `is given, but values of ${datatype} stand in ${name}`);
  const values = contents[name] ?? [];
  if (datatype === 'BYTES') return rawTexts(values as readonly Buffer[]);
  return rawNumbers(
    datatype as Exclude<DatatypeName, 'BYTES'>,
    values as readonly never[],
    `${field}.contents.${name}`,
  );
}

function rawNumbers(
  datatype: Exclude<DatatypeName, 'BYTES'>,
  values: readonly (number | boolean | string)[],
  field: string,
): Buffer {
  const array = dataArrays[datatype];
  const isBig = datatype === 'INT64' || datatype === 'UINT64';
  const data = new array(values.length) as Int32Array;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    data[index] = (isBig ? BigInt(value) : Number(value)) as number;
    // The wire has 32 bits for the smaller integers; what does not fit would be cut without a word.
    const isCut = !isBig && datatype !== 'FP32' && datatype !== 'FP64' && data[index] !== Number(value);
    if (isCut) throw badContents(`${field}[${index}]`, `is ${String(value)}, which ${datatype} cannot hold`);
  }
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

function rawTexts(texts: readonly Buffer[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32LE(text.length);
      return [length, text];
    }),
  );
}

export function contentsOf({ datatype, data }: Tensor): GrpcContents {
  const name = fields[datatype]!;
  switch (name) {
    case 'bytes_contents':
      return { bytes_contents: (data as readonly string[]).map((text) => Buffer.from(text)) };
    case 'bool_contents':
      return { bool_contents: Array.from(data as Uint8Array, Boolean) };
    case 'int64_contents':
    case 'uint64_contents':
      return { [name]: Array.from(data as BigInt64Array, String) };
    default:
      return { [name]: Array.from(data as Exclude<NumericData, BigInt64Array | BigUint64Array>) };
  }
}

const badContents = (field: string, problem: string): SluiceError =>
  sluiceError('SLU_INFERENCE_INPUT', { field, problem });
