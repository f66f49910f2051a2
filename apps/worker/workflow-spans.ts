import { createTraceState, type SpanContext } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type {
  OpenTelemetryWorkflowExporter,
  SerializableSpan,
} from '@temporalio/interceptors-opentelemetry/lib/workflow/definitions.js';
import type { InjectedSink } from '@temporalio/worker';

/**
 * Takes spans out of the workflow sandbox. The interceptors inside speak OpenTelemetry 1.x and this process 2.x, where two
 * fields have other names. A replay repeats what was exported before, so it exports nothing.
 */
export function workflowSpanSink(
  processor: SpanProcessor | undefined,
  resource: Resource,
): InjectedSink<OpenTelemetryWorkflowExporter> {
  return {
    export: {
      callDuringReplay: false,
      fn: (info, spans) => {
        if (processor === undefined) return;
        const { workflowId, runId, workflowType } = info;
        for (const span of spans) processor.onEnd(readableSpan(span, resource, { workflowId, runId, workflowType }));
      },
    },
  };
}

export function readableSpan(
  span: SerializableSpan,
  resource: Resource,
  extra: Readonly<Record<string, string>>,
): ReadableSpan {
  const { spanContext: serialized, parentSpanId, instrumentationLibrary, attributes, ...rest } = span;
  const { traceState, ...ids } = serialized;
  const spanContext: SpanContext = {
    ...ids,
    ...(traceState === undefined ? {} : { traceState: createTraceState(traceState) }),
  };
  return {
    ...rest,
    attributes: { ...attributes, ...extra },
    resource,
    instrumentationScope: instrumentationLibrary,
    ...(parentSpanId === undefined
      ? {}
      : { parentSpanContext: { traceId: ids.traceId, spanId: parentSpanId, traceFlags: ids.traceFlags } }),
    spanContext: () => spanContext,
  };
}
