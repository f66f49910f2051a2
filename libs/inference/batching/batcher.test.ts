import { SluiceError, systemClock } from '#libs/kernel';
import fc from 'fast-check';
import pino from 'pino';
import { setImmediate as tick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ScriptedReplica, type ScriptedCall } from '../../../test/support/scripted-replica.js';
import { plainRules } from '../../../test/support/virtual-lane.js';
import { CallerPresence } from './batcher-caller.js';
import { plainKey, type BatchAnswer, type BatchRequest } from './batcher-request.js';
import { Batcher, type BatcherSettings } from './batcher.js';
import { ReplicaFailure } from '../ports/replica.js';
import { ReplicaPool } from '../replicas/replica-pool.js';
import type { SchedulingRules } from './scheduling-rules.js';
import { stackKey, type Tensor } from '../tensors/tensor.js';

const log = pino({ level: 'silent' });
const poison = -1;

/** Twice and one more of each value; a poisoned value fails the whole run, as in a real model. */
function double([input]: readonly Tensor[]): Tensor[] {
  const values = input!.data as Float32Array;
  if (values.includes(poison)) throw new ReplicaFailure('model', 'a value is out of range');
  return [{ name: 'y', datatype: 'FP32', shape: input!.shape, data: values.map((value) => value * 2 + 1) }];
}

function tensor(values: number[], width = 1): Tensor {
  return { name: 'x', datatype: 'FP32', shape: [values.length / width, width], data: Float32Array.from(values) };
}

function asking(values: number[], more: Partial<BatchRequest> = {}): BatchRequest {
  const inputs = [tensor(values)];
  return {
    endpoint: 'e',
    tenant: 't',
    key: 'k',
    priority: 1,
    inputs,
    rows: values.length,
    bytes: values.length * 4,
    timeoutMs: 60_000,
    stackKey: plainKey,
    ...more,
  };
}

async function bench(
  replicas: ScriptedReplica[],
  { rules: own, ...settings }: Partial<Omit<BatcherSettings, 'rules'>> & { rules?: Partial<SchedulingRules> } = {},
  runsPerReplica = 2,
) {
  const pool = new ReplicaPool({
    open: ({ id }) => replicas.find((replica) => replica.id === id)!,
    log,
    clock: systemClock,
    runsPerReplica,
    probeEveryMs: 1,
    onRoom: () => batcher.dispatchSoon(),
  });
  const batcher = new Batcher({
    version: '1',
    rules: { ...plainRules, ...own },
    pool,
    clock: systemClock,
    log,
    maxQueuedBytes: 1_000_000,
    replicaWaitMs: 5_000,
    ...settings,
  });
  const follow = (ids: string[], desired = ids.length): void =>
    pool.follow({
      desired,
      newest: undefined,
      places: ids.map((id) => ({
        id,
        address: `unix:/${id}`,
        model: 'm',
        version: '1',
        state: 'ready',
        reason: null,
        startedAt: new Date(),
        endedAt: null,
      })),
    });
  follow(replicas.map(({ id }) => id));
  await until(() => pool.upCount === replicas.length);
  return { pool, batcher, follow, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}

// Turns of the event loop, not time: what is waited for happens in memory.
async function until(isTrue: () => boolean): Promise<void> {
  for (let turns = 0; !isTrue(); turns += 1) {
    if (turns > 100_000) throw new Error('this never becomes true');
    await tick();
  }
}

const valuesOf = (answer: BatchAnswer): number[] => [...(answer.outputs[0]!.data as Float32Array)];
const codeOf = (reason: unknown): string => (reason instanceof SluiceError ? reason.code : String(reason));

it('gives each caller its own rows, once, whatever is batched, cancelled, lost or broken around it', async () => {
  const request = fc.record({
    rows: fc.integer({ min: 1, max: 12 }),
    kind: fc.constantFrom('good', 'good', 'good', 'good', 'poison', 'wide'),
    gapTicks: fc.nat(3),
    cancelAfterTicks: fc.option(fc.nat(6), { nil: undefined, freq: 6 }),
  });
  const call = fc.record({
    ticks: fc.nat(4),
    fault: fc.constantFrom<ScriptedCall['fault'][]>('none', 'none', 'none', 'none', 'none', 'none', 'lost'),
    deadTicks: fc.nat(8),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 40 }),
      fc.array(call, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 3 }),
      async (requests, calls, replicaCount) => {
        let made = 0;
        // Faults come to an end, so that every request can be answered at last.
        const script = (): ScriptedCall => calls[made++] ?? {};
        const replicas = Array.from(
          { length: replicaCount },
          (_, index) => new ScriptedReplica(`r${index}`, double, script),
        );
        await using built = await bench(replicas);
        const answers = requests.map(async ({ rows, kind, cancelAfterTicks }, index) => {
          for (const { gapTicks } of requests.slice(0, index + 1))
            for (let count = 0; count < gapTicks; count += 1) await tick();
          const width = kind === 'wide' ? 2 : 1;
          const values = Array.from({ length: rows * width }, (_, at) => index * 100 + at);
          const sent = kind === 'poison' ? [...values.slice(1), poison] : values;
          const inputs = [tensor(sent, width)];
          const caller = new CallerPresence();
          const answered = built.batcher.submit({
            endpoint: 'e',
            tenant: 't',
            key: 'k',
            priority: 1,
            inputs,
            rows,
            bytes: 1,
            timeoutMs: 60_000,
            stackKey: stackKey(inputs),
            caller,
          });
          if (cancelAfterTicks !== undefined) void leaveAfter(caller, cancelAfterTicks);
          const outcome = await answered.then(valuesOf, codeOf);
          return { index, kind, values, isCancelled: cancelAfterTicks !== undefined, outcome };
        });
        for (const { index, kind, values, isCancelled, outcome } of await Promise.all(answers)) {
          if (outcome === 'SLU_REQUEST_ABANDONED') expect(isCancelled).toBe(true);
          else if (outcome === 'SLU_INFERENCE_REPLICA_LOST')
            expect(lossesOf(replicas, index)).toBeGreaterThanOrEqual(2);
          else if (kind === 'poison') expect(outcome).toBe('SLU_INFERENCE_MODEL_FAILED');
          else expect(outcome).toEqual(values.map((value) => value * 2 + 1));
        }
        expect(built.batcher.queuedRequests).toBe(0);
        expect(built.batcher.queuedBytes).toBe(0);
        await until(() => built.batcher.isIdle);
        expect(built.pool.runningCount).toBe(0);
      },
    ),
    { numRuns: 1_000 },
  );
}, 60_000);

async function leaveAfter(caller: CallerPresence, ticks: number): Promise<void> {
  for (let count = 0; count < ticks; count += 1) await tick();
  caller.leave();
}

// A request that failed as lost has been sent at least twice.
function lossesOf(replicas: readonly ScriptedReplica[], index: number): number {
  const isOwn = (value: number): boolean => value >= index * 100 && value < (index + 1) * 100;
  const hasOwn = (data: Float32Array): boolean => data.some(isOwn) || data.includes(poison);
  return replicas.flatMap(({ attempts }) => attempts).filter(([input]) => hasOwn(input!.data as Float32Array)).length;
}

it('sends requests that arrive together as one run, and a larger one alone', async () => {
  const replica = new ScriptedReplica('r', double);
  await using built = await bench([replica]);
  const answers = await Promise.all(
    [[1], [2, 3], [4], Array.from({ length: 20 }, (_, at) => 10 + at), [5]].map((values) =>
      built.batcher.submit(asking(values)),
    ),
  );
  expect(answers.map(valuesOf)[1]).toEqual([5, 7]);
  expect(replica.runs.map(([input]) => input!.shape[0])).toEqual([4, 20, 1]);
});

it('finds the one guilty request among many in few runs', async () => {
  const replica = new ScriptedReplica('r', double);
  await using built = await bench([replica], { rules: { maxRows: 64 } });
  const outcomes = await Promise.all(
    Array.from({ length: 64 }, (_, index) =>
      built.batcher.submit(asking([index === 37 ? poison : index])).then(valuesOf, codeOf),
    ),
  );
  expect(outcomes.filter((outcome) => outcome === 'SLU_INFERENCE_MODEL_FAILED')).toHaveLength(1);
  expect(outcomes[37]).toBe('SLU_INFERENCE_MODEL_FAILED');
  expect(replica.runs.length).toBeLessThanOrEqual(1 + 2 * 4 + 4);
});

it('lets only the request fail that kills every replica it meets', async () => {
  const killer = 666;
  const replicas = ['a', 'b'].map((id) => {
    const replica: ScriptedReplica = new ScriptedReplica(id, ([input]) => {
      if ((input!.data as Float32Array).includes(killer)) {
        replica.die(5);
        throw new ReplicaFailure('lost', 'crashed');
      }
      return double([input!]);
    });
    return replica;
  });
  await using built = await bench(replicas);
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      built.batcher.submit(asking([index === 11 ? killer : index])).then(valuesOf, codeOf),
    ),
  );
  expect(outcomes[11]).toBe('SLU_INFERENCE_REPLICA_LOST');
  expect(outcomes.filter((outcome) => typeof outcome === 'string')).toHaveLength(1);
  const meetings = replicas
    .flatMap(({ runs }) => runs)
    .filter(([input]) => (input!.data as Float32Array).includes(killer));
  expect(meetings).toHaveLength(2);
});

it('runs each request of a model alone whose first size is not the batch', async () => {
  const replica = new ScriptedReplica('r', double);
  await using built = await bench([replica]);
  const answers = await Promise.all(
    [1, 2, 3].map((value) => built.batcher.submit(asking([value], { stackKey: undefined }))),
  );
  expect(answers.map(valuesOf)).toEqual([[3], [5], [7]]);
  expect(replica.runs.map(([input]) => input!.shape[0])).toEqual([1, 1, 1]);
});

it('stops stacking for a model that does not keep rows, and still answers nobody with rows of another', async () => {
  const first = ([input]: readonly Tensor[]): Tensor[] =>
    double([{ ...input!, shape: [1, 1], data: (input!.data as Float32Array).slice(0, 1) }]);
  const replica = new ScriptedReplica('r', first);
  await using built = await bench([replica]);
  const ask = () => Promise.all([1, 2, 3].map((value) => built.batcher.submit(asking([value])).then(valuesOf, codeOf)));
  expect(await ask()).toEqual([[3], [5], [7]]);
  const runsBefore = replica.runs.length;
  expect(await ask()).toEqual([[3], [5], [7]]);
  expect(replica.runs.length - runsBefore).toBe(3);
});

it('refuses what the queue cannot hold, and says when to come again', async () => {
  const replica = new ScriptedReplica('r', double, () => ({ ticks: 20 }));
  await using built = await bench([replica], { rules: { maxRequests: 3 }, maxQueuedBytes: 100 });
  const held = [1, 2, 3].map((value) => built.batcher.submit(asking([value])));
  await expect(built.batcher.submit(asking([4]))).rejects.toMatchObject({
    code: 'SLU_INFERENCE_QUEUE_FULL',
    retryAfterSeconds: 1,
  });
  await Promise.all(held);
  await expect(built.batcher.submit(asking([5], { bytes: 101 }))).rejects.toMatchObject({
    code: 'SLU_INFERENCE_QUEUE_FULL',
  });
});

it('ends a request at its time limit, in the queue as on a replica, and the late answer finds nobody', async () => {
  let nowMs = 0;
  const clock = { now: () => new Date(), monotonicMs: () => nowMs };
  const replica = new ScriptedReplica('r', double, () => ({ ticks: 30 }));
  await using built = await bench([replica], { clock, rules: { maxRows: 1 } }, 1);
  const running = built.batcher.submit(asking([1], { timeoutMs: 100 })).then(valuesOf, codeOf);
  const waiting = built.batcher.submit(asking([2], { timeoutMs: 100 })).then(valuesOf, codeOf);
  const patient = built.batcher.submit(asking([3], { timeoutMs: 10_000 })).then(valuesOf, codeOf);
  await until(() => replica.runs.length === 1);
  nowMs = 150;
  built.batcher.sweep();
  expect(await Promise.all([running, waiting])).toEqual(['SLU_INFERENCE_TIMEOUT', 'SLU_INFERENCE_TIMEOUT']);
  expect(await patient).toEqual([7]);
  expect(replica.runs).toHaveLength(2);
});

it('passes a replica timeout on as one', async () => {
  await using built = await bench([new ScriptedReplica('r', double, () => ({ fault: 'timeout' }))]);
  await expect(built.batcher.submit(asking([1]))).rejects.toMatchObject({ code: 'SLU_INFERENCE_TIMEOUT' });
});

it('waits for a replica that is to come, but not for one that nobody wants', async () => {
  const replica = new ScriptedReplica('r', double);
  await using built = await bench([replica]);
  built.follow([], 1);
  const waiting = built.batcher.submit(asking([1]));
  built.follow(['r']);
  expect(valuesOf(await waiting)).toEqual([3]);
  built.follow([], 0);
  await expect(built.batcher.submit(asking([1]))).rejects.toMatchObject({ code: 'SLU_INFERENCE_NOT_READY' });
});

it('gives up on a replica that does not come in time', async () => {
  let nowMs = 0;
  const clock = { now: () => new Date(), monotonicMs: () => nowMs };
  await using built = await bench([], { clock });
  built.follow([], 1);
  const waiting = built.batcher.submit(asking([1])).then(valuesOf, codeOf);
  // The pool tells the time by the real clock since it has been down; what counts is the later of the two.
  nowMs = systemClock.monotonicMs() + 4_000;
  built.batcher.sweep();
  expect(built.batcher.queuedRequests).toBe(1);
  nowMs += 2_000;
  built.batcher.sweep();
  expect(await waiting).toBe('SLU_INFERENCE_NOT_READY');
});

it('does not touch requests of a caller that has left', async () => {
  const replica = new ScriptedReplica('r', double);
  await using built = await bench([replica]);
  const caller = new CallerPresence();
  const gone = built.batcher.submit(asking([1], { caller })).then(valuesOf, codeOf);
  caller.leave();
  expect(await gone).toBe('SLU_REQUEST_ABANDONED');
  await expect(built.batcher.submit(asking([2], { caller }))).rejects.toMatchObject({ code: 'SLU_REQUEST_ABANDONED' });
  expect(valuesOf(await built.batcher.submit(asking([3])))).toEqual([7]);
  expect(replica.runs).toHaveLength(1);
});

it('lets a batch that is not full grow while the replica is busy', async () => {
  const replica = new ScriptedReplica('r', double, () => ({ ticks: 5 }));
  await using built = await bench([replica], { rules: { maxRows: 8 } });
  const answers = [];
  for (const value of [1, 2, 3, 4]) {
    answers.push(built.batcher.submit(asking([value])));
    await tick();
    await tick();
  }
  await Promise.all(answers);
  expect(replica.mostAtOnce).toBe(1);
  expect(replica.runs.length).toBeLessThan(4);
});

it('sends a full batch ahead to a busy replica to hide the way there, and no third one', async () => {
  const replica = new ScriptedReplica('r', double, () => ({ ticks: 3 }));
  await using built = await bench([replica], { rules: { maxRows: 1 } });
  await Promise.all([1, 2, 3, 4, 5, 6].map((value) => built.batcher.submit(asking([value]))));
  expect(replica.mostAtOnce).toBe(2);
});
