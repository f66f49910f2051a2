import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import type { Clock } from '#libs/kernel';
import { arbitraryTensor } from '../../../test/support/arbitrary-tensor.js';
import { freshDatabase } from '../../../test/support/database.js';
import { ScriptedReplica } from '../../../test/support/scripted-replica.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { InferenceService, type InferProtocol } from '../service/inference-service.js';
import { OutcomeCounters } from '../records/outcome-counters.js';
import type { RequestRecord } from '../records/request-record.js';
import { VersionStatistics } from '../service/version-statistics.js';
import { ResponseCache } from './response-cache.js';
import { ServingState } from '../routes/serving-state.js';
import { tensorsDigest } from '../tensors/tensor-digest.js';
import type { NumericData, Tensor } from '../tensors/tensor.js';

const log = pino({ level: 'silent' });
const x = (...values: number[]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [values.length, 1],
  data: Float32Array.from(values),
});

function made(settings: { maxBytes?: number; ttlSeconds?: number } = {}) {
  const time = { nowMs: 1 };
  const clock: Clock = { now: () => new Date(time.nowMs), monotonicMs: () => time.nowMs };
  return { time, cache: new ResponseCache('digest', settings, { clock, statistics: new VersionStatistics() }) };
}

it('gives equal keys to equal tensors alone', () => {
  const anyTensors = fc
    .integer({ min: 1, max: 3 })
    .chain((rows) => fc.array(arbitraryTensor('x', rows), { maxLength: 3 }));
  fc.assert(
    fc.property(anyTensors, anyTensors, (one, other) => {
      const copy = one.map((tensor) => ({ ...tensor, shape: [...tensor.shape], data: tensor.data.slice() }));
      expect(tensorsDigest('s', copy)).toBe(tensorsDigest('s', one));
      expect(tensorsDigest('t', one)).not.toBe(tensorsDigest('s', one));
      expect(tensorsDigest('s', other) === tensorsDigest('s', one)).toBe(plain(other) === plain(one));
    }),
  );
  const texts = (...data: string[]): Tensor[] => [{ name: 't', datatype: 'BYTES', shape: [2], data }];
  expect(tensorsDigest('', texts('ab', 'c'))).not.toBe(tensorsDigest('', texts('a', 'bc')));
});

/** What a tensor is, as text. */
function plain(tensors: readonly Tensor[]): string {
  const bits = ({ buffer, byteOffset, byteLength }: NumericData): string =>
    Buffer.from(buffer, byteOffset, byteLength).toString('hex');
  return JSON.stringify(
    tensors.map(({ data, ...rest }) => [rest, rest.datatype === 'BYTES' ? data : bits(data as NumericData)]),
  );
}

it('keeps callers apart by the name of the entry itself, however they are named', () => {
  const { cache } = made();
  const names = ['', 'a', '1:a', 'a1', '11', 'digest', 'adigest'];
  expect(new Set(names.map((caller) => cache.keyOf(caller, [x(1)]))).size).toBe(names.length);
});

it('forgets what was not used longest when it is full, by bytes, and never holds more', () => {
  const { cache } = made({ maxBytes: 8_192 });
  for (let value = 0; value < 50; value += 1) {
    cache.put(String(value), [x(value)]);
    expect(cache.get('0', 1)).toBeDefined();
    expect(cache.bytes).toBeLessThanOrEqual(8_192);
  }
  expect(cache.get('1', 1)).toBeUndefined();
  expect(cache.get('49', 1)).toBeDefined();
  cache.put('huge', [x(...new Array<number>(4_096).fill(1))]);
  expect(cache.get('huge', 1)).toBeUndefined();
});

it('forgets after its time', () => {
  const { time, cache } = made({ ttlSeconds: 60 });
  cache.put('k', [x(1)]);
  time.nowMs += 59_000;
  expect(cache.get('k', 1)).toBeDefined();
  time.nowMs += 2_000;
  expect(cache.get('k', 1)).toBeUndefined();
});

it('holds a copy, not the batch that the rows came from', () => {
  const { cache } = made();
  const batch = new Float32Array(100_000).fill(7);
  cache.put('k', [{ name: 'y', datatype: 'FP32', shape: [1, 1], data: batch.subarray(5, 6) }]);
  batch.fill(0);
  const [stored] = cache.get('k', 1)!;
  expect([stored!.data[0], (stored!.data as Float32Array).buffer.byteLength]).toEqual([7, 4]);
});

const numbers: InferProtocol = {
  bytesOf: (payload) => Buffer.byteLength(payload),
  stickyKeyOf: () => undefined,
  read: (body) => ({ inputs: [x(...(body as number[]))] }),
  write: ({ version, outputs }) => `${version}:${[...(outputs[0]!.data as Float32Array)].join(',')}`,
};

it('answers equal inputs of one key to one version without the model, and no other key of its tenant', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  const arms = [{ name: 'stable', version: '1', weight: 100 }];
  for (const version of ['1', '2']) {
    await rows.version('cached', version, { responseCache: {} });
    await rows.replica('cached', version);
  }
  await rows.version('plain', '1');
  await rows.replica('plain', '1');
  await rows.endpoint('cached', 'cached', arms);
  await rows.endpoint('plain', 'plain', arms);
  await using state = new ServingState({ database: db.database, log });
  await state.load();
  await using counters = new OutcomeCounters({ database: db.database, log });
  const records: RequestRecord[] = [];
  const runs: number[] = [];
  const model = ([input]: readonly Tensor[]): Tensor[] => {
    runs.push(...(input!.data as Float32Array));
    return [{ ...input!, name: 'y', data: (input!.data as Float32Array).map((value) => value + 1) }];
  };
  await using service = new InferenceService({
    state,
    counters,
    log,
    recorder: { record: (record) => records.push(record) },
    openReplica: ({ id }) => new ScriptedReplica(id, model),
  });
  await vi.waitFor(() => expect(service.isReady).toBe(true));
  const ask = async (endpoint: string, keyId: string, ...body: number[]): Promise<string> => {
    const asked = { endpoint, body, protocol: numbers, bytesIn: 8, requestId: randomUUID(), keyId, tenant: 't' };
    const { payload, isCached, error } = await service.infer(asked);
    return `${payload ?? error!.code}${isCached === true ? ' from the cache' : ''}`;
  };
  expect(await ask('cached', 'a', 5)).toBe('1:6');
  expect(await ask('cached', 'a', 5)).toBe('1:6 from the cache');
  expect(await ask('cached', 'b', 5)).toBe('1:6');
  expect(await ask('cached', 'a', 5, 5)).toBe('1:6,6');
  expect(await ask('plain', 'a', 5)).toBe('1:6');
  expect(await ask('plain', 'a', 5)).toBe('1:6');
  await rows.route('cached', [{ name: 'stable', version: '2', weight: 100 }]);
  await state.load();
  await vi.waitFor(() => expect(service.isReady).toBe(true));
  expect(await ask('cached', 'a', 5)).toBe('2:6');
  expect(runs).toHaveLength(7);
  expect(records.map(({ status, rows: count }) => [status, count])).toEqual(
    [1, 1, 1, 2, 1, 1, 1].map((count) => [200, count]),
  );
  const [first] = [...counters.totals].filter(({ endpoint, version }) => endpoint === 'cached' && version === '1');
  expect(first!.outcomes).toMatchObject({ ok: 3, cached: 1 });
  expect(service.lanes.find('cached/1')?.statistics).toMatchObject({ cacheHit: { count: 1 }, cacheMiss: { count: 3 } });
});
