import { systemClock } from '#libs/kernel';
import type { ReplicaState } from '#libs/store';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { ScriptedReplica } from '../../test/support/scripted-replica.js';
import { ReplicaPool, type Claim, type PooledReplica } from './replica-pool.js';

function setUp(...replicas: ScriptedReplica[]) {
  let roomCalls = 0;
  const pool = new ReplicaPool({
    open: ({ id }) => replicas.find((replica) => replica.id === id)!,
    log: pino({ level: 'silent' }),
    clock: systemClock,
    probeEveryMs: 1,
    onRoom: () => (roomCalls += 1),
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
