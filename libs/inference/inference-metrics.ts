import type { Meter } from '@opentelemetry/api';
import type { InferenceService } from './inference-service.js';
import { outcomes, quantileOf, type OutcomeCounters } from './outcome-counters.js';
import type { RecordSpool } from './record-spool.js';
import type { RequestRecorder } from './request-recorder.js';
import type { ServingState } from './serving-state.js';

export interface InferenceMetricsSources {
  service: InferenceService;
  counters: OutcomeCounters;
  recorder: RequestRecorder;
  spool: RecordSpool;
  state: Pick<ServingState, 'snapshot' | 'replicaEnds'>;
}

const quantiles = [0.5, 0.95, 0.99];

/**
 * Shows the plain numbers of the data plane as metrics. All instruments are observable: they are read when somebody
 * scrapes, and a request pays nothing for them.
 */
export function registerInferenceMetrics(meter: Meter, sources: InferenceMetricsSources): void {
  registerArms(meter, sources.counters);
  registerLanes(meter, sources.service);
  registerRecords(meter, sources);
  registerReplicas(meter, sources.state);
}

function registerArms(meter: Meter, counters: OutcomeCounters): void {
  const requests = meter.createObservableCounter('sluice_inference_requests', {
    description: 'Requests by how they ended',
  });
  const seconds = meter.createObservableCounter('sluice_inference_answer_seconds', {
    description: 'Sum of the latencies of answered requests; divide by sluice_inference_answers',
  });
  const answers = meter.createObservableCounter('sluice_inference_answers', { description: 'Requests with a latency' });
  const latency = meter.createObservableGauge('sluice_inference_latency_seconds', {
    description: 'Latency since the start, by quantile',
  });
  meter.addBatchObservableCallback(
    (result) => {
      for (const { endpoint, arm, version, outcomes: counts, latency: buckets, latencySumMs } of counters.totals) {
        const labels = { endpoint, arm, version };
        for (const outcome of outcomes) result.observe(requests, counts[outcome], { ...labels, outcome });
        result.observe(seconds, latencySumMs / 1_000, labels);
        result.observe(answers, counts.ok + counts.model, labels);
        for (const quantile of quantiles) {
          const milliseconds = quantileOf(buckets, quantile);
          if (milliseconds !== undefined)
            result.observe(latency, milliseconds / 1_000, { ...labels, quantile: String(quantile) });
        }
      }
    },
    [requests, seconds, answers, latency],
  );
}

function registerLanes(meter: Meter, service: InferenceService): void {
  const queued = meter.createObservableGauge('sluice_inference_queue_requests', {
    description: 'Requests that wait for a replica',
  });
  const queuedBytes = meter.createObservableGauge('sluice_inference_queue_bytes', { unit: 'bytes' });
  const batches = meter.createObservableCounter('sluice_inference_batches', { description: 'Runs of a model' });
  const rows = meter.createObservableCounter('sluice_inference_batch_rows', { description: 'Rows in those runs' });
  const batched = meter.createObservableCounter('sluice_inference_batch_requests', {
    description: 'Requests in those runs',
  });
  const ready = meter.createObservableGauge('sluice_inference_replicas_ready', {
    description: 'Replicas that answer this process',
  });
  const running = meter.createObservableGauge('sluice_inference_batches_running', { description: 'Runs under way' });
  const inFlight = meter.createObservableGauge('sluice_inference_requests_in_flight', {
    description: 'Requests without an answer yet',
  });
  meter.addBatchObservableCallback(
    (result) => {
      result.observe(inFlight, service.inFlight);
      for (const { version, pool, batcher } of service.lanes.all) {
        const labels = { model: version.model, version: version.version };
        result.observe(queued, batcher.queuedRequests, labels);
        result.observe(queuedBytes, batcher.queuedBytes, labels);
        result.observe(batches, batcher.totals.batches, labels);
        result.observe(rows, batcher.totals.rows, labels);
        result.observe(batched, batcher.totals.requests, labels);
        result.observe(ready, pool.upCount, labels);
        result.observe(running, pool.runningCount, labels);
      }
    },
    [queued, queuedBytes, batches, rows, batched, ready, running, inFlight],
  );
}

function registerRecords(meter: Meter, { recorder, spool }: InferenceMetricsSources): void {
  const buffered = meter.createObservableGauge('sluice_inference_records_buffered', {
    description: 'Request records not yet written',
  });
  const spooled = meter.createObservableGauge('sluice_inference_spool_bytes', {
    unit: 'bytes',
    description: 'Request records on disk',
  });
  const dropped = meter.createObservableCounter('sluice_inference_spool_dropped_batches', {
    description: 'Batches of records lost or set aside',
  });
  meter.addBatchObservableCallback(
    (result) => {
      result.observe(buffered, recorder.bufferedRecords);
      result.observe(spooled, spool.size.bytes);
      result.observe(dropped, spool.droppedBatches);
    },
    [buffered, spooled, dropped],
  );
}

function registerReplicas(meter: Meter, state: InferenceMetricsSources['state']): void {
  const ends = meter.createObservableCounter('sluice_inference_replica_ends', {
    description: 'Replicas that ended, by cause, as this process saw it',
  });
  const resident = meter.createObservableGauge('sluice_inference_replica_resident_bytes', {
    unit: 'bytes',
    description: 'Resident memory of the replicas of a version together, as last seen',
  });
  meter.addBatchObservableCallback(
    (result) => {
      for (const { model, version, cause, count } of state.replicaEnds)
        result.observe(ends, count, { model, version, cause });
      for (const [, { places }] of state.snapshot.replicas) {
        const [first] = places;
        if (first === undefined) continue;
        const sum = places.reduce((bytes, { residentBytes }) => bytes + (residentBytes ?? 0), 0);
        result.observe(resident, sum, { model: first.model, version: first.version });
      }
    },
    [ends, resident],
  );
}
