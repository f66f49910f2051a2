import { retryAfterOf } from '../adapters/oip/answer-failure.js';
import type { CallOutcome } from './circuit-breaker.js';
import { GuardedReplica, type ReplicaGuardSettings } from './guarded-replica.js';
import {
  isLanguageReplica,
  type LanguageAnswer,
  type LanguagePath,
  type LanguageReplica,
} from '../ports/language-replica.js';
import { type CallSignal, type Replica, type ReplicaCall, ReplicaFailure } from '../ports/replica.js';

const mostErrorBytes = 65_536;
/** Statuses that say that the way to the model is wrong, whatever the request was. */
const wayStatuses: ReadonlySet<number> = new Set([401, 403, 404, 405, 407]);

/** Guards what the replica is: one that speaks the OpenAI protocol goes on to do so. */
export const guardReplica = (replica: Replica, guard: ReplicaGuardSettings): GuardedReplica =>
  isLanguageReplica(replica) ? new GuardedLanguageReplica(replica, guard) : new GuardedReplica(replica, guard);

class GuardedLanguageReplica extends GuardedReplica implements LanguageReplica {
  constructor(
    private readonly language: LanguageReplica,
    guard: ReplicaGuardSettings,
  ) {
    super(language, guard);
  }

  /** The place at the server is held until the answer has ended, or its reader has left. */
  async converse(path: LanguagePath, body: Buffer, call: ReplicaCall): Promise<LanguageAnswer> {
    const place = this.takePlace(call) ?? (await this.waitForPlace(call));
    try {
      const { result, pass } = await this.attempt(
        place.call,
        (once) => this.language.converse(path, body, once),
        (answer) => this.judge(answer),
      );
      if (result.status >= 400) return await this.refusal(result, place.release);
      const onEnd = (failure: unknown): void => {
        place.release();
        if (failure instanceof ReplicaFailure && call.signal?.aborted !== true) this.failLate(pass);
      };
      const { scrub } = this.guard;
      return { ...result, scrub, body: new HeldBody(result.body, onEnd, call.signal) };
    } catch (error) {
      place.release();
      throw this.shown(error);
    }
  }

  private judge({ status, headers }: LanguageAnswer): CallOutcome {
    const header = headers['retry-after'];
    const patience = retryAfterOf(Array.isArray(header) ? header[0] : header);
    if (status === 429 || (status === 503 && patience !== undefined)) {
      this.pause(patience ?? 1);
      return 'unknown';
    }
    return status >= 500 || wayStatuses.has(status) || (status >= 300 && status < 400) ? 'failed' : 'ok';
  }

  /** A refusal as it came, without what must not be shown: servers like to repeat what they were sent. */
  private async refusal(answer: LanguageAnswer, release: () => void): Promise<LanguageAnswer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of answer.body) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes >= mostErrorBytes) break;
      }
    } finally {
      release();
    }
    const { scrub = (text: string) => text } = this.guard;
    const body = Buffer.from(scrub(Buffer.concat(chunks).toString()));
    return { ...answer, headers: { ...answer.headers, 'content-length': String(body.length) }, body: oneChunk(body) };
  }
}

async function* oneChunk(chunk: Buffer): AsyncGenerator<Buffer, void> {
  yield chunk;
}

/** An arriving body that tells once when it has ended, and how. */
class HeldBody implements AsyncIterableIterator<Buffer, undefined> {
  private readonly chunks: AsyncIterator<Buffer, unknown>;
  private readonly onAbort = (): void => this.end(undefined);
  private isEnded = false;

  constructor(
    body: AsyncIterable<Buffer>,
    private readonly onEnd: (failure: unknown) => void,
    private readonly signal: CallSignal | undefined,
  ) {
    this.chunks = body[Symbol.asyncIterator]();
    // Whoever aborts may never read again.
    if (signal?.aborted === true) this.end(undefined);
    else signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      const { done, value } = await this.chunks.next();
      if (done !== true) return { done: false, value };
      this.end(undefined);
      return { done: true, value: undefined };
    } catch (failure) {
      this.end(failure);
      throw failure;
    }
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    this.end(undefined);
    await this.chunks.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private end(failure: unknown): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.signal?.removeEventListener('abort', this.onAbort);
    this.onEnd(failure);
  }
}
