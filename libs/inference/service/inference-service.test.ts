import type { Tracer } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  AlwaysOffSampler,
  BasicTracerProvider,
} from '@opentelemetry/sdk-trace-base';
import { propagation } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { ScriptedReplica } from '../../../test/support/scripted-replica.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { InferenceService, type InferAsk, type InferProtocol } from './inference-service.js';
import { OutcomeCounters } from '../records/outcome-counters.js';
import { ReplicaFailure } from '../ports/replica.js';
import type { RequestRecord } from '../records/request-record.js';
import { ServingState } from '../routes/serving-state.js';
import { sluiceError } from '#libs/kernel';
import type { Tensor } from '../tensors/tensor.js';

const log = pino({ level: 'silent' });

/** Bodies are arrays of numbers; -1 makes the model fail, and a text is a mistake of the caller. */
const numbers: InferProtocol = {
  bytesOf: (payload) => Buffer.byteLength(payload),
  stickyKeyOf: () => undefined,
  read: (body) => {
    if (!Array.isArray(body)) throw sluiceError('SLU_INFERENCE_INPUT', { field: 'body', problem: 'must be numbers' });
    return {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [body.length, 1], data: Float32Array.from(body as number[]) }],
    };
  },
  write: ({ version, outputs }) => `${version}:${[...(outputs[0]!.data as Float32Array)].join(',')}`,
};

const plusOne = ([input]: readonly Tensor[]): Tensor[] => {
  const data = input!.data as Float32Array;
  if (data.includes(-1)) throw new ReplicaFailure('model', 'negative');
  return [{ name: 'y', datatype: 'FP32', shape: input!.shape, data: data.map((value) => value + 1) }];
};

async function serve(db: FreshDatabase, more: { tracer?: Tracer; ticks?: number; random?: () => number } = {}) {
  const rows = new ServingRowsWriter(db.database);
  for (const version of ['1', '2', '3']) await rows.version('tone', version);
  await rows.endpoint('tone', 'tone', [
    { name: 'stable', version: '1', weight: 50 },
    { name: 'candidate', version: '2', weight: 50 },
  ]);
  for (const version of ['1', '2']) await rows.replica('tone', version);
  const state = new ServingState({ database: db.database, log });
  await state.load();
  const records: RequestRecord[] = [];
  const counters = new OutcomeCounters({ database: db.database, log });
  const replicas: ScriptedReplica[] = [];
  const service = new InferenceService({
    state,
    counters,
    log,
    recorder: { record: (record) => records.push(record) },
    openReplica: ({ id }) => {
      const replica = new ScriptedReplica(id, plusOne, () => ({ ticks: more.ticks ?? 0 }));
      replicas.push(replica);
      return replica;
    },
    ...(more.tracer && { tracer: more.tracer }),
    ...(more.random && { random: more.random }),
  });
  await vi.waitFor(() => expect(service.isReady).toBe(true));
  const ask = (body: unknown, part: Partial<InferAsk> = {}) =>
    service.infer({
      endpoint: 'tone',
      body,
      protocol: numbers,
      bytesIn: 8,
      requestId: randomUUID(),
      keyId: 'k',
      ...part,
    });
  return {
    service,
    state,
    rows,
    records,
    counters,
    replicas,
    ask,
    [Symbol.asyncDispose]: async () => {
      await service[Symbol.asyncDispose]();
      await counters[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
    },
  };
}

it('answers with the arm that chance or the sticky key draws, and records what it was', async () => {
  await using db = await freshDatabase();
  let chance = 0.1;
  await using served = await serve(db, { random: () => chance });
  expect(await served.ask([1, 2])).toMatchObject({
    payload: '2:2,3',
    version: '2',
    arm: 'candidate',
    error: undefined,
  });
  chance = 0.9;
  expect(await served.ask([1])).toMatchObject({ payload: '1:2', version: '1', arm: 'stable' });
  const sticky = await Promise.all(Array.from({ length: 20 }, () => served.ask([1], { stickyKey: 'ann' })));
  expect(new Set(sticky.map(({ arm }) => arm)).size).toBe(1);
  expect(served.records[0]).toMatchObject({
    endpoint: 'tone',
    model: 'tone',
    version: '2',
    arm: 'candidate',
    revision: 1,
    status: 200,
    rows: 2,
    bytesIn: 8,
    bytesOut: 5,
    keyId: 'k',
  });
  expect(served.records[0]!.totalMs).toBeGreaterThanOrEqual(served.records[0]!.modelMs);
});

it('follows a new route without losing a request', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db);
  const before = Array.from({ length: 30 }, () => served.ask([1]));
  await served.rows.route('tone', [{ name: 'stable', version: '1', weight: 100 }]);
  await served.state.load();
  const after = await Promise.all(Array.from({ length: 30 }, () => served.ask([1])));
  expect((await Promise.all(before)).every(({ error }) => error === undefined)).toBe(true);
  expect(new Set(after.map(({ arm }) => arm))).toEqual(new Set(['stable']));
  expect(served.records.at(-1)?.revision).toBe(2);
});

it('answers for a version that is named while it is ready and part of the route, apart from the arms', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db);
  expect(await served.ask([1], { version: '2' })).toMatchObject({ payload: '2:2', arm: 'pinned' });
  expect((await served.ask([1], { version: '9' })).error?.code).toBe('SLU_MODEL_VERSION_UNKNOWN');
  expect((await served.ask([1], { version: '3' })).error?.code).toBe('SLU_MODEL_VERSION_UNKNOWN');
  await db.database.query(`UPDATE replicas SET state = 'stopped', ended_at = now() WHERE version = '2'`);
  await served.state.load();
  expect((await served.ask([1], { version: '2' })).error?.code).toBe('SLU_INFERENCE_NOT_READY');
});

it('counts a failure of the model against its arm, and records but does not count a mistake of the caller', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db, { random: () => 0.1 });
  const [good, failed, mistaken, unknown] = await Promise.all([
    served.ask([1]),
    served.ask([-1]),
    served.ask('text'),
    served.ask([1], { endpoint: 'Nobody Here' }),
  ]);
  expect(good.payload).toBe('2:2');
  expect(failed.error?.code).toBe('SLU_INFERENCE_MODEL_FAILED');
  expect(mistaken).toMatchObject({ arm: 'candidate', error: { code: 'SLU_INFERENCE_INPUT' } });
  expect(unknown.error?.code).toBe('SLU_ENDPOINT_UNKNOWN');
  expect([...served.counters.totals].map(({ outcomes }) => outcomes)).toEqual([
    { ok: 1, cached: 0, caller: 1, model: 1, overload: 0 },
  ]);
  expect(served.records.map(({ status, errorCode, endpoint }) => [status, errorCode, endpoint]).sort()).toEqual([
    [200, undefined, 'tone'],
    [400, 'SLU_INFERENCE_INPUT', 'tone'],
    [404, 'SLU_ENDPOINT_UNKNOWN', '-'],
    [500, 'SLU_INFERENCE_MODEL_FAILED', 'tone'],
  ]);
});

it('answers for an endpoint that the caller may not know of as for one that there is not, also when a version is named', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db);
  const visible = new Set(['other']);
  expect((await served.ask([1], { visible: new Set(['tone']) })).error).toBeUndefined();
  for (const version of [undefined, '1', '99']) {
    const [hidden, absent] = await Promise.all([
      served.ask([1], { version, visible }),
      served.ask([1], { version, visible: new Set(['absent']), endpoint: 'absent' }),
    ]);
    expect(hidden.error).toMatchObject({ code: 'SLU_ENDPOINT_UNKNOWN', message: 'there is no endpoint tone' });
    expect({ ...hidden, error: 0, traceparent: 0 }).toEqual({ ...absent, error: 0, traceparent: 0 });
    expect(absent.error).toMatchObject({ code: 'SLU_ENDPOINT_UNKNOWN', message: 'there is no endpoint absent' });
  }
});

it('tells of our own failure without its inside', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db);
  const broken: InferProtocol = {
    ...numbers,
    write: () => {
      throw new Error('inside');
    },
  };
  const { error } = await served.ask([1], { protocol: broken });
  expect([error?.code, error?.message.includes('inside')]).toEqual(['SLU_INTERNAL', false]);
});

it('goes on without PostgreSQL', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db);
  await db.takeAway();
  await served.state.load();
  expect((await served.ask([1])).error).toBeUndefined();
  await db.giveBack();
});

it('refuses new requests while draining and lets those in flight finish', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db, { ticks: 20 });
  const inFlight = Array.from({ length: 10 }, () => served.ask([1]));
  let isDrained = false;
  const drained = served.service.drain().then(() => (isDrained = true));
  const refused = await served.ask([1]);
  expect(refused.error).toMatchObject({ code: 'SLU_INFERENCE_DRAINING', retryAfterSeconds: 2 });
  expect([isDrained, served.service.isReady]).toEqual([false, false]);
  expect((await Promise.all(inFlight)).every(({ error }) => error === undefined)).toBe(true);
  await drained;
  expect(served.service.inFlight).toBe(0);
});

it('is not ready before a replica of each arm has answered', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db);
  await served.rows.route('tone', [
    { name: 'stable', version: '1', weight: 50 },
    { name: 'candidate', version: '3', weight: 50 },
  ]);
  await served.state.load();
  expect(served.service.isReady).toBe(false);
  await served.rows.replica('tone', '3');
  await served.state.load();
  await vi.waitFor(() => expect(served.service.isReady).toBe(true));
});

it('traces a sampled request through its batch to the replica, and spends no span on others', async () => {
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    sampler: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  await using db = await freshDatabase();
  await using served = await serve(db, { tracer: provider.getTracer('test'), random: () => 0.1 });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const [traced, silent, plain] = await Promise.all([
    served.ask([1], { traceparent: `00-${traceId}-b7ad6b7169203331-01` }),
    served.ask([2], { traceparent: `00-${'1'.repeat(32)}-b7ad6b7169203331-00` }),
    served.ask([3], { requestId: '12345678-1234-4123-8123-123456789abc' }),
  ]);
  const spans = exporter.getFinishedSpans();
  expect(spans.map(({ name }) => name).sort()).toEqual(['batch', 'infer']);
  const infer = spans.find(({ name }) => name === 'infer')!;
  const batch = spans.find(({ name }) => name === 'batch')!;
  expect(infer.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
  expect(batch.links.map(({ context }) => context.spanId)).toEqual([infer.spanContext().spanId]);
  expect(traced.traceparent).toBe(`00-${traceId}-${infer.spanContext().spanId}-01`);
  expect(silent.traceparent).toBe(`00-${'1'.repeat(32)}-b7ad6b7169203331-00`);
  expect(plain.traceparent).toBe('00-12345678123441238123123456789abc-8123123456789abc-00');
  expect(served.replicas.flatMap(({ calls }) => calls).map(({ traceparent }) => traceparent)).toContain(
    `00-${traceId}-${batch.spanContext().spanId}-01`,
  );
  expect(served.records.filter((record) => record.traceId !== undefined).map((record) => record.traceId)).toEqual([
    traceId,
  ]);
});

it('counts requests, rows, runs and their times for the statistics of the protocol, exactly', async () => {
  await using db = await freshDatabase();
  await using served = await serve(db, { random: () => 0.9, ticks: 3 });
  // Together they are one run of six rows; alone, one of three; the last two fail before a run and in it.
  await Promise.all([served.ask([1]), served.ask([2, 3]), served.ask([4, 5, 6])]);
  await served.ask([7, 8, 9]);
  await served.ask('text');
  await served.ask([-1]);
  const found = served.service.statistics.find('tone/1')!;
  expect(found).toMatchObject({
    inferenceCount: 9,
    executionCount: 2,
    success: { count: 4 },
    fail: { count: 2 },
    queue: { count: 4 },
    computeInput: { count: 4 },
    computeInfer: { count: 4 },
    computeOutput: { count: 4 },
  });
  expect([...found.batches].map(([rows, { computeInfer }]) => [rows, computeInfer.count])).toEqual([
    [6, 1],
    [3, 1],
  ]);
  const parts = [found.queue, found.computeInput, found.computeInfer, found.computeOutput];
  const sum = parts.reduce((ms, part) => ms + part.ms, 0);
  expect(sum).toBeGreaterThan(0);
  expect(sum).toBeLessThanOrEqual(found.success.ms);
  expect(Date.now() - found.lastInferenceMs).toBeLessThan(60_000);
  expect(served.service.statistics.find('tone/2')).toMatchObject({ inferenceCount: 0, lastInferenceMs: 0 });
});
