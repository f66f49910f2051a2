import { createHash, type Hash } from 'node:crypto';
import type { NumericData, Tensor } from './tensor.js';

/**
 * SHA-256 over names, datatypes, shapes and values: equal for equal tensors, whatever protocol they came by. Numbers
 * count by their bits, so 0 and -0 differ. Every part is preceded by its length, so no two lists of tensors read alike.
 * @param salt what else the digest depends on
 */
export function tensorsDigest(salt: string, tensors: readonly Tensor[]): string {
  const hash = createHash('sha256');
  addText(hash, salt);
  for (const { name, datatype, shape, data } of tensors) {
    addText(hash, name);
    addText(hash, `${datatype}:${shape.join(',')}`);
    if (datatype === 'BYTES') for (const text of data as readonly string[]) addText(hash, text);
    else addBytes(hash, data as NumericData);
  }
  return hash.digest('hex');
}

function addText(hash: Hash, text: string): void {
  hash.update(`${Buffer.byteLength(text)}:`).update(text);
}

function addBytes(hash: Hash, { buffer, byteOffset, byteLength }: NumericData): void {
  hash.update(`${byteLength}:`).update(new Uint8Array(buffer, byteOffset, byteLength));
}
