import { secondsToMs, sluiceError, type SluiceError } from '#libs/kernel';
import type { FastifyRequest } from 'fastify';
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { inflaterFor, notInflatable, type Inflater } from './oip-body-coding.js';
import { wrongMediaType } from './oip-error.js';

export interface BodyReaderSettings {
  limitBytes: number;
  timeoutSeconds: number;
}

/** A body with the binary tensor data extension: the JSON in front, and the bytes behind it. */
export class BinaryBody {
  constructor(
    readonly header: unknown,
    readonly binary: Buffer,
  ) {}
}

/** A body of raw tensor bytes alone. */
export class RawBody {
  constructor(readonly binary: Buffer) {}
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes of the body as it is kept in memory: unpacked, and counted where no header tells. */
    bodyBytes: number;
  }
}

type Done = (error: Error | null, body?: unknown) => void;

const sweepEveryMs = 500;
/** A client that writes its whole body before it reads gets its 413 when the rest is at most this many limits long. */
const discardLimits = 4;

/**
 * Reads JSON bodies, plain or compressed, within limits of size and time. One sweep watches the time of all bodies, so that a request whose
 * body is there at once pays for no timer.
 */
export class BodyReader implements Disposable {
  private readonly arriving = new Set<Arrival>();
  private readonly sweeper: NodeJS.Timeout;

  constructor(private readonly settings: BodyReaderSettings) {
    this.sweeper = setInterval(() => this.sweep(), sweepEveryMs);
    this.sweeper.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.sweeper);
  }

  /** Fastify content parser for `application/json`. */
  readonly json = (req: FastifyRequest, payload: IncomingMessage, done: Done): void => {
    let inflater: Inflater | undefined;
    try {
      inflater = inflaterFor(req.headers['content-encoding']);
    } catch (refusal) {
      done(refusal as SluiceError);
      return;
    }
    const arrival = new Arrival(req, payload, this.settings.limitBytes, inflater, (error, body) => {
      this.arriving.delete(arrival);
      done(error, body);
    });
    this.arriving.add(arrival);
    arrival.begin();
  };

  /** Fastify content parser for everything else. A body without a type is taken as JSON: Triton's clients send none. */
  readonly other = (req: FastifyRequest, payload: IncomingMessage, done: Done): void => {
    if (req.headers['content-type'] === undefined || req.headers[binaryHeader] !== undefined)
      this.json(req, payload, done);
    else done(wrongMediaType(req));
  };

  private sweep(): void {
    const { timeoutSeconds } = this.settings;
    const oldestMs = performance.now() - secondsToMs(timeoutSeconds);
    for (const arrival of this.arriving) {
      if (arrival.startedMs < oldestMs) arrival.end(sluiceError('SLU_REQUEST_TIMEOUT', { seconds: timeoutSeconds }));
    }
  }
}

class Arrival {
  readonly startedMs = performance.now();
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private isEnded = false;

  constructor(
    private readonly req: FastifyRequest,
    private readonly payload: IncomingMessage,
    private readonly limitBytes: number,
    private readonly inflater: Inflater | undefined,
    private readonly done: Done,
  ) {}

  begin(): void {
    const { payload, inflater } = this;
    if (Number(this.req.headers['content-length']) > this.limitBytes * discardLimits) {
      this.end(this.tooLarge());
      return;
    }
    payload.on('error', () => this.end(sluiceError('SLU_REQUEST_ABANDONED')));
    const source = inflater ?? payload;
    source.on('data', (chunk: Buffer) => this.take(chunk));
    source.on('end', () => this.complete());
    if (inflater === undefined) {
      payload.resume();
      return;
    }
    const encoding = this.req.headers['content-encoding'] as string;
    inflater.on('error', (cause) => this.end(notInflatable(encoding, cause)));
    payload.pipe(inflater);
  }

  end(error: SluiceError): void {
    this.finish(error, undefined);
  }

  private take(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes <= this.limitBytes) this.chunks.push(chunk);
    else {
      this.chunks.length = 0;
      // What unpacks to too much is not unpacked any further: there may be no end to it.
      if (this.inflater !== undefined || this.bytes > this.limitBytes * discardLimits) this.end(this.tooLarge());
    }
  }

  private complete(): void {
    if (this.isEnded) return;
    if (this.bytes > this.limitBytes) {
      this.end(this.tooLarge());
      return;
    }
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.bytes);
    if (bytes.length === 0) {
      this.finish(null, undefined);
      return;
    }
    let body: unknown;
    try {
      const headerLength = this.req.headers[binaryHeader] as string | undefined;
      body = headerLength === undefined ? jsonOf(bytes, 'the body') : binaryBodyOf(headerLength, bytes);
    } catch (refusal) {
      this.end(refusal as SluiceError);
      return;
    }
    this.finish(null, body);
  }

  private finish(error: SluiceError | null, body: unknown): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.chunks.length = 0;
    if (this.inflater !== undefined) this.stopInflating(this.inflater);
    this.req.bodyBytes = this.bytes;
    this.done(error, body);
  }

  private stopInflating(inflater: Inflater): void {
    this.payload.unpipe(inflater);
    inflater.destroy();
    // What still comes is read and dropped, so that the client gets its answer.
    this.payload.resume();
  }

  private tooLarge(): SluiceError {
    return sluiceError('SLU_REQUEST_TOO_LARGE', { limitBytes: this.limitBytes });
  }
}

const binaryHeader = 'inference-header-content-length';

function jsonOf(bytes: Buffer, what: string): unknown {
  try {
    if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8');
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw sluiceError('SLU_REQUEST_MALFORMED', { what: `${what} is not valid JSON${placeOf(cause)}` });
  }
}

function binaryBodyOf(stated: string, bytes: Buffer): unknown {
  const length = /^\d{1,15}$/.test(stated) ? Number(stated) : Number.NaN;
  const problem = (what: string): SluiceError =>
    sluiceError('SLU_REQUEST_MALFORMED', { what: `Inference-Header-Content-Length ${what}` });
  if (Number.isNaN(length)) throw problem('must be a whole number of bytes');
  if (length === 0) return new RawBody(bytes);
  if (length > bytes.length) throw problem(`is ${length}, but the body has only ${bytes.length} bytes`);
  const header = jsonOf(bytes.subarray(0, length), 'the JSON header');
  // A header that covers the whole body says that there is nothing but JSON.
  return length === bytes.length ? header : new BinaryBody(header, bytes.subarray(length));
}

// V8 quotes the text around the fault; only the place of it is passed on.
function placeOf(cause: unknown): string {
  const position = /position (\d+)/.exec((cause as Error).message)?.[1];
  return position === undefined ? '' : ` (at character ${position})`;
}
