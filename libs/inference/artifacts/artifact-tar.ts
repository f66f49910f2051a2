import { Parser, type ReadEntry } from 'tar';
import { unreadable } from './artifact-refusal.js';

const blockBytes = 512;
/** Parts of a body go to the parser in pieces of at most this size, so that little waits in memory. */
const pieceBytes = 256 * 1_024;

/** What a tar archive holds, in its order. The data of an entry comes between its `entry` and its `end`. */
export type TarEvent =
  | { kind: 'entry'; type: string; path: string; bytes: number }
  | { kind: 'data'; chunk: Buffer }
  | { kind: 'end' };

/**
 * Reads a tar archive strictly: anything that tar's parser would warn of, skip or guess ends the reading.
 * The parser works synchronously, so each piece that goes in has its events out before the next one.
 * @throws SLU_ARTIFACT_UNREADABLE
 */
export async function* tarEvents(source: AsyncIterable<Buffer>): AsyncGenerator<TarEvent, void, undefined> {
  const reader = new StrictTar();
  for await (const chunk of source) {
    for (const piece of reader.pieces(chunk)) yield* reader.feed(piece);
  }
  reader.finish();
}

class StrictTar {
  private readonly parser = new Parser({ strict: true, zstd: false, brotli: false });
  private events: TarEvent[] = [];
  private problem: Error | undefined;
  private hasStarted = false;
  private hasEnded = false;
  private body: ReadEntry | undefined;
  private carry: Buffer = Buffer.alloc(0);

  constructor() {
    this.parser.on(
      'error',
      (problem: Error) => (this.problem ??= unreadable(`it is no sound tar archive (${problem.message})`, problem)),
    );
    this.parser.on('ignoredEntry', (entry: ReadEntry) =>
      this.fail(`it has an entry of an unknown kind (${entry.type})`),
    );
    this.parser.on('meta', (text: string) => {
      // The parser cuts such values at the NUL; another reader of the same archive would not.
      if (/^\d+ /.test(text) && text.includes('\0')) this.fail('it has a header with a NUL character');
    });
    this.parser.on('eof', () => (this.hasEnded = true));
    this.parser.on('entry', (entry: ReadEntry) => this.begin(entry));
  }

  /** Cuts along block borders: headers one by one, bodies in bulk. So the end of the archive is known to the byte. */
  *pieces(chunk: Buffer): Generator<Buffer, void, undefined> {
    let rest = this.carry.length === 0 ? chunk : Buffer.concat([this.carry, chunk]);
    while (rest.length >= blockBytes) {
      const body = this.body?.blockRemain ?? 0;
      const wanted = Math.max(blockBytes, Math.min(body, pieceBytes));
      const length = Math.min(wanted, rest.length - (rest.length % blockBytes));
      yield rest.subarray(0, length);
      rest = rest.subarray(length);
    }
    this.carry = Buffer.from(rest);
  }

  feed(piece: Buffer): TarEvent[] {
    if (!this.hasStarted) {
      this.hasStarted = true;
      // The parser would unpack this on its own, past every count.
      if (piece[0] === 0x1f && piece[1] === 0x8b) throw unreadable('it is packed twice');
    }
    this.events = [];
    if (this.hasEnded) {
      if (piece.some((byte) => byte !== 0)) throw unreadable('there is something after the end of the tar archive');
      return this.events;
    }
    this.parser.write(piece);
    if (this.problem !== undefined) throw this.problem;
    return this.events;
  }

  finish(): void {
    if (!this.hasStarted) throw unreadable('it is no tar archive');
    if (this.body !== undefined || !this.hasEnded || this.carry.some((byte) => byte !== 0)) {
      throw unreadable('the tar archive ends too early');
    }
  }

  private begin(entry: ReadEntry): void {
    this.events.push({ kind: 'entry', type: entry.type, path: entry.path, bytes: entry.size });
    this.body = entry;
    entry.on('data', (chunk: Buffer) => this.events.push({ kind: 'data', chunk }));
    entry.on('end', () => {
      this.body = undefined;
      this.events.push({ kind: 'end' });
    });
  }

  private fail(problem: string): void {
    this.problem ??= unreadable(problem);
  }
}
