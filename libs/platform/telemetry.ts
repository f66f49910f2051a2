import {
  context,
  propagation,
  trace,
  TraceFlags,
  type Context,
  type Meter,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import { Histograms } from './histograms.js';
import { ProcessMetrics } from './process-metrics.js';

export interface TelemetrySettings {
  service: string;
  version: string;
  /** Base address of an OTLP/HTTP collector. Unset: nothing is traced and nothing is sent. */
  otlpEndpoint?: string | undefined;
  /** Share of new traces that are sampled, 0 to 1. A sampled parent is always followed. */
  sampling: number;
}

export interface Telemetry extends AsyncDisposable {
  tracer: Tracer;
  meter: Meter;
  histograms: Histograms;
  /** Where spans go; undefined when nothing is traced. */
  spanExporter: SpanExporter | undefined;
  /** The metrics in Prometheus' text format. */
  prometheusText(): Promise<string>;
}

/** Starts OpenTelemetry for this process and registers it globally, so that libraries join the same traces. */
export async function startTelemetry(settings: TelemetrySettings): Promise<Telemetry> {
  const resource = resourceFromAttributes({
    [ATTR_SERVICE_NAME]: settings.service,
    [ATTR_SERVICE_VERSION]: settings.version,
  });
  const spanExporter =
    settings.otlpEndpoint === undefined
      ? undefined
      : new OTLPTraceExporter({ url: `${settings.otlpEndpoint.replace(/\/$/, '')}/v1/traces` });
  const tracing = new NodeTracerProvider({
    resource,
    sampler: new ParentBasedSampler({
      root: new TraceIdRatioBasedSampler(spanExporter === undefined ? 0 : settings.sampling),
    }),
    spanProcessors:
      spanExporter === undefined ? [] : [new BatchSpanProcessor(spanExporter, { scheduledDelayMillis: 1_000 })],
  });
  tracing.register({ propagator: new W3CTraceContextPropagator() });

  const histograms = new Histograms({ name: 'sluice', version: settings.version });
  const reader = new PrometheusExporter({ preventServerStart: true, metricProducers: [histograms] });
  const serializer = new PrometheusSerializer(undefined, false);
  const metering = new MeterProvider({ resource, readers: [reader] });

  const meter = metering.getMeter('sluice', settings.version);
  const processMetrics = new ProcessMetrics(meter);

  return {
    tracer: trace.getTracer('sluice', settings.version),
    meter,
    histograms,
    spanExporter,
    prometheusText: async () => serializer.serialize((await reader.collect()).resourceMetrics),
    [Symbol.asyncDispose]: async () => {
      processMetrics[Symbol.dispose]();
      await Promise.allSettled([tracing.shutdown(), metering.shutdown()]);
    },
  };
}

/** The W3C `traceparent` of a span, to hand on over a process border. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** The context that a `traceparent` header names; the empty context when there is none or it is malformed. */
export function contextOfTraceparent(traceparent: string | undefined, base: Context = context.active()): Context {
  if (traceparent === undefined) return base;
  return propagation.extract(base, { traceparent });
}

/** Cheap enough for each request: is the sampled flag of this `traceparent` on? */
export function isSampled(traceparent: string | undefined): boolean {
  if (traceparent === undefined || traceparent.length < 55) return false;
  return (Number.parseInt(traceparent.slice(53, 55), 16) & TraceFlags.SAMPLED) === TraceFlags.SAMPLED;
}
