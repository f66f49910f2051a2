/** Protobuf by hand: hostile files cannot be made with a well-behaved encoder. */
export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export const number = (field: number, value: number | bigint): Buffer =>
  Buffer.concat([varint(field << 3), varint(value)]);

export function bytes(field: number, ...parts: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}

/** A `ValueInfoProto`: a tensor of an element type; a size is a number, or a name where it is open. */
export const port = (name: string, elementType: number, sizes: (number | string)[]): Buffer =>
  Buffer.concat([
    bytes(1, name),
    bytes(
      2,
      bytes(
        1,
        number(1, elementType),
        bytes(2, ...sizes.map((size) => bytes(1, typeof size === 'number' ? number(1, size) : bytes(2, size)))),
      ),
    ),
  ]);

export const onnxModel = (...graphParts: Buffer[]): Buffer => Buffer.concat([number(1, 8), bytes(7, ...graphParts)]);

/** `x` FP32 [batch, 4] to `y` FP32 [batch, 2]; the graph itself is left out. */
export const smallOnnx = (): Buffer =>
  onnxModel(bytes(2, 'g'), bytes(11, port('x', 1, ['batch', 4])), bytes(12, port('y', 1, ['batch', 2])));
