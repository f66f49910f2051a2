import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { systemClock, type SluiceError } from '#libs/kernel';
import pino from 'pino';
import { expect, it } from 'vitest';
import { CallerPresence } from '../batching/batcher-caller.js';
import { plainKey, type BatchRequest } from '../batching/batcher-request.js';
import { VersionLanes } from './inference-service-lanes.js';
import { registerInferenceMetrics } from './inference-metrics.js';
import { OutcomeCounters } from '../records/outcome-counters.js';
import { Quarantine } from '../batching/quarantine.js';
import { servedVersion } from '../routes/route-table.js';

class PulledReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

const request: BatchRequest = {
  endpoint: 'tone',
  tenant: 'a',
  key: 'k',
  priority: 1,
  inputs: [],
  rows: 1,
  bytes: 0,
  timeoutMs: 60_000,
  stackKey: plainKey,
};

it('shows each arm and each version by plain numbers, read when somebody asks', async () => {
  const log = pino({ level: 'silent' });
  const version = servedVersion(
    {
      schemaVersion: 1,
      name: 'tone',
      version: '1',
      format: 'onnx',
      queue: { priorityLevels: 2, maxRequests: 3 },
      responseCache: {},
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
  const quarantine = new Quarantine({ clock: systemClock, log });
  await using lanes = new VersionLanes({
    open: () => {
      throw new Error('nothing to open');
    },
    clock: systemClock,
    log,
    quarantine,
    timeoutMs: 1,
    maxQueuedRequests: 1,
    maxQueuedBytes: 1,
    replicaWaitMs: 1,
  });
  const lane = lanes.of(version);
  lane.pool.isExpected = true;
  const caller = new CallerPresence();
  const waiting = [1, 2, 2, 2].map((priority) =>
    lane.batcher.submit({ ...request, priority, caller }).catch(({ code }: SluiceError) => code),
  );
  lane.cache!.get('k', 0);
  const reader = new PulledReader();
  const provider = new MeterProvider({ readers: [reader] });
  registerInferenceMetrics(provider.getMeter('test'), {
    counters,
    service: { inFlight: 3, lanes, quarantine, nowMs: () => systemClock.monotonicMs() } as never,
    recorder: { bufferedRecords: 4 } as never,
    spool: { size: { bytes: 5, batches: 1 }, droppedBatches: 6 } as never,
    state: {
      snapshot: {
        replicas: new Map([
          ['tone/1', { places: [{ model: 'tone', version: '1', residentBytes: 7 }, { residentBytes: 8 }, {}] }],
          ['tone/2', { places: [] }],
        ]),
      } as never,
      replicaEnds: [{ model: 'tone', version: '1', cause: 'memory', count: 9 }],
    },
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
  const own = { model: 'tone', version: '1' };
  expect(shown.get('sluice_inference_queue_priority_requests')).toEqual([
    [{ ...own, priority: '1' }, 1],
    [{ ...own, priority: '2' }, 2],
  ]);
  expect(shown.get('sluice_inference_queue_tenants')).toEqual([[own, 1]]);
  expect(shown.get('sluice_inference_queue_refused')).toContainEqual([{ ...own, reason: 'overload' }, 1]);
  expect(shown.get('sluice_inference_cache_lookups')).toContainEqual([{ ...own, result: 'miss' }, 1]);
  expect(shown.get('sluice_inference_quarantine_inputs')).toEqual([[{}, 0]]);
  caller.leave();
  expect(await Promise.all(waiting)).toContain('SLU_INFERENCE_QUEUE_FULL');
  expect(shown.get('sluice_inference_replica_resident_bytes')).toEqual([[{ model: 'tone', version: '1' }, 15]]);
  expect(shown.get('sluice_inference_replica_ends')).toEqual([[{ model: 'tone', version: '1', cause: 'memory' }, 9]]);
  await provider.shutdown();
});
