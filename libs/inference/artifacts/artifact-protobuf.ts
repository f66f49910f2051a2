import type { FileHandle } from 'node:fs/promises';
import { refused } from './artifact-refusal.js';

const windowBytes = 64 * 1_024;
const longestVarintBytes = 10;
/** A hostile file of a few mebibytes could hold a million empty fields at each level; real graphs stay far below. */
const mostFields = 5_000_000;

/** One field of a protobuf message: a number, or the place of its bytes in the file. */
export type ProtoField =
  | { field: number; wire: 'varint'; value: bigint }
  | { field: number; wire: 'bytes'; start: number; end: number }
  | { field: number; wire: 'fixed' };

/**
 * Reads protobuf from a file without ever holding more than one window of it: what nobody asks for is stepped over by its
 * length, so gibibytes of weights cost nothing. Wire format: https://protobuf.dev/programming-guides/encoding/.
 * @throws SLU_ARTIFACT_REFUSED for anything that is no sound protobuf
 */
export class ProtobufFile {
  private window: Buffer = Buffer.alloc(0);
  private windowStart = 0;
  private fieldCount = 0;
  private readonly buffer = Buffer.allocUnsafe(windowBytes);

  constructor(
    private readonly handle: FileHandle,
    readonly bytes: number,
    private readonly name: string,
  ) {}

  /** The fields between two places, in their order. */
  async *fields(start: number, end: number): AsyncGenerator<ProtoField, void, undefined> {
    let at = start;
    while (at < end) {
      this.fieldCount += 1;
      if (this.fieldCount > mostFields) throw this.unsound('has too many fields');
      const tag = await this.varint(at, end);
      at = tag.next;
      const field = Number(tag.value >> 3n);
      if (field === 0 || tag.value >> 32n !== 0n) throw this.unsound('has a field without a number');
      const wire = Number(tag.value & 7n);
      if (wire === 0) {
        const { value, next } = await this.varint(at, end);
        at = next;
        yield { field, wire: 'varint', value };
      } else if (wire === 2) {
        const length = await this.varint(at, end);
        if (length.value > BigInt(end - length.next))
          throw this.unsound('is cut off, or states a length beyond its end');
        at = length.next + Number(length.value);
        yield { field, wire: 'bytes', start: length.next, end: at };
      } else if (wire === 1 || wire === 5) {
        at += wire === 1 ? 8 : 4;
        if (at > end) throw this.unsound('is cut off');
        yield { field, wire: 'fixed' };
      } else throw this.unsound('has a field of an unknown kind');
    }
  }

  /** @throws SLU_ARTIFACT_REFUSED when it is longer than the limit, or no UTF-8 */
  async text({ start, end }: { start: number; end: number }, limitBytes: number): Promise<string> {
    if (end - start > limitBytes) throw this.unsound(`has a name of more than ${limitBytes} bytes`);
    await this.load(start, end - start);
    const at = start - this.windowStart;
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.window.subarray(at, at + end - start));
    } catch {
      throw this.unsound('has a name that is no UTF-8');
    }
  }

  unsound(problem: string): Error {
    return refused(`${this.name} ${problem}`);
  }

  private async varint(at: number, end: number): Promise<{ value: bigint; next: number }> {
    if (at < this.windowStart || at + longestVarintBytes > this.windowStart + this.window.length)
      await this.load(at, Math.min(longestVarintBytes, end - at));
    let value = 0n;
    for (let index = 0; index < longestVarintBytes; index += 1) {
      const byte = at + index < end ? this.window[at + index - this.windowStart] : undefined;
      if (byte === undefined) throw this.unsound('is cut off');
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return { value: BigInt.asUintN(64, value), next: at + index + 1 };
    }
    throw this.unsound('has a number of more than 64 bits');
  }

  private async load(at: number, bytes: number): Promise<void> {
    if (at >= this.windowStart && at + bytes <= this.windowStart + this.window.length) return;
    const { bytesRead } = await this.handle.read(this.buffer, 0, windowBytes, at);
    if (bytesRead < bytes) throw this.unsound('is cut off');
    this.window = this.buffer.subarray(0, bytesRead);
    this.windowStart = at;
  }
}
