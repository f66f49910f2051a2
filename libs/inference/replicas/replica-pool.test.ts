import { systemClock } from '#libs/kernel';
import type { ReplicaState } from '#libs/store';
import pino from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { ScriptedReplica } from '../../../test/support/scripted-replica.js';
import { ReplicaPool, type Claim, type PooledReplica, type ReplicaPoolSettings } from './replica-pool.js';

function setUp(...replicas: ScriptedReplica[]) {
  return setUpWith({}, ...replicas);
}

function setUpWith(settings: Partial<ReplicaPoolSettings>, ...replicas: ScriptedReplica[]) {
  let roomCalls = 0;
  const pool = new ReplicaPool({
    open: ({ id }) => replicas.find((replica) => replica.id === id)!,
    log: pino({ level: 'silent' }),
    clock: systemClock,
    probeEveryMs: 1,
    onRoom: () => (roomCalls += 1),
    ...settings,
  });
  const claim = (kind: Claim): PooledReplica | undefined => {
    const member = pool.pick(kind);
    if (member !== undefined) pool.take(member, kind);
    return member;
  };
  const follow = (...rows: [id: string, state: ReplicaState][]): void =>
    pool.follow({
      desired: rows.length,
      newest: undefined,
      places: rows.map(([id, state]) => ({
        id,
        state,
        address: `unix:/${id}`,
        model: 'm',
        version: '1',
        reason: null,
        startedAt: new Date(),
        endedAt: null,
      })),
    });
  return { pool, follow, claim, roomCalls: () => roomCalls };
}

const replica = (id: string): ScriptedReplica => new ScriptedReplica(id, () => []);

it('gives work only to a replica that has answered this process', async () => {
  const silent = replica('a');
  silent.isAlive = false;
  const { pool, follow, claim, roomCalls } = setUp(silent);
  await using _owner = pool;
  follow(['a', 'ready']);
  expect(claim('ahead')).toBeUndefined();
  expect(pool.hasAnswered).toBe(false);
  silent.isAlive = true;
  await vi.waitFor(() => expect(pool.upCount).toBe(1));
  expect(claim('ahead')?.replica).toBe(silent);
  expect([pool.hasAnswered, roomCalls()]).toEqual([true, 1]);
});

it('picks the least busy replica, two runs at most on each', async () => {
  const { pool, follow, claim } = setUp(replica('a'), replica('b'));
  await using _owner = pool;
  follow(['a', 'ready'], ['b', 'ready']);
  await vi.waitFor(() => expect(pool.upCount).toBe(2));
  const claimed = [1, 2, 3, 4].map(() => claim('ahead')!);
  expect(claimed.map((member) => member.replica.id).sort()).toEqual(['a', 'a', 'b', 'b']);
  expect(claimed[0]).not.toBe(claimed[1]);
  expect(claim('ahead')).toBeUndefined();
  pool.release(claimed[0]!);
  expect(claim('idle')).toBeUndefined();
  expect(claim('ahead')).toBe(claimed[0]);
});

it('keeps a replica for a suspect alone', async () => {
  const { pool, follow, claim } = setUp(replica('a'));
  await using _owner = pool;
  follow(['a', 'ready']);
  await vi.waitFor(() => expect(pool.upCount).toBe(1));
  const suspect = claim('alone')!;
  expect(claim('ahead')).toBeUndefined();
  pool.release(suspect);
  const plain = claim('ahead');
  expect(claim('alone')).toBeUndefined();
  pool.release(plain!);
});

it('takes a lost replica out at once and back when it answers again', async () => {
  const lost = replica('a');
  const { pool, follow, claim } = setUp(lost);
  await using _owner = pool;
  follow(['a', 'ready']);
  await vi.waitFor(() => expect(pool.upCount).toBe(1));
  const member = claim('ahead')!;
  lost.isAlive = false;
  pool.lose(member);
  pool.release(member);
  expect([pool.upCount, claim('ahead')]).toEqual([0, undefined]);
  lost.isAlive = true;
  await vi.waitFor(() => expect(pool.upCount).toBe(1));
});

it.each<ReplicaState>(['draining', 'stopped'])(
  'gives a %s replica no new work and closes it when its last run ends',
  async (state) => {
    const leaving = replica('a');
    const { pool, follow, claim } = setUp(leaving);
    await using _owner = pool;
    follow(['a', 'ready']);
    await vi.waitFor(() => expect(pool.upCount).toBe(1));
    const member = claim('ahead')!;
    follow(['a', state]);
    expect(claim('ahead')).toBeUndefined();
    expect(leaving.isDisposed).toBe(false);
    pool.release(member);
    await vi.waitFor(() => expect(leaving.isDisposed).toBe(true));
  },
);

it('expects replicas while some are desired or starting, and none afterwards', async () => {
  const { pool, follow } = setUp();
  await using _owner = pool;
  expect(pool.isExpected).toBe(false);
  follow(['a', 'starting']);
  expect(pool.isExpected).toBe(true);
  follow();
  expect(pool.isExpected).toBe(false);
});

it('closes every connection at its own end', async () => {
  const replicas = [replica('a'), replica('b')];
  const { pool, follow } = setUp(...replicas);
  follow(['a', 'ready'], ['b', 'ready']);
  await pool[Symbol.asyncDispose]();
  expect(replicas.every(({ isDisposed }) => isDisposed)).toBe(true);
});

it('draws two of many and takes the less busy one, so that nobody is asked in vain and the busiest never', async () => {
  const draws = [0, 0.99, 0.3, 0.5];
  const ids = ['a', 'b', 'c', 'd'];
  const random = (): number => draws[0]!;
  const { pool, follow, claim } = setUpWith({ random, rampMs: 0 }, ...ids.map(replica));
  await using _owner = pool;
  follow(...ids.map((id): [string, ReplicaState] => [id, 'ready']));
  await vi.waitFor(() => expect(pool.upCount).toBe(4));
  const taken = new Map<string, number>();
  for (let count = 0; count < 4; count += 1) {
    draws.push(draws.shift()!);
    const { id } = claim('ahead')!.replica;
    taken.set(id, (taken.get(id) ?? 0) + 1);
  }
  expect(Math.max(...taken.values())).toBeLessThanOrEqual(2);
  const [busy] = [...taken].sort((one, other) => other[1] - one[1])[0]!;
  for (draws[0] = 0; draws[0] < 1; draws[0] += 0.05) expect(pool.pick('idle')?.replica.id).not.toBe(busy);
});

describe('a new replica beside a grown one', () => {
  async function grownAndNew(random: () => number) {
    const time = { nowMs: 0 };
    const clock = { now: () => new Date(time.nowMs), monotonicMs: () => time.nowMs };
    const built = setUpWith({ clock, random, rampMs: 1_000, rampRuns: 10 }, replica('old'), replica('new'));
    built.follow(['old', 'ready']);
    await vi.waitFor(() => expect(built.pool.upCount).toBe(1));
    const old = built.pool.pick('idle')!;
    expect(built.pool.shareOf(old)).toBe(1);
    time.nowMs = 5_000;
    built.pool.shareOf(old);
    built.follow(['old', 'ready'], ['new', 'ready']);
    await vi.waitFor(() => expect(built.pool.upCount).toBe(2));
    return { ...built, time };
  }

  /** How often each is picked when chance draws every value alike. */
  function picksOfNew(pool: ReplicaPool, draw: { value: number }): number {
    let picks = 0;
    for (let at = 0; at < 100; at += 1) {
      draw.value = at / 100;
      if (pool.pick('idle')!.replica.id === 'new') picks += 1;
    }
    return picks / 100;
  }

  it('gets a share that grows with time to its half', async () => {
    const draw = { value: 0 };
    const { pool, time } = await grownAndNew(() => draw.value);
    await using _owner = pool;
    expect(picksOfNew(pool, draw)).toBeCloseTo(0.05);
    time.nowMs += 500;
    expect(picksOfNew(pool, draw)).toBeCloseTo(0.275, 1);
    time.nowMs += 500;
    expect(picksOfNew(pool, draw)).toBeCloseTo(0.5, 1);
  });

  it('is grown after some runs, and new again after it was lost', async () => {
    const draw = { value: 0 };
    const { pool, time, claim } = await grownAndNew(() => draw.value);
    await using _owner = pool;
    const young = claim('idle')!;
    expect(young.replica.id).toBe('new');
    expect(pool.shareOf(young)).toBeLessThan(0.5);
    for (let run = 0; run < 9; run += 1) {
      pool.release(young);
      pool.take(young, 'idle');
    }
    expect(pool.shareOf(young)).toBe(1);
    pool.lose(young);
    pool.release(young);
    time.nowMs += 100;
    await vi.waitFor(() => expect(pool.upCount).toBe(2));
    expect(pool.shareOf(young)).toBeLessThan(0.5);
  });

  it('is taken all the same when it alone has room', async () => {
    const { pool, claim } = await grownAndNew(() => 0.999);
    await using _owner = pool;
    expect(claim('idle')!.replica.id).toBe('old');
    expect(claim('idle')!.replica.id).toBe('new');
  });
});
