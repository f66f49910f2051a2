import { isName, type Clock, type ErrorCode, type SluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Span } from '@opentelemetry/api';
import type { BatchAnswer } from '../batching/batcher-request.js';
import type { ArmLane, InferAsk, InferOutcome } from './inference-service.js';
import { answerTraceparent, endInferSpan } from './inference-service-trace.js';
import type { Outcome } from '../records/outcome-counters.js';
import type { LanguageUse, RequestRecord } from '../records/request-record.js';

/** A request at its end, before it is written down. */
export interface EndedInference<Payload> {
  ask: InferAsk<Payload>;
  startedMs: number;
  span: Span | undefined;
  armLane: ArmLane | undefined;
  answer: BatchAnswer | undefined;
  payload: Payload | undefined;
  error: SluiceError | undefined;
  rows: number;
}

/** The same of any request, whatever service answered it. */
export interface EndedRequest {
  ask: Pick<InferAsk<unknown>, 'requestId' | 'endpoint' | 'keyId' | 'holder' | 'bytesIn' | 'traceparent'>;
  startedMs: number;
  span: Span | undefined;
  armLane: ArmLane | undefined;
  error: SluiceError | undefined;
  rows: number;
  bytesOut: number;
  queueMs: number;
  modelMs: number;
  /** The answer was stored, and no model ran for it. */
  isCached?: boolean;
  language?: LanguageUse | undefined;
}

/** Writes down how a request ended: in the counters of its arm, as a record, in its span and, when it failed, in the log. */
export class InferenceJournal {
  private lastLogged = new Map<ErrorCode, number>();

  constructor(
    private readonly recorder: { record(record: RequestRecord): void },
    private readonly log: Logger,
    private readonly clock: Clock,
  ) {}

  close<Payload>(ended: EndedInference<Payload>): InferOutcome<Payload> {
    const { ask, span, armLane, answer, payload, error } = ended;
    const payloadBytes = payload === undefined ? 0 : ask.protocol.bytesOf(payload);
    const traceparent = answerTraceparent(span, ask.traceparent, ask.requestId);
    const { queueMs, modelMs } = answer ?? notRun;
    const isCached = answer?.isCached === true;
    this.write({ ...ended, bytesOut: payloadBytes, queueMs, modelMs, isCached });
    const arm = armLane?.arm;
    return { payload, payloadBytes, error, version: arm?.version.version, arm: arm?.name, traceparent, isCached };
  }

  write(ended: EndedRequest): void {
    const { ask, span, armLane, error } = ended;
    const totalMs = this.clock.monotonicMs() - ended.startedMs;
    const endedMs = Date.now();
    const arm = armLane?.arm;
    const outcome = error !== undefined ? outcomeOf(error) : ended.isCached === true ? 'cached' : 'ok';
    armLane?.counter.count(outcome, totalMs, Math.floor(endedMs / 1_000));
    armLane?.lane.statistics.ended(error === undefined, totalMs, endedMs);
    this.recorder.record(recordOf(ended, outcome, totalMs, endedMs - Math.round(totalMs)));
    if (error !== undefined && error.status >= 500) this.logFailure(error, ask, arm?.version.key);
    if (span === undefined) return;
    const { requestId } = ask;
    const status = statusOf(error);
    endInferSpan(span, {
      requestId,
      endpoint: ask.endpoint,
      status,
      arm: arm?.name,
      version: arm?.version.key,
      errorCode: error?.code,
    });
  }

  // One line per second and code is enough: the records tell of each request. A model's own words may quote its input,
  // so only a failure of ours goes to the log with its cause.
  private logFailure(error: SluiceError, ask: EndedRequest['ask'], version: string | undefined): void {
    const { requestId, endpoint } = ask;
    if (error.code === 'SLU_INTERNAL') {
      this.log.error({ requestId, endpoint, version, err: error.cause }, 'a request failed on our side');
      return;
    }
    const nowMs = this.clock.monotonicMs();
    if (nowMs - (this.lastLogged.get(error.code) ?? -Infinity) < 1_000) return;
    this.lastLogged.set(error.code, nowMs);
    this.log.warn({ requestId, endpoint, version, code: error.code }, 'requests fail');
  }
}

const statusOf = (error: SluiceError | undefined): number => error?.status ?? 200;

const notRun = { queueMs: 0, modelMs: 0 };

function recordOf(ended: EndedRequest, outcome: Outcome, totalMs: number, atMs: number): RequestRecord {
  const { ask, span, armLane, error, rows, bytesOut, queueMs, modelMs, language } = ended;
  const arm = armLane?.arm ?? noArm(ask.endpoint);
  return {
    requestId: ask.requestId,
    atMs,
    keyId: ask.keyId,
    tenantId: ask.holder?.tenantId,
    projectId: ask.holder?.projectId,
    subject: ask.holder?.subject,
    endpoint: arm.endpoint,
    model: arm.version.model,
    version: arm.version.version,
    arm: arm.name,
    revision: arm.revision,
    status: statusOf(error),
    errorCode: error?.code,
    rows,
    bytesIn: ask.bytesIn,
    bytesOut,
    queueMs,
    modelMs,
    totalMs,
    traceId: span?.spanContext().traceId,
    outcome,
    language,
  };
}

// An unknown endpoint's name is a caller's free text: it is not kept unless it could be a name.
function noArm(endpoint: string): {
  endpoint: string;
  name: string;
  revision: number;
  version: { model: string; version: string };
} {
  return { endpoint: isName(endpoint) ? endpoint : '-', name: '-', revision: 0, version: { model: '-', version: '-' } };
}

const overload: ReadonlySet<ErrorCode> = new Set([
  'SLU_INFERENCE_QUEUE_FULL',
  'SLU_INFERENCE_OVERUSE',
  'SLU_INFERENCE_BUSY',
  'SLU_INFERENCE_DRAINING',
]);

/** Whose making a failure is. A version without a ready replica is the arm's failure: its traffic is not answered. */
export function outcomeOf(error: SluiceError): Outcome {
  if (overload.has(error.code)) return 'overload';
  return error.status < 500 ? 'caller' : 'model';
}
