import { Buffer, isUtf8 } from 'node:buffer';
import { endianness } from 'node:os';
import { type DatatypeName, datatypes } from '../tensors/datatype.js';
import { badInput } from './oip-json-values.js';
import { type NumericData, type NumericDatatype, type Tensor, type TensorData, dataArrays } from '../tensors/tensor.js';

// The protocol's bytes are little-endian and typed arrays have the machine's order, so tensors are sent as they lie in memory.
if (endianness() !== 'LE') throw new Error('Sluice runs on little-endian machines only');

const lengthBytes = 4;

/**
 * Reads a tensor's raw bytes: little-endian numbers, or for BYTES a uint32 length and UTF-8 text for each value. Numbers
 * become a view of `bytes` where they lie aligned, otherwise a copy.
 * @throws SLU_INFERENCE_INPUT
 */
export function readBinaryValues(datatype: DatatypeName, bytes: Buffer, count: number, field: string): TensorData {
  if (datatype === 'BYTES') return readTexts(bytes, count, field);
  const size = count * datatypes[datatype].bytes;
  if (bytes.length !== size) {
    throw badInput(field, `has ${bytes.length} bytes, but its shape and datatype ${datatype} want ${size}`);
  }
  if (datatype === 'BOOL') {
    const wrong = bytes.findIndex((byte) => byte > 1);
    if (wrong >= 0) throw badInput(`${field}[${wrong}]`, 'is neither 0 nor 1, which are the bytes of BOOL');
  }
  return viewOf(datatype, bytes, count);
}

function viewOf(datatype: NumericDatatype, bytes: Buffer, count: number): NumericData {
  const array = dataArrays[datatype];
  const isAligned = bytes.byteOffset % array.BYTES_PER_ELEMENT === 0;
  const { buffer, byteOffset } = isAligned ? bytes : new Uint8Array(bytes);
  return new array(buffer as ArrayBuffer, byteOffset, count);
}

function readTexts(bytes: Buffer, count: number, field: string): string[] {
  // Each text takes at least its length, so a lying count is found before anything is allocated for it.
  if (count * lengthBytes > bytes.length)
    throw badInput(field, `has ${bytes.length} bytes, too few for ${count} texts`);
  const texts = new Array<string>(count);
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    const start = offset + lengthBytes;
    if (start > bytes.length) throw badInput(`${field}[${index}]`, 'is cut off before its length');
    const end = start + bytes.readUInt32LE(offset);
    if (end > bytes.length)
      throw badInput(`${field}[${index}]`, `says ${end - start} bytes, but only ${bytes.length - start} are left`);
    texts[index] = textOf(bytes, start, end, field, index);
    offset = end;
  }
  if (offset !== bytes.length) throw badInput(field, `has ${bytes.length - offset} bytes behind its last text`);
  return texts;
}

function textOf(bytes: Buffer, start: number, end: number, field: string, index: number): string {
  const text = bytes.toString('utf8', start, end);
  // The decoder puts U+FFFD for what is not UTF-8, so only texts that hold one need a second look.
  if (text.includes('\uFFFD') && !isUtf8(bytes.subarray(start, end)))
    throw badInput(`${field}[${index}]`, 'is not valid UTF-8');
  return text;
}

/** @returns the tensor's raw bytes; numbers are a view of its data, not a copy */
export function binaryValuesOf({ datatype, data }: Tensor): Buffer {
  if (datatype !== 'BYTES') {
    const { buffer, byteOffset, byteLength } = data as NumericData;
    return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  }
  const texts = data as readonly string[];
  let size = texts.length * lengthBytes;
  for (const text of texts) size += Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(size);
  let offset = 0;
  for (const text of texts) {
    const written = bytes.write(text, offset + lengthBytes);
    bytes.writeUInt32LE(written, offset);
    offset += lengthBytes + written;
  }
  return bytes;
}
