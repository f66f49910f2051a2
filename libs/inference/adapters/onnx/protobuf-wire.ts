import { readSync } from 'node:fs';

/**
 * The wire format of Protocol Buffers, as far as rewriting an ONNX file needs it:
 * https://protobuf.dev/programming-guides/encoding/
 */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Positions in a file: from `start` up to, and without, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface WireField {
  readonly number: number;
  /** Tag, length and content. */
  readonly whole: ByteRange;
  /** Without tag and length. */
  readonly content: ByteRange;
  readonly type: number;
}

const windowBytes = 65_536;
const longestVarintBytes = 10;

/** Reads fields of an open file through a small window, so that weights in between are passed over and never read. */
export class WireFile {
  private readonly window = Buffer.alloc(windowBytes);
  private windowStart = 0;
  private windowLength = 0;

  constructor(private readonly file: number) {}

  /** The fields of one message, in the order of the file. @throws RangeError when the bytes are no such message */
  *fields({ start, end }: ByteRange): Generator<WireField> {
    let at = start;
    while (at < end) {
      const tag = this.varint(at, end);
      const [number, type] = [Math.floor(tag.value / 8), tag.value % 8];
      const content = this.contentOf(type, tag.end, end);
      yield { number, type, content, whole: { start: at, end: content.end } };
      at = content.end;
    }
  }

  bytes({ start, end }: ByteRange): Buffer {
    const bytes = Buffer.alloc(end - start);
    let done = 0;
    while (done < bytes.length) {
      const count = readSync(this.file, bytes, done, bytes.length - done, start + done);
      if (count === 0) throw new RangeError('the file ends within a field');
      done += count;
    }
    return bytes;
  }

  number(field: WireField): number {
    return this.varint(field.content.start, field.content.end).value;
  }

  private contentOf(type: number, start: number, end: number): ByteRange {
    let content: ByteRange;
    if (type === wireTypes.varint) content = { start, end: this.varint(start, end).end };
    else if (type === wireTypes.fixed64) content = { start, end: start + 8 };
    else if (type === wireTypes.fixed32) content = { start, end: start + 4 };
    else if (type === wireTypes.bytes) {
      const length = this.varint(start, end);
      content = { start: length.end, end: length.end + length.value };
    } else throw new RangeError(`there is no wire type ${type}`);
    if (content.end > end) throw new RangeError('a field is longer than what holds it');
    return content;
  }

  private varint(start: number, end: number): { value: number; end: number } {
    let value = 0;
    for (let index = 0; index < longestVarintBytes && start + index < end; index += 1) {
      const byte = this.byteAt(start + index);
      // By multiplication: shifts would end at 32 bits.
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return { value, end: start + index + 1 };
    }
    throw new RangeError('a number is cut off');
  }

  private byteAt(position: number): number {
    if (position < this.windowStart || position >= this.windowStart + this.windowLength) {
      this.windowStart = position;
      this.windowLength = readSync(this.file, this.window, 0, windowBytes, position);
      if (this.windowLength === 0) throw new RangeError('the file ends within a field');
    }
    return this.window[position - this.windowStart]!;
  }
}

export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

export const encodeNumber = (field: number, value: number): Buffer =>
  Buffer.concat([encodeVarint(field * 8 + wireTypes.varint), encodeVarint(value)]);

/** The tag and length that stand before so many bytes. */
export const encodeHead = (field: number, length: number): Buffer =>
  Buffer.concat([encodeVarint(field * 8 + wireTypes.bytes), encodeVarint(length)]);

export function encodeBytes(field: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([encodeHead(field, bytes.length), bytes]);
}
