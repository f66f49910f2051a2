import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { SerializableSpan } from '@temporalio/interceptors-opentelemetry/lib/workflow/definitions.js';
import type { WorkflowInfo } from '@temporalio/workflow';
import { expect, it } from 'vitest';
import { workflowSpanSink } from './workflow-spans.js';

const span: SerializableSpan = {
  name: 'StartActivity:sense',
  kind: SpanKind.INTERNAL,
  spanContext: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: TraceFlags.SAMPLED, traceState: 'k=v' },
  parentSpanId: 'c'.repeat(16),
  startTime: [1, 0],
  endTime: [2, 0],
  status: { code: SpanStatusCode.OK },
  attributes: { own: 1 },
  links: [],
  events: [],
  duration: [1, 0],
  ended: true,
  droppedAttributesCount: 0,
  droppedLinksCount: 0,
  droppedEventsCount: 0,
  instrumentationLibrary: { name: '@temporalio/interceptor-workflow' },
};

it('a span of the sandbox keeps its trace and its parent on the way to the exporter', async () => {
  const exporter = new InMemorySpanExporter();
  const sink = workflowSpanSink(
    new SimpleSpanProcessor(exporter),
    resourceFromAttributes({ 'service.name': 'sluice-worker' }),
  );
  await sink.export.fn({ workflowId: 'rollout:1', runId: 'r', workflowType: 'rollout' } as WorkflowInfo, [span]);
  const [exported] = exporter.getFinishedSpans();
  expect(exported).toMatchObject({
    name: 'StartActivity:sense',
    parentSpanContext: { traceId: 'a'.repeat(32), spanId: 'c'.repeat(16) },
    instrumentationScope: { name: '@temporalio/interceptor-workflow' },
    attributes: { own: 1, workflowId: 'rollout:1' },
  });
  expect(exported?.spanContext().traceState?.serialize()).toBe('k=v');
});
