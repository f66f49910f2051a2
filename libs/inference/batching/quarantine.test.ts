import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { sluiceError, type Clock } from '#libs/kernel';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { MortalReplica } from '../../../test/support/mortal-replica.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { OipReplica } from '../adapters/oip/oip-replica.js';
import { InferenceService, type InferProtocol } from '../service/inference-service.js';
import { OutcomeCounters } from '../records/outcome-counters.js';
import { QuarantineLedger } from './quarantine-ledger.js';
import { Quarantine, type QuarantinedInput } from './quarantine.js';
import { servedVersion } from '../routes/route-table.js';
import { ServingState } from '../routes/serving-state.js';
import type { Tensor } from '../tensors/tensor.js';

const log = pino({ level: 'silent' });
const deadly = 666;

/** Bodies are arrays of numbers. */
const numbers: InferProtocol = {
  bytesOf: (payload) => Buffer.byteLength(payload),
  stickyKeyOf: () => undefined,
  read: (body) => ({ inputs: [x(body as number[])] }),
  write: ({ outputs }) => [...(outputs[0]!.data as Float32Array)].join(','),
};
const x = (values: number[]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [values.length, 1],
  data: Float32Array.from(values),
});

/** Two replicas in processes of their own, and one API process before them. */
async function serve(db: FreshDatabase) {
  const rows = new ServingRowsWriter(db.database);
  await rows.version('mortal', '1');
  await rows.endpoint('mortal', 'mortal', [{ name: 'stable', version: '1', weight: 100 }]);
  const replicas = new Map<string, MortalReplica>();
  for (let count = 0; count < 2; count += 1)
    replicas.set(await rows.replica('mortal', '1'), await MortalReplica.start());
  const state = new ServingState({ database: db.database, log });
  await state.load();
  const counters = new OutcomeCounters({ database: db.database, log });
  const ledger = new QuarantineLedger({ database: db.database, log });
  const service = new InferenceService({
    state,
    counters,
    log,
    recorder: { record: () => undefined },
    quarantine: ledger.quarantine,
    openReplica: (place) => new OipReplica({ ...place, address: replicas.get(place.id)!.address }),
  });
  const allUp = (): Promise<void> =>
    vi.waitFor(() => expect(service.lanes.find('mortal/1')?.pool.upCount).toBe(2), { timeout: 20_000 });
  await allUp();
  const ask = async (...body: number[]): Promise<string> => {
    const requestId = randomUUID();
    const { error, payload } = await service.infer({
      endpoint: 'mortal',
      body,
      protocol: numbers,
      bytesIn: 8,
      requestId,
    });
    return error?.code ?? payload!;
  };
  const deaths = (): number => [...replicas.values()].reduce((sum, replica) => sum + replica.deaths, 0);
  return {
    ask,
    allUp,
    deaths,
    ledger,
    replicas: [...replicas.values()],
    [Symbol.asyncDispose]: async () => {
      await service[Symbol.asyncDispose]();
      await ledger[Symbol.asyncDispose]();
      await counters[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
      for (const replica of replicas.values()) await replica[Symbol.asyncDispose]();
    },
  };
}

describe('an input that kills its model server', () => {
  it('is refused after two deaths before it reaches a third, in every process, until an operator lifts it', async () => {
    await using db = await freshDatabase();
    await using served = await serve(db);
    expect(await served.ask(1, 2)).toBe('2,3');
    expect(await served.ask(deadly)).toBe('SLU_INFERENCE_REPLICA_LOST');
    await served.allUp();
    expect(served.deaths()).toBe(2);
    expect(await served.ask(deadly)).toBe('SLU_INFERENCE_QUARANTINED');
    expect(await served.ask(1, 2)).toBe('2,3');
    expect(served.deaths()).toBe(2);

    await served.ledger.settled();
    await using other = new QuarantineLedger({ database: db.database, log });
    await other.settled();
    const [known] = await other.list();
    expect(known).toMatchObject({ model: 'mortal', version: '1', deaths: 2 });
    expect(JSON.stringify(known)).not.toContain(String(deadly));
    expect(other.quarantine.size).toBe(1);

    await other.lift(known!.digest, 'key:someone', 'r');
    await served.ledger.settled();
    expect([other.quarantine.size, served.ledger.quarantine.size]).toEqual([0, 0]);
    await expect(other.lift(known!.digest, 'key:someone')).rejects.toMatchObject({ code: 'SLU_QUARANTINE_UNKNOWN' });
    expect(await served.ask(deadly)).toBe('SLU_INFERENCE_REPLICA_LOST');
    await vi.waitFor(() => expect(served.deaths()).toBe(4));
    const audited = await db.database.query<{ actor: string; action: string; resource: string }>(
      `SELECT actor, action, resource FROM audit_events WHERE action LIKE 'quarantine.%' ORDER BY seq`,
    );
    const resource = `quarantine:${known!.digest}`;
    expect(audited.slice(0, 2)).toEqual([
      { actor: 'system', action: 'quarantine.add', resource },
      { actor: 'key:someone', action: 'quarantine.lift', resource },
    ]);
  });

  it('is found among others in its batch, which are answered', async () => {
    await using db = await freshDatabase();
    await using served = await serve(db);
    const round = () => Promise.all([...Array(20).keys()].map((at) => served.ask(at === 7 ? deadly : at)));
    const expected = [...Array(20).keys()].map((at) => String(at + 1));
    for (const code of ['SLU_INFERENCE_REPLICA_LOST', 'SLU_INFERENCE_REPLICA_LOST', 'SLU_INFERENCE_QUARANTINED']) {
      expect(await round()).toEqual(expected.with(7, code));
      await served.allUp();
    }
    // Two deaths that it had for itself, and two that it shared with its batch.
    expect(served.deaths()).toBe(4);
  });

  it('is not an input whose server was killed from outside', async () => {
    await using db = await freshDatabase();
    await using served = await serve(db);
    for (let count = 0; count < 4; count += 1) {
      const asked = [...Array(5).keys()].map(() => served.ask(5));
      served.replicas[count % 2]!.kill();
      for (const answer of await Promise.all(asked)) expect(answer).toBe('6');
      await vi.waitFor(() => expect(served.deaths()).toBe(count + 1), { timeout: 20_000 });
      await served.replicas[count % 2]!.up;
      await served.allUp();
    }
    expect(served.ledger.quarantine.size).toBe(0);
  });
});

describe('the quarantine of one process', () => {
  const version = servedVersion(
    {
      schemaVersion: 1,
      name: 'm',
      version: '1',
      format: 'onnx',
      files: [],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
    },
    'd',
  );
  function madeAt(nowMs = 0) {
    const time = { nowMs };
    const clock: Clock = { now: () => new Date(time.nowMs), monotonicMs: () => time.nowMs };
    const told: QuarantinedInput[] = [];
    const quarantine = new Quarantine({ clock, log, onQuarantined: (input) => told.push(input) });
    const isRefused = (values: number[], of = version): boolean => {
      try {
        quarantine.check(of, [x(values)]);
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: sluiceError('SLU_INFERENCE_QUARANTINED').code, status: 422 });
        return true;
      }
    };
    const kill = (values: number[], of = version): void => quarantine.judge(of, [x(values)], true);
    return { time, quarantine, told, isRefused, kill };
  }

  it('forgives a death when the input is answered before it kills again', () => {
    const { quarantine, kill, isRefused } = madeAt();
    kill([1]);
    quarantine.judge(version, [x([1])], false);
    kill([1]);
    expect(isRefused([1])).toBe(false);
    kill([1]);
    expect([isRefused([1]), isRefused([1, 1]), isRefused([2])]).toEqual([true, false, false]);
  });

  it('does not add up deaths that are far apart, and lets in again when the time is over', () => {
    const { time, kill, isRefused } = madeAt();
    kill([1]);
    time.nowMs = 601_000;
    kill([1]);
    expect(isRefused([1])).toBe(false);
    kill([1]);
    expect(isRefused([1])).toBe(true);
    time.nowMs += 3_599_000;
    expect(isRefused([1])).toBe(true);
    time.nowMs += 2_000;
    expect(isRefused([1])).toBe(false);
  });

  it('keeps versions apart, and leaves remote models alone', () => {
    const { told, kill, isRefused } = madeAt();
    const other = { ...version, key: 'm/2', version: '2' };
    const remote = { ...version, key: 'm/3', version: '3', format: 'remote' as const };
    for (const each of [version, version, remote, remote, remote]) kill([1], each);
    expect([isRefused([1]), isRefused([1], other), isRefused([1], remote)]).toEqual([true, false, false]);
    expect(told.map(({ version: name, deaths }) => [name, deaths])).toEqual([['1', 2]]);
  });

  it('stays small whatever is made up to fill it', () => {
    const { quarantine, kill } = madeAt();
    for (let value = 0; value < 3_000; value += 1) for (let death = 0; death < 2; death += 1) kill([value]);
    expect(quarantine.size).toBe(1_000);
  });
});

it('goes on in one process while PostgreSQL is away, and tells the others when it is back', async () => {
  await using db = await freshDatabase();
  await using ledger = new QuarantineLedger({ database: db.database, log });
  await db.takeAway();
  const version = { key: 'm/1', model: 'm', version: '1', contentDigest: 'd', format: 'onnx' } as never;
  for (let death = 0; death < 2; death += 1) ledger.quarantine.judge(version, [x([1])], true);
  await ledger.settled();
  expect(ledger.quarantine.size).toBe(1);
  await db.giveBack();
  await vi.waitFor(async () => {
    await ledger.settled();
    expect(await ledger.list()).toHaveLength(1);
  });
  expect(ledger.quarantine.size).toBe(1);
});
