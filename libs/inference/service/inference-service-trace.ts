import { ROOT_CONTEXT, SpanKind, SpanStatusCode, type Span, type Tracer } from '@opentelemetry/api';
import { contextOfTraceparent, isSampled, traceparentOf } from '#libs/platform';

const wellFormed = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/;

/** Starts the span of a request where it is traced; undefined otherwise, and then nothing was spent on it. */
export function beginInferSpan(tracer: Tracer | undefined, traceparent: string | undefined): Span | undefined {
  if (tracer === undefined) return undefined;
  if (traceparent !== undefined && wellFormed.test(traceparent) && !isSampled(traceparent)) return undefined;
  const parent = contextOfTraceparent(traceparent, ROOT_CONTEXT);
  const span = tracer.startSpan('infer', { kind: SpanKind.SERVER }, parent);
  return span.isRecording() ? span : undefined;
}

export interface InferSpanEnd {
  requestId: string;
  endpoint: string;
  status: number;
  arm: string | undefined;
  version: string | undefined;
  errorCode: string | undefined;
}

export function endInferSpan(span: Span, end: InferSpanEnd): void {
  span.setAttribute('sluice.request_id', end.requestId);
  // What is no endpoint is whatever the caller wrote: a key in the wrong place, for one.
  if (end.errorCode !== 'SLU_ENDPOINT_UNKNOWN') span.setAttribute('sluice.endpoint', end.endpoint);
  if (end.arm !== undefined) span.setAttribute('sluice.arm', end.arm);
  if (end.version !== undefined) span.setAttribute('sluice.model_version', end.version);
  if (end.errorCode !== undefined) span.setAttribute('error.type', end.errorCode);
  if (end.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/**
 * What the answer names: the own span, or the caller's header as it came. Without either, the request id serves as trace
 * id, not sampled, so that the caller has one name for the request in any case.
 */
export function answerTraceparent(span: Span | undefined, incoming: string | undefined, requestId: string): string {
  if (span !== undefined) return traceparentOf(span);
  if (incoming !== undefined && wellFormed.test(incoming)) return incoming;
  const hex =
    requestId.slice(0, 8) +
    requestId.slice(9, 13) +
    requestId.slice(14, 18) +
    requestId.slice(19, 23) +
    requestId.slice(24);
  return `00-${hex}-${hex.slice(16)}-00`;
}
