import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { systemClock } from '#libs/kernel';
import pino from 'pino';
import { expect, it } from 'vitest';
import { VersionLanes } from './inference-service-lanes.js';
import { registerInferenceMetrics } from './inference-metrics.js';
import { OutcomeCounters } from './outcome-counters.js';
import { Quarantine } from './quarantine.js';
import { servedVersion } from './route-table.js';

class PulledReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

it('shows each arm and each version by plain numbers, read when somebody asks', async () => {
  const log = pino({ level: 'silent' });
  const version = servedVersion(
    {
      schemaVersion: 1,
      name: 'tone',
      version: '1',
      format: 'onnx',
      files: [],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
    },
    '',
  );
  const counters = new OutcomeCounters({ database: undefined as never, log });
  const arm = { endpoint: 'tone', revision: 1, name: 'stable', weight: 100, version, bucketEnd: 10_000 };
  for (const latencyMs of [10, 20]) counters.counterOf(arm).count('ok', latencyMs, 1);
  counters.counterOf(arm).count('caller', 1, 1);
  await using lanes = new VersionLanes({
    open: () => {
      throw new Error('nothing to open');
    },
    clock: systemClock,
    log,
    quarantine: new Quarantine({ clock: systemClock, log }),
    timeoutMs: 1,
    maxQueuedRequests: 1,
    maxQueuedBytes: 1,
    replicaWaitMs: 1,
  });
  lanes.of(version);
  const reader = new PulledReader();
  const provider = new MeterProvider({ readers: [reader] });
  registerInferenceMetrics(provider.getMeter('test'), {
    counters,
    service: { inFlight: 3, lanes } as never,
    recorder: { bufferedRecords: 4 } as never,
    spool: { size: { bytes: 5, batches: 1 }, droppedBatches: 6 } as never,
  });
  const { resourceMetrics } = await reader.collect();
  const shown = new Map<string, unknown[]>();
  for (const { descriptor, dataPoints } of resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)) {
    shown.set(
      descriptor.name,
      dataPoints.map(({ attributes, value }) => [attributes, value]),
    );
  }
  const labels = { endpoint: 'tone', arm: 'stable', version: '1' };
  expect(shown.get('sluice_inference_requests')).toContainEqual([{ ...labels, outcome: 'ok' }, 2]);
  expect(shown.get('sluice_inference_requests')).toContainEqual([{ ...labels, outcome: 'caller' }, 1]);
  expect(shown.get('sluice_inference_answer_seconds')).toEqual([[labels, 0.03]]);
  expect(shown.get('sluice_inference_answers')).toEqual([[labels, 2]]);
  expect(shown.get('sluice_inference_replicas_ready')).toEqual([[{ model: 'tone', version: '1' }, 0]]);
  expect(shown.get('sluice_inference_requests_in_flight')).toEqual([[{}, 3]]);
  expect(shown.get('sluice_inference_records_buffered')).toEqual([[{}, 4]]);
  expect(shown.get('sluice_inference_spool_bytes')).toEqual([[{}, 5]]);
  expect(shown.get('sluice_inference_spool_dropped_batches')).toEqual([[{}, 6]]);
  await provider.shutdown();
});
