import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SluiceError } from '#libs/kernel';
import { VirtualLane, plainRules } from '../../../test/support/virtual-lane.js';
import type { VirtualCall, VirtualRun } from '../../../test/support/virtual-replica.js';
import { CallerPresence } from './batcher-caller.js';
import { ReplicaFailure } from '../ports/replica.js';
import type { SchedulingRules } from './scheduling-rules.js';
import { stackKey, type Tensor } from '../tensors/tensor.js';

const levels = 3;

/** Each value says whose it is: request 7 sends 700, 701, ... A poisoned one has a half on top. */
const ownerOf = (value: number): number => Math.floor(value / 100);
const answerTo = (value: number): number => value * 2 + 1;

function model([input]: readonly Tensor[]): Tensor[] {
  const values = input!.data as Float32Array;
  if (values.some((value) => value % 1 !== 0)) throw new ReplicaFailure('model', 'a value is out of range');
  return [{ name: 'y', datatype: 'FP32', shape: input!.shape, data: values.map(answerTo) }];
}

const anyRequest = fc.record({
  atMs: fc.nat(12),
  rows: fc.constantFrom(1, 1, 2, 3, 10),
  width: fc.constantFrom(1, 1, 1, 2),
  isPoisoned: fc.constantFrom(...Array<boolean>(9).fill(false), true),
  tenant: fc.constantFrom('a', 'a', 'a', 'b', 'c'),
  key: fc.constantFrom('k', 'k', 'l'),
  priority: fc.integer({ min: 1, max: levels }),
  timeoutMs: fc.constantFrom(3, 15, 60_000, 60_000, 60_000),
  cancelAfterMs: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(20) }),
});
type AnyRequest = typeof anyRequest extends fc.Arbitrary<infer T> ? T : never;

const anyCall = fc.record({
  runMs: fc.nat(8),
  fault: fc.constantFrom<VirtualCall['fault'][]>(...Array(8).fill('none'), 'lost', 'timeout', 'short'),
  deadMs: fc.nat(30),
});

const anyRules = fc.record({
  maxRows: fc.constantFrom(1, 4, 8, 16),
  preferredRows: fc.option(fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 2 }), {
    nil: undefined,
  }),
  maxDelayMs: fc.constantFrom(0, 0, 2, 10),
  maxRequests: fc.constantFrom(4, 1_000),
});

interface World {
  requests: readonly AnyRequest[];
  calls: readonly VirtualCall[];
  rules: SchedulingRules;
  replicaCount: number;
  runsPerReplica: number;
  seed: number;
}

interface Ending {
  request: AnyRequest;
  values: readonly number[];
  answeredMs: number;
  outcome: number[] | SluiceError;
}

async function live(world: World): Promise<{ endings: Ending[]; runs: VirtualRun[] }> {
  const { rules, runsPerReplica } = world;
  await using lane = new VirtualLane({
    model,
    // Faults come to an end, so that every request can be answered at last.
    script: (runs) => world.calls[runs] ?? { runMs: 1 },
    replicas: world.replicaCount,
    rules,
    pool: { runsPerReplica, random: chance(world.seed) },
  });
  const { time, batcher, pool, runs } = lane;
  const endings: Ending[] = [];
  const ask = async (request: AnyRequest, index: number): Promise<void> => {
    const { rows, width, isPoisoned, tenant, key, priority, timeoutMs, cancelAfterMs } = request;
    const values = Array.from({ length: rows * width }, (_, at) => index * 100 + at + (isPoisoned ? 0.5 : 0));
    const inputs: Tensor[] = [{ name: 'x', datatype: 'FP32', shape: [rows, width], data: Float32Array.from(values) }];
    const caller = new CallerPresence();
    if (cancelAfterMs !== undefined) time.timers.after(cancelAfterMs, () => caller.leave());
    const outcome = await batcher
      .submit({
        endpoint: 'e',
        tenant,
        key,
        priority,
        inputs,
        rows,
        bytes: 1,
        timeoutMs,
        stackKey: stackKey(inputs),
        caller,
      })
      .then(
        ({ outputs }) => [...(outputs[0]!.data as Float32Array)],
        (error: unknown) => error as SluiceError,
      );
    endings.push({ request, values, answeredMs: time.nowMs, outcome });
  };
  world.requests.forEach((request, index) => time.at(request.atMs, () => void ask(request, index)));
  await time.runUntil(
    () => endings.length === world.requests.length && batcher.isIdle,
    () => expect(batcher.queuedRequests).toBeLessThanOrEqual(rules.maxRequests),
  );
  const left = [batcher.queuedRequests, batcher.queuedBytes, batcher.queue.tenantCount, pool.runningCount];
  expect(left).toEqual([0, 0, 0, 0]);
  return { endings, runs };
}

/** Numbers from 0 to 1 that look random and come again (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whose rows a run had, in their order. */
const ownersIn = ({ inputs }: VirtualRun): number[] => [
  ...new Set([...(inputs[0]!.data as Float32Array)].map(ownerOf)),
];

function checkEnding({ request, values, answeredMs, outcome }: Ending, own: readonly VirtualRun[]): void {
  if (Array.isArray(outcome)) {
    expect(request.isPoisoned).toBe(false);
    expect(outcome).toEqual(values.map(answerTo));
    return;
  }
  expect(outcome).toBeInstanceOf(SluiceError);
  const deadlineMs = request.atMs + request.timeoutMs;
  const reasons: Partial<Record<SluiceError['code'], () => boolean>> = {
    SLU_REQUEST_ABANDONED: () =>
      request.cancelAfterMs !== undefined && answeredMs === request.atMs + request.cancelAfterMs,
    SLU_INFERENCE_TIMEOUT: () => answeredMs >= deadlineMs || own.some(({ fault }) => fault === 'timeout'),
    SLU_INFERENCE_REPLICA_LOST: () => own.length >= 2,
    SLU_INFERENCE_MODEL_FAILED: () => request.isPoisoned,
    SLU_INFERENCE_OUTPUT: () => own.some((run) => run.fault === 'short' && ownersIn(run).length === 1),
    SLU_INFERENCE_QUEUE_FULL: () => own.length === 0 && outcome.retryAfterSeconds! >= 1,
    SLU_INFERENCE_OVERUSE: () => own.length === 0 && outcome.retryAfterSeconds! >= 1,
  };
  expect([outcome.code, reasons[outcome.code]?.()]).toEqual([outcome.code, true]);
}

function checkRuns(
  endings: ReadonlyMap<number, Ending>,
  runs: readonly VirtualRun[],
  { maxRows }: SchedulingRules,
): void {
  for (const run of runs) {
    const owners = ownersIn(run);
    if (owners.length > 1) expect(run.inputs[0]!.shape[0]).toBeLessThanOrEqual(maxRows);
    for (const owner of owners) {
      const { request, answeredMs } = endings.get(owner)!;
      // Nobody runs past its time, nor after it was answered or its caller had left.
      expect(run.startedMs).toBeLessThan(request.atMs + request.timeoutMs);
      expect(run.startedMs).toBeLessThanOrEqual(answeredMs);
    }
  }
}

/** Those of one caller, priority and shape start in the order in which they came. */
function checkOrder(endings: ReadonlyMap<number, Ending>, runs: readonly VirtualRun[]): void {
  const begun = new Map<number, number>();
  for (const owner of runs.flatMap(ownersIn)) if (!begun.has(owner)) begun.set(owner, begun.size);
  const lastOf = new Map<string, { place: number; atMs: number; owner: number }>();
  const ordered = [...begun].map(([owner, place]) => ({ owner, place, ...endings.get(owner)!.request }));
  ordered.sort((one, other) => one.atMs - other.atMs || one.owner - other.owner);
  for (const { owner, place, atMs, tenant, key, priority, width } of ordered) {
    const line = `${tenant} ${key} ${priority} ${width}`;
    const before = lastOf.get(line);
    if (before !== undefined)
      expect([line, before.owner, owner, before.place < place]).toEqual([line, before.owner, owner, true]);
    lastOf.set(line, { place, atMs, owner });
  }
}

it('gives each caller one answer, its own, in time and in order, whatever happens around it', async () => {
  const runs = Number(process.env['SLUICE_PROPERTY_RUNS'] ?? 2_000);
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyRequest, { minLength: 1, maxLength: 40, size: 'max' }),
      fc.array(anyCall, { maxLength: 16 }),
      anyRules,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 2 }),
      fc.nat(),
      async (requests, calls, { preferredRows, ...own }, replicaCount, runsPerReplica, seed) => {
        const rules: SchedulingRules = {
          ...plainRules,
          ...own,
          preferredRows: preferredRows === undefined ? undefined : new Set(preferredRows),
          priorityLevels: levels,
        };
        const { endings, runs: made } = await live({ requests, calls, rules, replicaCount, runsPerReplica, seed });
        const byOwner = new Map(endings.map((ending) => [ownerOf(ending.values[0]!), ending]));
        for (const [owner, ending] of byOwner)
          checkEnding(
            ending,
            made.filter((run) => ownersIn(run).includes(owner)),
          );
        checkRuns(byOwner, made, rules);
        checkOrder(byOwner, made);
      },
    ),
    { numRuns: runs },
  );
}, 120_000);
