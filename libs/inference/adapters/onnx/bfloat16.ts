/** BF16 is the upper half of an FP32 number: same sign, same exponent, 7 of the 23 bits behind the point. */
const halfBits = 16;
const infinityBits = 0x7f80_0000;
const signlessBits = 0x7fff_ffff;
const quietBit = 0x40;

/** Exact for every value. @param bits raw BF16 */
export function bfloat16ToFloat(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index += 1) words[index] = bits[index]! << halfBits;
  return new Float32Array(words.buffer);
}

/** Exact for what was BF16 before, else the nearest value, the even one of two (IEEE 754). NaN stays NaN. @returns raw BF16 */
export function floatToBfloat16({ buffer, byteOffset, length }: Float32Array): Uint16Array {
  const words = new Uint32Array(buffer, byteOffset, length);
  const bits = new Uint16Array(length);
  for (let index = 0; index < length; index += 1) {
    const word = words[index]!;
    const upper = word >>> halfBits;
    if ((word & signlessBits) > infinityBits) bits[index] = upper | quietBit;
    else bits[index] = (word + 0x7fff + (upper & 1)) >>> halfBits;
  }
  return bits;
}
