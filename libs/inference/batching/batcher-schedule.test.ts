import { SluiceError } from '#libs/kernel';
import { describe, expect, it } from 'vitest';
import { VirtualLane, type VirtualLaneSettings } from '../../../test/support/virtual-lane.js';
import type { VirtualRun } from '../../../test/support/virtual-replica.js';
import { agedTurn } from './batcher-queue.js';
import { plainKey, type BatchRequest } from './batcher-request.js';
import type { Tensor } from '../tensors/tensor.js';

const echo = ([input]: readonly Tensor[]): Tensor[] => [{ ...input!, name: 'y' }];

/** Every row of a request holds its number. */
const firstRows = ({ inputs }: VirtualRun): number[] => [...new Set(inputs[0]!.data as Float32Array)];
const rowsOf = ({ inputs }: VirtualRun): number => inputs[0]!.shape[0]!;

function laneOf(settings: Partial<VirtualLaneSettings> = {}) {
  const lane = new VirtualLane({ model: echo, ...settings });
  let made = 0;
  const ask = (more: Partial<BatchRequest> = {}): Promise<string> => {
    const { rows = 1 } = more;
    const data = new Float32Array(rows).fill(made++);
    return lane.batcher
      .submit({
        endpoint: 'e',
        tenant: 'a',
        key: 'k',
        priority: 1,
        inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 1], data }],
        rows,
        bytes: 4 * rows,
        timeoutMs: 60_000,
        stackKey: plainKey,
        ...more,
      })
      .then(
        () => `ok at ${lane.time.nowMs}`,
        (error: SluiceError) => `${error.code} at ${lane.time.nowMs}, again in ${error.retryAfterSeconds} s`,
      );
  };
  const settle = async (asked: Promise<string>[]): Promise<string[]> => {
    let isOver = false;
    const all = Promise.all(asked).finally(() => (isOver = true));
    await lane.time.runUntil(() => isOver);
    return all;
  };
  return { lane, ask, settle, [Symbol.asyncDispose]: () => lane[Symbol.asyncDispose]() };
}

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));

describe('a batch leaves', () => {
  it('as soon as a replica is free when no delay is stated', async () => {
    await using built = laneOf();
    expect(await built.settle([built.ask()])).toEqual(['ok at 1']);
  });

  it('at once when it has a preferred size, and the rest waits for its own', async () => {
    await using built = laneOf({ rules: { maxRows: 16, preferredRows: new Set([4]), maxDelayMs: 100 } });
    const answers = await built.settle(times(5, () => built.ask()));
    expect(answers).toEqual(['ok at 1', 'ok at 1', 'ok at 1', 'ok at 1', 'ok at 101']);
    expect(built.lane.runs.map(rowsOf)).toEqual([4, 1]);
  });

  it('with the largest preferred size that can be made', async () => {
    await using built = laneOf({ rules: { maxRows: 16, preferredRows: new Set([2, 6]), maxDelayMs: 100 } });
    await built.settle(times(8, () => built.ask()));
    expect(built.lane.runs.map(rowsOf)).toEqual([6, 2]);
  });

  it('after its first request has waited long enough, and takes with it whoever came meanwhile', async () => {
    await using built = laneOf({ rules: { maxDelayMs: 10 } });
    const first = built.ask();
    const second = built.lane.time.pause(7).then(() => built.ask());
    expect(await built.settle([first, second])).toEqual(['ok at 11', 'ok at 11']);
    expect(built.lane.runs.map((run) => [run.startedMs, rowsOf(run)])).toEqual([[10, 2]]);
  });

  it('at once when it is full, whatever the delay', async () => {
    await using built = laneOf({ rules: { maxRows: 4, maxDelayMs: 1_000 } });
    expect(await built.settle(times(4, () => built.ask()))).toEqual(Array(4).fill('ok at 1'));
  });

  it('after half of the time that its most pressed request has', async () => {
    await using built = laneOf({ rules: { maxDelayMs: 1_000 } });
    expect(await built.settle([built.ask(), built.ask({ timeoutMs: 40 })])).toEqual(['ok at 21', 'ok at 21']);
  });

  it('at once when it is full, even while one of another shape is held back before it', async () => {
    await using built = laneOf({ rules: { maxRows: 4, maxDelayMs: 1_000 } });
    const held = built.ask({ stackKey: 'narrow' });
    const full = times(4, () => built.ask({ stackKey: 'wide' }));
    expect(await built.settle([...full, held])).toEqual([...Array<string>(4).fill('ok at 1'), 'ok at 1001']);
  });

  it('after its own delay, whatever shape has its turn', async () => {
    await using built = laneOf({ rules: { maxRows: 4, maxDelayMs: 10 } });
    // The first tenant has had rows before, so the turn is the second one's, which came later.
    const had = built.ask({ tenant: 'a', rows: 4 });
    const first = built.lane.time.pause(3).then(() => built.ask({ tenant: 'a', stackKey: 'narrow' }));
    const second = built.lane.time.pause(8).then(() => built.ask({ tenant: 'b', stackKey: 'wide' }));
    expect(await built.settle([had, first, second])).toEqual(['ok at 1', 'ok at 14', 'ok at 19']);
  });

  it('with those alone whose time is not over, and a dead request never runs', async () => {
    await using built = laneOf({ script: () => ({ runMs: 30 }), rules: { maxRows: 1 }, pool: { runsPerReplica: 1 } });
    const answers = await built.settle([built.ask(), built.ask({ timeoutMs: 20 }), built.ask()]);
    expect(answers).toEqual(['ok at 30', 'SLU_INFERENCE_TIMEOUT at 30, again in undefined s', 'ok at 60']);
    expect(built.lane.runs.map(firstRows)).toEqual([[0], [2]]);
    expect(built.lane.batcher.totals.expired).toBe(1);
  });
});

describe('priorities', () => {
  const rules = { maxRows: 1, priorityLevels: 3 };
  const oneRun = { runsPerReplica: 1 };

  it('put the urgent first, and the room that they leave is filled', async () => {
    await using built = laneOf({ rules: { maxRows: 2, priorityLevels: 3 }, pool: oneRun });
    await built.settle([
      built.ask({ priority: 3 }),
      built.ask({ priority: 2 }),
      built.ask({ priority: 2 }),
      built.ask({ priority: 1 }),
    ]);
    expect(built.lane.runs.map(firstRows)).toEqual([
      [3, 1],
      [2, 0],
    ]);
  });

  it('never starve the least urgent: one batch in eight goes to whoever has waited longest', async () => {
    await using built = laneOf({ rules, pool: oneRun });
    let isOver = false;
    const patient = built.ask({ priority: 3 }).finally(() => (isOver = true));
    // There is always an urgent request waiting.
    const flood = (): void => {
      if (isOver) return;
      void built.ask({ priority: 1 });
      built.lane.time.timers.after(1, flood);
    };
    flood();
    flood();
    await built.lane.time.runUntil(() => isOver);
    await patient;
    expect(built.lane.runs.findIndex((run) => firstRows(run)[0] === 0)).toBe(agedTurn - 1);
  });
});

describe('tenants', () => {
  it('share by turns: one request waits for one batch, not for the thousand of another tenant', async () => {
    await using built = laneOf({ rules: { maxRows: 64 }, pool: { runsPerReplica: 1 } });
    const greedy = times(1_000, () => built.ask({ tenant: 'greedy' }));
    const other = built.lane.time.pause(0.5).then(() => built.ask({ tenant: 'other' }));
    expect(await built.settle([other])).toEqual(['ok at 2']);
    await built.settle(greedy);
  });

  it('share by turns whatever the shapes of their requests', async () => {
    await using built = laneOf({ rules: { maxRows: 64 }, pool: { runsPerReplica: 1 } });
    const greedy = times(1_000, () => built.ask({ tenant: 'greedy', stackKey: 'narrow' }));
    const other = built.lane.time.pause(0.5).then(() => built.ask({ tenant: 'other', stackKey: 'wide' }));
    expect(await built.settle([other])).toEqual(['ok at 2']);
    await built.settle(greedy);
  });

  it('share rows and not requests', async () => {
    await using built = laneOf({ rules: { maxRows: 8 }, pool: { runsPerReplica: 1 } });
    const large = times(40, () => built.ask({ tenant: 'large', rows: 8 }));
    const small = times(80, () => built.ask({ tenant: 'small' }));
    await built.settle(small);
    // 80 rows of theirs beside as many of the others, and one batch on the way.
    const rowsOfLarge = 8 * built.lane.runs.filter((run) => firstRows(run).some((owner) => owner < 40)).length;
    expect(rowsOfLarge).toBeGreaterThanOrEqual(64);
    expect(rowsOfLarge).toBeLessThanOrEqual(96);
    await built.settle(large);
  });

  it('get no more turns by asking through many keys, and share theirs among the keys', async () => {
    await using built = laneOf({ rules: { maxRows: 8 }, pool: { runsPerReplica: 1 } });
    const many = times(400, (at) => built.ask({ tenant: 'many', key: `k${at % 20}` }));
    const one = times(80, () => built.ask({ tenant: 'one' }));
    await built.settle(one);
    const ownersOfMany = built.lane.runs.flatMap(firstRows).filter((owner) => owner < 400);
    expect(ownersOfMany.length).toBeGreaterThanOrEqual(72);
    expect(ownersOfMany.length).toBeLessThanOrEqual(88);
    const perKey = times(20, (key) => ownersOfMany.filter((owner) => owner % 20 === key).length);
    expect(Math.max(...perKey) - Math.min(...perKey)).toBeLessThanOrEqual(1);
    await built.settle(many);
  });

  it('never starve a key of theirs whose shape no other tenant has', async () => {
    await using built = laneOf({ rules: { maxRows: 8 }, pool: { runsPerReplica: 1 } });
    const others = times(400, () => built.ask({ tenant: 'a', stackKey: 'narrow' }));
    const own = times(400, () => built.ask({ tenant: 'b', key: 'k', stackKey: 'narrow' }));
    const strange = built.ask({ tenant: 'b', key: 'l', stackKey: 'wide' });
    const [answer] = await built.settle([strange]);
    expect(Number(answer!.slice('ok at '.length))).toBeLessThanOrEqual(agedTurn + 1);
    await built.settle([...others, ...own]);
  });

  it('earn no credit by staying away, and cannot forget what they had', async () => {
    await using built = laneOf({ rules: { maxRows: 8 }, pool: { runsPerReplica: 1 } });
    const steady = times(160, () => built.ask({ tenant: 'steady' }));
    // Comes back with a full batch each time the last one is answered: still no more than every other turn is its own.
    const state = { hasEnded: false };
    const returning = async (): Promise<void> => {
      while (!state.hasEnded) await built.ask({ tenant: 'returning', rows: 8 });
    };
    const coming = returning();
    await built.settle(steady);
    state.hasEnded = true;
    const runs = built.lane.runs.map((run) => rowsOf(run) === 8 && firstRows(run).length === 1);
    expect(runs.filter(Boolean).length).toBeLessThanOrEqual(23);
    await built.lane.time.runUntil(() => built.lane.batcher.isIdle);
    await coming;
  });
});

describe('a full queue', () => {
  it('refuses one tenant alone as overloaded, and says when to come by how fast it drains', async () => {
    await using built = laneOf({
      script: () => ({ runMs: 500 }),
      rules: { maxRows: 1, maxRequests: 10 },
      pool: { runsPerReplica: 1 },
    });
    const known = await built.settle(times(3, () => built.ask()));
    expect(known[2]).toBe('ok at 1500');
    const more = times(11, () => built.ask());
    expect(await more[10]).toBe('SLU_INFERENCE_QUEUE_FULL at 1500, again in 5 s');
    await built.settle(more);
  });

  it('gives a place to whoever is under the fair share, at the cost of the one that is above its own', async () => {
    await using built = laneOf({
      rules: { maxRows: 1, maxRequests: 10, priorityLevels: 2 },
      pool: { runsPerReplica: 1 },
    });
    const greedy = times(10, (at) => built.ask({ tenant: 'greedy', priority: at < 5 ? 2 : 1 }));
    const modest = times(6, () => built.ask({ tenant: 'modest', priority: 2 }));
    // Five each, and the greedy one lost the last of its less urgent ones; the sixth of the modest one is one too many.
    const answers = await built.settle([...greedy, ...modest]);
    expect(answers.map((answer) => answer.split(' ')[0])).toEqual([
      ...Array(5).fill('SLU_INFERENCE_OVERUSE'),
      ...Array(10).fill('ok'),
      'SLU_INFERENCE_OVERUSE',
    ]);
    expect(built.lane.batcher.totals).toMatchObject({ evicted: 5, refused: { overload: 0, overuse: 1 } });
  });

  it('gives a key a place at the cost of its own tenant, and none at the cost of others beyond that', async () => {
    await using built = laneOf({ rules: { maxRows: 1, maxRequests: 12 }, pool: { runsPerReplica: 1 } });
    const other = times(6, () => built.ask({ tenant: 'other' }));
    const greedy = times(6, () => built.ask({ tenant: 'own', key: 'greedy' }));
    const modest = times(4, () => built.ask({ tenant: 'own', key: 'modest' }));
    const answers = await built.settle([...other, ...greedy, ...modest]);
    expect(answers.map((answer) => answer.split(' ')[0])).toEqual([
      ...Array(9).fill('ok'),
      ...Array(3).fill('SLU_INFERENCE_OVERUSE'),
      ...Array(3).fill('ok'),
      'SLU_INFERENCE_OVERUSE',
    ]);
  });

  it('counts bytes in the same way', async () => {
    await using built = laneOf({ batcher: { maxQueuedBytes: 100 } });
    const greedy = times(3, () => built.ask({ tenant: 'greedy', bytes: 30 }));
    const modest = built.ask({ tenant: 'modest', bytes: 40 });
    const huge = built.ask({ tenant: 'third', bytes: 101 });
    const answers = await built.settle([...greedy, modest, huge]);
    expect(answers.map((answer) => answer.split(' ')[0])).toEqual([
      'ok',
      'ok',
      'SLU_INFERENCE_OVERUSE',
      'ok',
      'SLU_INFERENCE_QUEUE_FULL',
    ]);
  });
});
