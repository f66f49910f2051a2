import { secondsToMs, sluiceError, type SluiceError } from '#libs/kernel';
import type { FastifyRequest } from 'fastify';
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
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

type Done = (error: Error | null, body?: unknown) => void;

const sweepEveryMs = 500;
/** A client that writes its whole body before it reads gets its 413 when the rest is at most this many limits long. */
const discardLimits = 4;

/**
 * Reads JSON bodies within limits of size and time. One sweep watches the time of all bodies, so that a request whose
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
    const refusal = refusalOf(req);
    if (refusal !== undefined) {
      done(refusal);
      return;
    }
    const arrival = new Arrival(
      payload,
      Number(req.headers['content-length']),
      this.settings.limitBytes,
      req.headers[binaryHeader] as string | undefined,
      (error, body) => {
        this.arriving.delete(arrival);
        done(error, body);
      },
    );
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
    private readonly payload: IncomingMessage,
    private readonly declaredBytes: number,
    private readonly limitBytes: number,
    private readonly headerLength: string | undefined,
    private readonly done: Done,
  ) {}

  begin(): void {
    if (this.declaredBytes > this.limitBytes * discardLimits) {
      this.end(this.tooLarge());
      return;
    }
    this.payload.on('data', (chunk: Buffer) => this.take(chunk));
    this.payload.on('end', () => this.complete());
    this.payload.on('error', () => this.end(sluiceError('SLU_REQUEST_ABANDONED')));
    this.payload.resume();
  }

  end(error: SluiceError): void {
    this.finish(error, undefined);
  }

  private take(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes <= this.limitBytes) this.chunks.push(chunk);
    else {
      this.chunks.length = 0;
      if (this.bytes > this.limitBytes * discardLimits) this.end(this.tooLarge());
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
      const { headerLength } = this;
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
    this.done(error, body);
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
  if (length === 0) throw problem('is 0: a body of raw bytes alone is not supported, send a JSON header in front');
  if (length > bytes.length) throw problem(`is ${length}, but the body has only ${bytes.length} bytes`);
  const header = jsonOf(bytes.subarray(0, length), 'the JSON header');
  // A header that covers the whole body says that there is nothing but JSON.
  return length === bytes.length ? header : new BinaryBody(header, bytes.subarray(length));
}

function refusalOf({ headers }: FastifyRequest): SluiceError | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return sluiceError('SLU_REQUEST_MEDIA_TYPE', {
      given: `with content encoding ${encoding.slice(0, 50)}`,
      wanted: 'plain application/json',
    });
  }
  return undefined;
}

// V8 quotes the text around the fault; only the place of it is passed on.
function placeOf(cause: unknown): string {
  const position = /position (\d+)/.exec((cause as Error).message)?.[1];
  return position === undefined ? '' : ` (at character ${position})`;
}
