import type { Meter } from '@opentelemetry/api';
import type { InferenceService } from './inference-service.js';
import { outcomes, quantileOf, type OutcomeCounters } from '../records/outcome-counters.js';
import type { RecordSpool } from '../records/record-spool.js';
import type { RequestRecorder } from '../records/request-recorder.js';
import type { ServingState } from '../routes/serving-state.js';

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
  registerWaiting(meter, sources.service);
  registerCaches(meter, sources.service);
  registerQuarantine(meter, sources.service);
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

function registerWaiting(meter: Meter, service: InferenceService): void {
  const waiting = meter.createObservableGauge('sluice_inference_queue_priority_requests', {
    description: 'Requests that wait for a replica, by priority',
  });
  const oldest = meter.createObservableGauge('sluice_inference_queue_oldest_seconds', {
    description: 'How long the one has waited that came first, by priority',
  });
  const tenants = meter.createObservableGauge('sluice_inference_queue_tenants', {
    description: 'Tenants with requests that wait',
  });
  const departed = meter.createObservableCounter('sluice_inference_queue_departed', {
    description: 'Requests that left the queue for a run, by priority',
  });
  const waits = meter.createObservableCounter('sluice_inference_queue_wait_seconds', {
    description: 'Sum of their waits; divide by sluice_inference_queue_departed',
  });
  const refused = meter.createObservableCounter('sluice_inference_queue_refused', {
    description: 'Requests that found no place: overload of the version, overuse by their tenant, or evicted later on',
  });
  const expired = meter.createObservableCounter('sluice_inference_queue_expired', {
    description: 'Requests whose time was over before they ran',
  });
  const rate = meter.createObservableGauge('sluice_inference_drain_requests_per_second', {
    description: 'Requests answered per second while there was work, over about ten seconds of it',
  });
  meter.addBatchObservableCallback(
    (result) => {
      const nowMs = service.nowMs();
      for (const { version, batcher } of service.lanes.all) {
        const labels = { model: version.model, version: version.version };
        const { queue, totals, drain } = batcher;
        totals.waits.forEach(({ requests, waitMs }, index) => {
          const priority = index + 1;
          const own = { ...labels, priority: String(priority) };
          result.observe(waiting, queue.waitingAt(priority), own);
          result.observe(oldest, (nowMs - (queue.oldestAt(priority) ?? nowMs)) / 1_000, own);
          result.observe(departed, requests, own);
          result.observe(waits, waitMs / 1_000, own);
        });
        result.observe(tenants, queue.tenantCount, labels);
        result.observe(refused, totals.refused.overload, { ...labels, reason: 'overload' });
        result.observe(refused, totals.refused.overuse, { ...labels, reason: 'overuse' });
        result.observe(refused, totals.evicted, { ...labels, reason: 'evicted' });
        result.observe(expired, totals.expired, labels);
        result.observe(rate, drain.perSecond(nowMs) ?? 0, labels);
      }
    },
    [waiting, oldest, tenants, departed, waits, refused, expired, rate],
  );
}

function registerCaches(meter: Meter, service: InferenceService): void {
  const lookups = meter.createObservableCounter('sluice_inference_cache_lookups', {
    description: 'Requests to versions with a response cache, by result (hit, miss)',
  });
  const bytes = meter.createObservableGauge('sluice_inference_cache_bytes', { unit: 'bytes' });
  const entries = meter.createObservableGauge('sluice_inference_cache_entries', { description: 'Stored answers' });
  meter.addBatchObservableCallback(
    (result) => {
      for (const { version, cache, statistics } of service.lanes.all) {
        if (cache === undefined) continue;
        const labels = { model: version.model, version: version.version };
        result.observe(lookups, statistics.cacheHit.count, { ...labels, result: 'hit' });
        result.observe(lookups, statistics.cacheMiss.count, { ...labels, result: 'miss' });
        result.observe(bytes, cache.bytes, labels);
        result.observe(entries, cache.entries, labels);
      }
    },
    [lookups, bytes, entries],
  );
}

function registerQuarantine(meter: Meter, { quarantine }: InferenceService): void {
  const inputs = meter.createObservableGauge('sluice_inference_quarantine_inputs', {
    description: 'Inputs that are refused because they killed replicas',
  });
  const added = meter.createObservableCounter('sluice_inference_quarantine_added', {
    description: 'Inputs that this process found to kill replicas',
  });
  const refused = meter.createObservableCounter('sluice_inference_quarantine_refused', {
    description: 'Requests refused for such an input',
  });
  meter.addBatchObservableCallback(
    (result) => {
      result.observe(inputs, quarantine.size);
      result.observe(added, quarantine.totals.quarantined);
      result.observe(refused, quarantine.totals.refused);
    },
    [inputs, added, refused],
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
