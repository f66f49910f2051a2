import { sluiceError, type SluiceError } from '#libs/kernel';
import type { Span } from '@opentelemetry/api';
import type { Abandonable } from '../batching/batcher-caller.js';
import { EventSplitter } from './event-splitter.js';
import type { ArmLane } from '../service/inference-service.js';
import { answerTraceparent } from '../service/inference-service-trace.js';
import { requestBody, type LanguageAsk } from './language-ask.js';
import { readWhole, StreamReader, type TokenUsage } from './language-answer.js';
import type { LanguageTranscript } from './language-transcript.js';
import { AttemptFailure, attemptFailureOf, refusalOf } from './language-failure.js';
import { CallOff } from '../ports/call-off.js';
import { isLanguageReplica, type LanguageAnswer } from '../ports/language-replica.js';
import { ReplicaFailure } from '../ports/replica.js';
import type { PooledReplica } from '../replicas/replica-pool.js';

/** What an exchange needs of the service around it. */
export interface ExchangeSurroundings {
  nowMs(): number;
  timeoutMs: number;
  callsPerReplica: number;
  replicaWaitMs: number;
  mostAnswerBytes: number;
  /** Called once, when the exchange has ended in whatever way. */
  ended(exchange: LanguageExchange, end: ExchangeEnd): void;
}

export interface ExchangeEnd {
  error: SluiceError | undefined;
  queueMs: number;
  bytesOut: number;
  usage: TokenUsage;
  firstTokenMs: number | undefined;
  /** A replica was given the request. */
  wasAsked: boolean;
}

interface Reading {
  readonly chunks: AsyncIterator<Buffer>;
  readonly splitter: EventSplitter;
  readonly reader: StreamReader;
}

const lookEveryMs = 20;
const tailMs = 1_000;
const eventFrameBytes = 'data: \n\n'.length;

/**
 * One request to a language model: its replica, the second try elsewhere as long as the caller has nothing of the answer,
 * and the account of what was used. Whoever holds it calls `whole` once, or `next` until it resolves with undefined or
 * rejects; `abandon` ends it at any time, and the replica stops generating.
 */
export class LanguageExchange implements Abandonable {
  readonly startedMs: number;
  readonly traceparent: string;
  /** When something last arrived from the replica. */
  lastProgressMs: number;
  private readonly callOff = new CallOff();
  private sent: Buffer | undefined;
  private member: PooledReplica | undefined;
  private reading: Reading | undefined;
  private usage: TokenUsage | undefined;
  private hasHandedOut = false;
  private isRetry = false;
  private isEnded = false;
  private failure: SluiceError | undefined;
  private queueMs = 0;
  private bytesOut = 0;
  private firstTokenMs: number | undefined;

  constructor(
    private readonly surroundings: ExchangeSurroundings,
    readonly ask: LanguageAsk,
    readonly armLane: ArmLane | undefined,
    readonly span: Span | undefined,
    /** Only where somebody asked for the payloads. */
    readonly transcript?: LanguageTranscript,
    /** What has to be held for it before it may go to a replica. */
    private readonly reserving?: Promise<void>,
  ) {
    // Whoever waits for the exchange gets to know; one that is abandoned is waited for by nobody.
    reserving?.catch(() => undefined);
    this.startedMs = this.lastProgressMs = surroundings.nowMs();
    this.traceparent = answerTraceparent(span, ask.traceparent, ask.requestId);
    ask.caller?.await(this);
  }

  get version(): string | undefined {
    return this.armLane?.arm.version.version;
  }

  get arm(): string | undefined {
    return this.armLane?.arm.name;
  }

  /**
   * The answer in one piece, with the endpoint's name in it and its bytes as characters (latin1). @throws SluiceError,
   * recorded already
   */
  whole(): Promise<string> {
    return this.guarded(async () => {
      const text = await this.tryTwice(() => this.readWhole());
      this.bytesOut = text.length;
      this.transcript?.hear(text);
      this.end(undefined);
      return text;
    });
  }

  /**
   * The data of the next events of a stream, each the JSON of a chunk with its bytes as characters (latin1); undefined
   * after the last one. @throws SluiceError, recorded already
   */
  async next(): Promise<readonly string[] | undefined> {
    return this.guarded(async () => {
      const events = await (this.hasHandedOut ? this.readOn() : this.tryTwice(() => this.readFirst()));
      if (events === undefined) {
        this.end(undefined);
        return undefined;
      }
      this.hasHandedOut = true;
      for (const event of events) {
        this.bytesOut += event.length + eventFrameBytes;
        this.transcript?.hear(event);
      }
      return events;
    });
  }

  /** The caller is gone, or does not take what it asked for. */
  abandon(): void {
    this.fail(sluiceError('SLU_REQUEST_ABANDONED'));
  }

  /** Ends the exchange from outside; whoever waits for it gets the error. */
  fail(error: SluiceError): void {
    if (this.isEnded) return;
    this.failure = error;
    this.end(error);
    this.callOff.abort(error);
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.failure !== undefined) throw this.failure;
    try {
      if (this.reserving !== undefined && this.sent === undefined) await this.reserved(this.reserving);
      return await work();
    } catch (cause) {
      // Ended from outside meanwhile: that is the reason, and not what it looked like from here.
      const error = this.failure ?? this.attemptFailureOf(cause).error;
      this.fail(error);
      throw error;
    }
  }

  private async reserved(reserving: Promise<void>): Promise<void> {
    await reserving;
    if (this.failure !== undefined) throw this.failure;
  }

  /** The second try is the last one: work that took two replicas with it is not given to a third. */
  private async tryTwice<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const failure = this.attemptFailureOf(cause);
      const tried = this.member;
      this.release(failure.remedy === 'lost');
      if (this.isEnded || failure.remedy === 'none') throw failure;
      const other = this.armLane!.lane.pool.claimShared(this.surroundings.callsPerReplica, tried);
      // One that is overloaded is so a moment later; one that is lost comes back, or a new one does.
      if (other === undefined && failure.remedy === 'elsewhere') throw failure;
      this.member = other;
      this.isRetry = true;
    }
    try {
      return await work();
    } catch (cause) {
      const failure = this.attemptFailureOf(cause);
      this.release(failure.remedy === 'lost');
      throw failure;
    }
  }

  /** @returns the head of an answer of status 200 */
  private async open(): Promise<LanguageAnswer> {
    const { ask, surroundings } = this;
    const member = (this.member ??= await this.claim());
    if (!isLanguageReplica(member.replica)) throw this.notLanguage();
    const limitMs = this.armLane!.arm.version.settings.remote?.timeoutMs ?? surroundings.timeoutMs;
    const timeoutMs = Math.max(1, Math.min(limitMs, this.startedMs + surroundings.timeoutMs - surroundings.nowMs()));
    const traceparent = this.span === undefined ? ask.traceparent : this.traceparent;
    const call = { timeoutMs, signal: this.callOff, traceparent, isRetry: this.isRetry };
    const answer = await member.replica.converse(ask.path, (this.sent ??= requestBody(ask)), call);
    this.lastProgressMs = surroundings.nowMs();
    if (answer.status !== 200) throw await refusalOf(answer, ask.endpoint);
    return answer;
  }

  private async readWhole(): Promise<string> {
    const answer = await this.open();
    const { text, usage } = readWhole(await this.collect(answer), this.ask.endpoint, answer.scrub);
    this.usage = usage;
    return text;
  }

  private async collect(answer: LanguageAnswer): Promise<Buffer> {
    const { mostAnswerBytes } = this.surroundings;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer.body) {
      chunks.push(chunk);
      bytes += chunk.length;
      this.lastProgressMs = this.surroundings.nowMs();
      if (bytes > mostAnswerBytes) throw this.upstream(`its answer has more than ${mostAnswerBytes} bytes`);
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
  }

  private async readFirst(): Promise<readonly string[] | undefined> {
    const answer = await this.open();
    const { endpoint, wantsUsage, choices } = this.ask;
    this.reading = {
      chunks: answer.body[Symbol.asyncIterator](),
      splitter: new EventSplitter(),
      reader: new StreamReader({ endpoint, wantsUsage, choices, scrub: answer.scrub }),
    };
    return this.read(this.reading);
  }

  private async readOn(): Promise<readonly string[] | undefined> {
    try {
      return await this.read(this.reading!);
    } catch (cause) {
      if (!(cause instanceof ReplicaFailure) || this.isEnded) throw cause;
      if (cause.kind === 'lost') this.release(true);
      throw sluiceError('SLU_INFERENCE_CUT_OFF', { endpoint: this.ask.endpoint }, { cause });
    }
  }

  private async read({ chunks, splitter, reader }: Reading): Promise<readonly string[] | undefined> {
    while (!reader.isDone) {
      const { done, value } = await chunks.next();
      this.lastProgressMs = this.surroundings.nowMs();
      const events: string[] = [];
      for (const event of done === true ? splitter.end() : splitter.push(value)) {
        const given = reader.read(event);
        if (given !== undefined) events.push(given);
      }
      this.account(reader);
      if (done === true && !reader.isWhole) throw this.cutOff();
      if (done === true) reader.isDone = true;
      else if (reader.isDone) leaveSoon(chunks);
      if (events.length > 0) return events;
    }
    return undefined;
  }

  private account({ usage, spokenEvents }: StreamReader): void {
    this.usage = usage ?? { promptTokens: undefined, completionTokens: spokenEvents };
    if (spokenEvents > 0) this.firstTokenMs ??= this.lastProgressMs - this.startedMs;
  }

  private async claim(): Promise<PooledReplica> {
    const { surroundings } = this;
    const { pool } = this.armLane!.lane;
    const waitedFromMs = surroundings.nowMs();
    for (;;) {
      const member = pool.claimShared(this.surroundings.callsPerReplica);
      if (member !== undefined) {
        this.queueMs += surroundings.nowMs() - waitedFromMs;
        return member;
      }
      const { endpoint } = this.ask;
      if (pool.upCount > 0)
        throw sluiceError('SLU_INFERENCE_QUEUE_FULL', { endpoint, retryAfterSeconds: 1 }, { retryAfterSeconds: 1 });
      if (!pool.isExpected || surroundings.nowMs() - waitedFromMs > surroundings.replicaWaitMs)
        throw sluiceError(
          'SLU_INFERENCE_NOT_READY',
          { endpoint, version: this.version ?? '?' },
          { retryAfterSeconds: 1 },
        );
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      if (this.failure !== undefined) throw this.failure;
    }
  }

  private release(isLost: boolean): void {
    const { member } = this;
    if (member === undefined) return;
    this.member = undefined;
    const { pool } = this.armLane!.lane;
    if (isLost && !this.isEnded) pool.lose(member);
    pool.releaseShared(member);
  }

  private end(error: SluiceError | undefined): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.ask.caller?.forget(this);
    this.release(false);
    const { queueMs, bytesOut, firstTokenMs } = this;
    const usage = this.usage ?? { promptTokens: undefined, completionTokens: undefined };
    const wasAsked = this.sent !== undefined;
    this.surroundings.ended(this, { error, queueMs, bytesOut, usage, firstTokenMs, wasAsked });
    this.ask.onEnded?.({ error, usage, wasAsked });
  }

  private upstream(problem: string): SluiceError {
    return sluiceError('SLU_INFERENCE_UPSTREAM', { endpoint: this.ask.endpoint, problem });
  }

  private attemptFailureOf(cause: unknown): AttemptFailure {
    return attemptFailureOf(cause, this.ask.endpoint, this.surroundings.timeoutMs);
  }

  /** Its end came by the protocol of the connection, so the replica is well; its answer is not. */
  private cutOff(): AttemptFailure {
    return new AttemptFailure(sluiceError('SLU_INFERENCE_CUT_OFF', { endpoint: this.ask.endpoint }), 'elsewhere');
  }

  private notLanguage(): AttemptFailure {
    return new AttemptFailure(this.upstream('it does not speak the OpenAI protocol'), 'none');
  }
}

/** The last chunk of HTTP is nearly always there with the last event; then the connection can be used again. */
function leaveSoon(chunks: AsyncIterator<Buffer>): void {
  const late = setTimeout(() => void chunks.return?.(), tailMs);
  late.unref();
  chunks.next().then(
    ({ done }) => {
      clearTimeout(late);
      if (done !== true) void chunks.return?.();
    },
    () => clearTimeout(late),
  );
}
