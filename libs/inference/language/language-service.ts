import { isSluiceError, mebibytes, secondsToMs, sluiceError, systemClock, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Tracer } from '@opentelemetry/api';
import type { ArmLane, InferenceService } from '../service/inference-service.js';
import { InferenceJournal } from '../service/inference-service-journal.js';
import { beginInferSpan } from '../service/inference-service-trace.js';
import type { LanguageAsk } from './language-ask.js';
import { usedOf, worstOf } from './language-meter.js';
import { LanguageExchange, type ExchangeEnd, type ExchangeSurroundings } from './language-exchange.js';
import { LanguageTranscript } from './language-transcript.js';
import type { PayloadTap } from '../ports/payload-tap.js';
import type { LanguageMetrics } from './language-metrics.js';
import type { RequestRecorder } from '../records/request-recorder.js';
import type { ServedVersion } from '../routes/route-table.js';

export interface LanguageServiceSettings {
  /** Chooses the arm: language models and tensor models share their routes. */
  inference: Pick<InferenceService, 'armLane'>;
  recorder: Pick<RequestRecorder, 'record'>;
  /** Takes the payloads that an operator asked for; left out, none are. */
  payloads?: PayloadTap | undefined;
  log: Logger;
  metrics?: LanguageMetrics | undefined;
  tracer?: Tracer | undefined;
  clock?: Clock;
  /** Until the answer begins. */
  timeoutMs?: number;
  /** How long an answer that has begun may rest. */
  idleMs?: number;
  callsPerReplica?: number;
  replicaWaitMs?: number;
  mostAnswerBytes?: number;
}

const defaultTimeoutMs = secondsToMs(600);
const defaultIdleMs = secondsToMs(120);
const defaultCallsPerReplica = 1_024;
const defaultReplicaWaitMs = secondsToMs(5);
const sweepEveryMs = 250;
/** Of English text a token takes four characters; longer ones are runs of one character. */
const mostCharactersPerToken = 16;

/**
 * The way of one request to a language model: endpoint, route, arm, replica, answer, count and record. There is no batch:
 * a language server puts what it generates together by itself.
 */
export class LanguageService implements AsyncDisposable {
  private readonly clock: Clock;
  private readonly journal: InferenceJournal;
  private readonly surroundings: ExchangeSurroundings;
  private readonly running = new Set<LanguageExchange>();
  // One timer for the rests of all streams.
  private readonly sweeper: NodeJS.Timeout;
  private whenIdle: (() => void) | undefined;

  constructor(private readonly settings: LanguageServiceSettings) {
    const clock = (this.clock = settings.clock ?? systemClock);
    this.journal = new InferenceJournal(settings.recorder, settings.log, clock);
    this.surroundings = {
      nowMs: () => clock.monotonicMs(),
      timeoutMs: settings.timeoutMs ?? defaultTimeoutMs,
      callsPerReplica: settings.callsPerReplica ?? defaultCallsPerReplica,
      replicaWaitMs: settings.replicaWaitMs ?? defaultReplicaWaitMs,
      mostAnswerBytes: settings.mostAnswerBytes ?? mebibytes(64),
      ended: (exchange, end) => this.close(exchange, end),
    };
    const idleMs = settings.idleMs ?? defaultIdleMs;
    this.sweeper = setInterval(() => this.sweep(idleMs), sweepEveryMs);
    this.sweeper.unref();
    settings.metrics?.watch(this);
  }

  get inFlight(): number {
    return this.running.size;
  }

  /** Never throws: what is wrong with the request comes out of the exchange, and is recorded like any other end. */
  begin(ask: LanguageAsk): LanguageExchange {
    let armLane: ArmLane | undefined;
    let refusal: unknown;
    let reserving: Promise<void> | undefined;
    try {
      armLane = this.settings.inference.armLane(ask);
      refuseTask(ask, armLane.arm.version);
      refuseTooLong(ask, armLane.arm.version);
      reserving = ask.meter?.reserve(worstOf(ask, armLane.arm.version, this.surroundings.timeoutMs));
    } catch (failure) {
      refusal = failure;
    }
    const span = beginInferSpan(this.settings.tracer, ask.traceparent);
    const isTapped = armLane !== undefined && this.settings.payloads?.isOpen(ask.endpoint) === true;
    const transcript = isTapped ? new LanguageTranscript(ask.body, ask.bytesIn) : undefined;
    const exchange = new LanguageExchange(this.surroundings, ask, armLane, span, transcript, reserving);
    this.running.add(exchange);
    if (refusal !== undefined)
      exchange.fail(isSluiceError(refusal) ? refusal : sluiceError('SLU_INTERNAL', {}, { cause: refusal }));
    else if (ask.caller?.isGone === true) exchange.abandon();
    return exchange;
  }

  /** Resolves when all answers under way are at their end; what is not after `deadlineMs` is ended with an error. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.running.size === 0) return;
    const idle = new Promise<void>((resolve) => (this.whenIdle = resolve));
    const insist = setTimeout(() => this.endAll(), deadlineMs);
    await idle;
    clearTimeout(insist);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.sweeper);
    this.endAll();
  }

  private endAll(): void {
    for (const exchange of this.running)
      exchange.fail(sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: 2 }));
  }

  private sweep(idleMs: number): void {
    const { timeoutMs } = this.surroundings;
    const nowMs = this.clock.monotonicMs();
    for (const exchange of this.running) {
      // Before the first sign of life the longer limit holds.
      const limitMs = exchange.lastProgressMs === exchange.startedMs ? timeoutMs : idleMs;
      if (nowMs - exchange.lastProgressMs > limitMs)
        exchange.fail(sluiceError('SLU_INFERENCE_TIMEOUT', { seconds: limitMs / 1_000 }));
    }
  }

  private close(exchange: LanguageExchange, end: ExchangeEnd): void {
    const { error, queueMs, bytesOut, usage, firstTokenMs } = end;
    const { ask, armLane, span, startedMs } = exchange;
    const totalMs = this.clock.monotonicMs() - startedMs;
    const { promptTokens, completionTokens } = usage;
    const language = { isStreamed: ask.isStream, promptTokens, completionTokens, firstTokenMs };
    if (span !== undefined) {
      span.setAttribute('gen_ai.operation.name', operationOf(ask.path));
      if (promptTokens !== undefined) span.setAttribute('gen_ai.usage.input_tokens', promptTokens);
      if (completionTokens !== undefined) span.setAttribute('gen_ai.usage.output_tokens', completionTokens);
    }
    const modelMs = armLane === undefined ? 0 : totalMs - queueMs;
    ask.meter?.settle(usedOf(ask, end, modelMs));
    this.journal.write({ ask, startedMs, span, armLane, error, rows: 1, bytesOut, queueMs, modelMs, language });
    if (armLane !== undefined)
      this.settings.metrics?.record(operationOf(ask.path), armLane.arm, language, totalMs, error);
    this.tap(exchange, Date.now() - totalMs);
    this.running.delete(exchange);
    if (this.running.size === 0) this.whenIdle?.();
  }

  private tap({ ask, version, transcript }: LanguageExchange, atMs: number): void {
    const { requestId, endpoint, holder } = ask;
    if (transcript === undefined || holder === undefined) return;
    const { tenantId, subject } = holder;
    this.settings.payloads?.take({
      requestId,
      atMs,
      endpoint,
      version: version ?? '',
      tenantId,
      subject,
      bytes: transcript.bytes,
      content: () => transcript.content(),
    });
  }
}

/** As OpenTelemetry's conventions for generative AI name them. */
export type LanguageOperation = 'chat' | 'text_completion' | 'embeddings';

function operationOf(path: LanguageAsk['path']): LanguageOperation {
  switch (path) {
    case '/v1/embeddings':
      return 'embeddings';
    case '/v1/completions':
      return 'text_completion';
    case '/v1/chat/completions':
    case '/v1/responses':
      return 'chat';
  }
}

const words = {
  tensors: 'its model takes tensors; call /v2/models/{endpoint}/infer',
  'text-generation': 'its model generates text; call /v1/chat/completions, /v1/completions or /v1/responses',
  embedding: 'its model makes embeddings; call /v1/embeddings',
} as const;

function refuseTask({ endpoint, path }: LanguageAsk, { task }: ServedVersion): void {
  if (task === (path === '/v1/embeddings' ? 'embedding' : 'text-generation')) return;
  throw sluiceError('SLU_INFERENCE_TASK', { endpoint, path, reason: words[task].replace('{endpoint}', endpoint) });
}

// Counting tokens exactly would take the model; what cannot fit by its sheer size is refused before it is sent there.
function refuseTooLong({ prompt: { field, characters, tokens } }: LanguageAsk, { settings }: ServedVersion): void {
  const contextTokens = settings.language?.contextTokens;
  if (contextTokens === undefined) return;
  const least = tokens + Math.floor(characters / mostCharactersPerToken);
  if (least <= contextTokens) return;
  const problem = `has at least ${least} tokens, and the model has room for ${contextTokens} with the answer`;
  throw sluiceError('SLU_INFERENCE_PROMPT_TOO_LONG', { field, problem });
}
