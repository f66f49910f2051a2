import {
  isSluiceError,
  mebibytes,
  secondsToMs,
  sluiceError,
  systemClock,
  type Clock,
  type SluiceError,
} from '#libs/kernel';
import type { RequestMeter } from '#libs/access';
import type { Logger } from '#libs/platform';
import type { Span, Tracer } from '@opentelemetry/api';
import { chooseArm } from '../routes/arm-choice.js';
import type { CallerPresence } from '../batching/batcher-caller.js';
import { plainKey, type BatchAnswer, type BatchRequest } from '../batching/batcher-request.js';
import type { Batcher } from '../batching/batcher.js';
import { VersionLanes, type OpenReplica, type VersionLane } from './inference-service-lanes.js';
import { InferenceJournal } from './inference-service-journal.js';
import { usedOf, worstOf } from './inference-service-meter.js';
import { beginInferSpan } from './inference-service-trace.js';
import type { ArmCounter, OutcomeCounters } from '../records/outcome-counters.js';
import { Quarantine } from '../batching/quarantine.js';
import type { RequestRecorder } from '../records/request-recorder.js';
import type { ResponseCache } from '../batching/response-cache.js';
import type { LiveArm, ServedVersion } from '../routes/route-table.js';
import { priorityOf, timeoutOf, type SchedulingRules } from '../batching/scheduling-rules.js';
import type { ServingState } from '../routes/serving-state.js';
import { heldBytes, stackKey, type Tensor } from '../tensors/tensor.js';
import type { PayloadTap, RequestHolder } from '../ports/payload-tap.js';
import { tapTensors } from './tensor-payload.js';
import type { ServingStatistics } from './version-statistics.js';

/** What the service needs of a request; a protocol's own view of it may hold more. */
export interface AskedInference {
  inputs: readonly Tensor[];
  /** 1 is the most urgent; undefined or 0 asks for the version's default. */
  priority?: number | undefined;
  /** How long the answer is of use to the caller. */
  timeoutMs?: number | undefined;
}

/** What a protocol does with bodies. The service knows tensors only. `Payload` is what the protocol sends back. */
export interface InferProtocol<Payload = string> {
  stickyKeyOf(body: unknown): string | undefined;
  /** @throws SLU_INFERENCE_INPUT */
  read(body: unknown, version: ServedVersion): AskedInference;
  /** `asked` is what `read` returned. @throws SLU_INFERENCE_OUTPUT */
  write(answer: { endpoint: string; version: string; outputs: readonly Tensor[] }, asked: unknown): Payload;
  bytesOf(payload: Payload): number;
}

export interface InferAsk<Payload = string> {
  endpoint: string;
  /** Asks for exactly this version, apart from the arms. */
  version?: string | undefined;
  body: unknown;
  protocol: InferProtocol<Payload>;
  bytesIn: number;
  requestId: string;
  stickyKey?: string | undefined;
  /** Who calls. */
  keyId?: string | undefined;
  /** Whose share of the version the request takes; callers of one tenant share it among themselves. */
  tenant?: string | undefined;
  /** Whose request it is, for the records. */
  holder?: RequestHolder | undefined;
  /** The only endpoints that the caller may know of; left out: all. */
  visible?: ReadonlySet<string> | undefined;
  traceparent?: string | undefined;
  caller?: CallerPresence | undefined;
  /** Keeps the account of what the request may use and did. */
  meter?: RequestMeter | undefined;
}

export interface InferOutcome<Payload = string> {
  /** The answer; undefined when there is an error. */
  payload: Payload | undefined;
  /** As it is sent. */
  payloadBytes: number;
  error: SluiceError | undefined;
  version: string | undefined;
  arm: string | undefined;
  traceparent: string;
  /** The answer was stored, and no model ran for it. */
  isCached?: boolean;
}

export interface InferenceSettings {
  state: ServingState;
  counters: OutcomeCounters;
  recorder: Pick<RequestRecorder, 'record'>;
  /** Takes the payloads that an operator asked for; left out, none are. */
  payloads?: PayloadTap | undefined;
  openReplica: OpenReplica;
  log: Logger;
  /** Left out: nothing is traced. Its sampler decides about requests that come without a parent. */
  tracer?: Tracer | undefined;
  clock?: Clock;
  random?: () => number;
  timeoutMs?: number;
  runsPerReplica?: number;
  maxQueuedRequests?: number;
  maxQueuedBytes?: number;
  replicaWaitMs?: number;
  /** Left out: what one process learns about inputs that kill replicas stays in it. */
  quarantine?: Quarantine | undefined;
}

/** What decides to which arm a request goes. */
export interface RoutedAsk {
  endpoint: string;
  version?: string | undefined;
  stickyKey?: string | undefined;
  visible?: ReadonlySet<string> | undefined;
  body?: unknown;
  protocol?: Pick<InferProtocol, 'stickyKeyOf'> | undefined;
}

/** An arm with everything that its requests need, looked up once per route revision. */
export interface ArmLane {
  readonly arm: LiveArm;
  readonly lane: VersionLane;
  readonly counter: ArmCounter;
}

const defaultTimeoutMs = secondsToMs(30);
const defaultReplicaWaitMs = secondsToMs(5);
const drainRetrySeconds = 2;

/** The way of one request: endpoint, route, arm, tensors, batch, answer, count and record. */
export class InferenceService implements AsyncDisposable {
  readonly lanes: VersionLanes;
  readonly quarantine: Quarantine;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly armLanes = new WeakMap<LiveArm, ArmLane>();
  private readonly stopFollowing: () => void;
  private readonly journal: InferenceJournal;
  private whenIdle: (() => void) | undefined;
  isDraining = false;
  inFlight = 0;

  constructor(private readonly settings: InferenceSettings) {
    this.clock = settings.clock ?? systemClock;
    this.random = settings.random ?? Math.random;
    this.quarantine = settings.quarantine ?? new Quarantine({ clock: this.clock, log: settings.log });
    const { openReplica: open, log, tracer, runsPerReplica } = settings;
    this.lanes = new VersionLanes({
      open,
      log,
      tracer,
      clock: this.clock,
      random: this.random,
      quarantine: this.quarantine,
      timeoutMs: settings.timeoutMs ?? defaultTimeoutMs,
      maxQueuedRequests: settings.maxQueuedRequests ?? 2_048,
      maxQueuedBytes: settings.maxQueuedBytes ?? mebibytes(64),
      replicaWaitMs: settings.replicaWaitMs ?? defaultReplicaWaitMs,
      ...(runsPerReplica === undefined ? {} : { runsPerReplica }),
    });
    this.journal = new InferenceJournal(settings.recorder, log, this.clock);
    this.stopFollowing = settings.state.onSnapshot((snapshot) => this.lanes.follow(snapshot));
    this.lanes.follow(settings.state.snapshot);
  }

  get statistics(): ServingStatistics {
    return this.lanes.statistics;
  }

  /** How the requests of a version wait and leave. */
  schedulingOf(version: ServedVersion): SchedulingRules {
    return this.lanes.rulesOf(version);
  }

  /** Can requests be answered: the state is known, and each version with traffic has a replica that answered. */
  get isReady(): boolean {
    return !this.isDraining && this.settings.state.isSettled((key) => this.lanes.find(key)?.pool.hasAnswered ?? false);
  }

  /** By the clock that queues go by. */
  nowMs(): number {
    return this.clock.monotonicMs();
  }

  hasReadyReplica(versionKey: string): boolean {
    return (this.lanes.find(versionKey)?.pool.upCount ?? 0) > 0;
  }

  /** Never rejects: an error is an outcome, counted and recorded like any other. */
  async infer<Payload>(ask: InferAsk<Payload>): Promise<InferOutcome<Payload>> {
    const startedMs = this.clock.monotonicMs();
    const span = beginInferSpan(this.settings.tracer, ask.traceparent);
    this.inFlight += 1;
    let armLane: ArmLane | undefined;
    let answer: BatchAnswer | undefined;
    let payload: Payload | undefined;
    let error: SluiceError | undefined;
    let inputs: readonly Tensor[] | undefined;
    let rows = 0;
    try {
      armLane = this.armLane(ask);
      const { version } = armLane.arm;
      const asked = ask.protocol.read(ask.body, version);
      inputs = asked.inputs;
      rows = inputs[0]?.shape[0] ?? 0;
      const reserving = this.reserve(ask, armLane.lane, rows, asked.timeoutMs);
      if (reserving !== undefined) await reserving;
      answer = await this.submit(ask, armLane.lane, asked, rows, span);
      payload = ask.protocol.write(
        { endpoint: ask.endpoint, version: version.version, outputs: answer.outputs },
        asked,
      );
    } catch (cause) {
      error = isSluiceError(cause) ? cause : sluiceError('SLU_INTERNAL', {}, { cause });
    }
    ask.meter?.settle(usedOf(error, answer, rows));
    const outcome = this.journal.close({ ask, startedMs, span, armLane, answer, payload, error, rows });
    if (inputs !== undefined)
      tapTensors(this.settings.payloads, ask, armLane!, this.clock.monotonicMs() - startedMs, inputs, answer?.outputs);
    this.inFlight -= 1;
    if (this.inFlight === 0) this.whenIdle?.();
    return outcome;
  }

  /** Refuses new requests from now on; resolves when those in flight have their answers. */
  async drain(): Promise<void> {
    this.isDraining = true;
    if (this.inFlight > 0) await new Promise<void>((resolve) => (this.whenIdle = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopFollowing();
    await this.drain();
    await this.lanes[Symbol.asyncDispose]();
  }

  private reserve(
    { meter, endpoint }: InferAsk<unknown>,
    { version, rules }: VersionLane,
    rows: number,
    timeoutMs: number | undefined,
  ): Promise<void> | undefined {
    return meter?.reserve(worstOf(endpoint, version, rows, timeoutOf(rules, timeoutMs)));
  }

  private submit(
    ask: InferAsk<unknown>,
    lane: VersionLane,
    asked: AskedInference,
    rows: number,
    span: Span | undefined,
  ): Promise<BatchAnswer> {
    const { version, rules, batcher, cache } = lane;
    const { inputs } = asked;
    const request: BatchRequest = {
      endpoint: ask.endpoint,
      tenant: ask.tenant ?? '',
      key: ask.keyId ?? '',
      priority: priorityOf(rules, version, asked.priority),
      inputs,
      rows,
      // A protocol that cannot tell how long a message was still holds memory with it.
      bytes: ask.bytesIn > 0 ? ask.bytesIn : heldBytes(inputs),
      timeoutMs: timeoutOf(rules, asked.timeoutMs),
      stackKey: !version.isStackable ? undefined : version.hasFreeSizes ? stackKey(inputs) : plainKey,
      caller: ask.caller,
      span,
    };
    this.quarantine.check(version, inputs);
    // What is about a named subject is stored nowhere from which it could not be erased by name.
    const isPassedBy = ask.holder?.subject !== undefined || cache?.takes(request.bytes) !== true;
    return cache === undefined || isPassedBy ? batcher.submit(request) : this.throughCache(cache, batcher, request);
  }

  private async throughCache(cache: ResponseCache, batcher: Batcher, request: BatchRequest): Promise<BatchAnswer> {
    const startedMs = this.clock.monotonicMs();
    const key = cache.keyOf(request.key, request.inputs);
    const stored = cache.get(key, startedMs);
    if (stored !== undefined) return { outputs: stored, queueMs: 0, modelMs: 0, isCached: true };
    const answer = await batcher.submit(request);
    cache.put(key, answer.outputs);
    return answer;
  }

  /** @throws SLU_ENDPOINT_UNKNOWN, SLU_MODEL_VERSION_UNKNOWN, SLU_INFERENCE_NOT_READY, SLU_INFERENCE_DRAINING */
  armLane(ask: RoutedAsk): ArmLane {
    if (this.isDraining) throw sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: drainRetrySeconds });
    // For whoever may not know of it, it is not there.
    if (ask.visible?.has(ask.endpoint) === false) throw this.endpointUnknown(ask.endpoint);
    const arm = ask.version === undefined ? this.drawArm(ask) : this.pinnedArm(ask.endpoint, ask.version);
    let armLane = this.armLanes.get(arm);
    if (armLane === undefined) {
      armLane = { arm, lane: this.lanes.of(arm.version), counter: this.settings.counters.counterOf(arm) };
      this.armLanes.set(arm, armLane);
    }
    return armLane;
  }

  private drawArm(ask: RoutedAsk): LiveArm {
    const route = this.settings.state.endpoint(ask.endpoint);
    if (route === undefined) throw this.endpointUnknown(ask.endpoint);
    const arm = chooseArm(route, ask.stickyKey ?? ask.protocol?.stickyKeyOf(ask.body), this.random);
    if (arm === undefined) throw this.endpointUnknown(ask.endpoint);
    return arm;
  }

  private pinnedArm(endpoint: string, version: string): LiveArm {
    const route = this.settings.state.endpoint(endpoint);
    if (route === undefined) throw this.endpointUnknown(endpoint);
    const arm = route.pinned.get(version);
    if (arm === undefined) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model: endpoint, version });
    if (!this.hasReadyReplica(arm.version.key)) {
      throw sluiceError('SLU_INFERENCE_NOT_READY', { endpoint, version }, { retryAfterSeconds: 1 });
    }
    return arm;
  }

  // Before the first read of the state nobody knows which endpoints there are.
  private endpointUnknown(endpoint: string): SluiceError {
    if (this.settings.state.isLoaded) return sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint });
    return sluiceError('SLU_INFERENCE_NOT_READY', { endpoint, version: '?' }, { retryAfterSeconds: 1 });
  }
}
