import { ChangeFeed, Database } from '#libs/store';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { ServingState } from './serving-state.js';

const log = pino({ level: 'silent' });
const stable = (version: string, weight = 100) => ({ name: 'stable', version, weight });
const candidate = (version: string, weight: number) => ({ name: 'candidate', version, weight });

/** A state as an API process has it: its own connections, its own feed. */
async function follow(url: string, refreshEveryMs = 60_000, logger = log) {
  const database = await Database.connect({ url, applicationName: 'follower', poolSize: 2 });
  const state = new ServingState({ database, log: logger, refreshEveryMs });
  const feed = new ChangeFeed(url, 'follower', state);
  await feed.start();
  await state.load();
  return {
    state,
    [Symbol.asyncDispose]: async () => {
      await feed[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

it('brings a new route to two processes within 200 ms', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await rows.version('tone', '2');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await using one = await follow(db.url);
  await using two = await follow(db.url);
  expect(one.state.endpoint('tone')?.arms.map(({ name, weight }) => [name, weight])).toEqual([['stable', 100]]);
  const arrivals: Promise<number>[] = [];
  for (const { state } of [one, two]) {
    arrivals.push(
      new Promise((resolve) =>
        state.onSnapshot(() => state.endpoint('tone')?.revision === 2 && resolve(performance.now())),
      ),
    );
  }
  await rows.route('tone', [stable('1', 95), candidate('2', 5)]);
  const committedAt = performance.now();
  for (const arrivedAt of await Promise.all(arrivals)) expect(arrivedAt - committedAt).toBeLessThan(200);
  expect(two.state.endpoint('tone')?.arms.map(({ name, bucketEnd }) => [name, bucketEnd])).toEqual([
    ['candidate', 500],
    ['stable', 10_000],
  ]);
});

it('swaps whole snapshots: one that is held does not change, and unchanged endpoints stay the same objects', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await rows.endpoint('mood', 'tone', [stable('1')]);
  await using follower = await follow(db.url);
  const held = follower.state.snapshot;
  await rows.route('tone', [stable('1')]);
  await vi.waitFor(() => expect(follower.state.endpoint('tone')?.revision).toBe(2));
  expect(held.endpoints.get('tone')?.revision).toBe(1);
  expect(follower.state.endpoint('mood')).toBe(held.endpoints.get('mood'));
  await follower.state.load();
  expect(follower.state.endpoint('mood')).toBe(held.endpoints.get('mood'));
});

it('lets a request name versions of this route and of the one before', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  for (const version of ['1', '2', '3']) await rows.version('tone', version);
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await rows.route('tone', [stable('2')]);
  await using follower = await follow(db.url);
  expect([...follower.state.endpoint('tone')!.pinned.keys()].sort()).toEqual(['1', '2']);
});

it('keeps the last known route while PostgreSQL is away, says so once, and is fresh again afterwards', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  const lines: { level: number }[] = [];
  const logger = pino(
    { level: 'info' },
    { write: (line: string) => lines.push(JSON.parse(line) as { level: number }) },
  );
  await using follower = await follow(db.url, 50, logger);
  await db.takeAway();
  await vi.waitFor(() => expect(lines.filter(({ level }) => level === 40)).toHaveLength(1));
  await expect(follower.state.load()).resolves.toBeUndefined();
  expect(follower.state.endpoint('tone')?.revision).toBe(1);
  await db.giveBack();
  await rows.route('tone', [stable('1')]);
  await vi.waitFor(() => expect(follower.state.endpoint('tone')?.revision).toBe(2), { timeout: 5_000 });
  expect(lines.filter(({ level }) => level === 40)).toHaveLength(1);
});

it('finds a change that nobody announced at its next full read', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await using follower = await follow(db.url, 50);
  await db.database.query('ALTER TABLE endpoints DISABLE TRIGGER announce');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await vi.waitFor(() => expect(follower.state.endpoint('tone')).toBeDefined());
});

it('keeps the last good route when a new one names a version that is not known', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await using follower = await follow(db.url);
  await rows.route('tone', [stable('404')]);
  await follower.state.load();
  expect(follower.state.endpoint('tone')?.revision).toBe(1);
  await rows.version('tone', '404');
  await vi.waitFor(() => expect(follower.state.endpoint('tone')?.revision).toBe(2));
});

it('serves an archived version for as long as a live route names it', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await db.database.query(`UPDATE model_versions SET state = 'archived'`);
  await using follower = await follow(db.url);
  expect(follower.state.endpoint('tone')?.arms[0]?.version.key).toBe('tone/1');
});

it('is settled when each version with traffic has answered, or has failed to start', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  for (const version of ['1', '2', '3']) await rows.version('tone', version);
  await rows.endpoint('tone', 'tone', [stable('1', 90), candidate('2', 10), { name: 'idle', version: '3', weight: 0 }]);
  await using follower = await follow(db.url);
  const { state } = follower;
  const answered = new Set<string>();
  const isSettled = (): boolean => state.isSettled((key) => answered.has(key));
  expect(isSettled()).toBe(false);
  answered.add('tone/1');
  expect(isSettled()).toBe(false);
  const starting = await rows.replica('tone', '2', 'starting');
  await vi.waitFor(() => expect(state.snapshot.replicas.get('tone/2')?.newest?.state).toBe('starting'));
  expect(isSettled()).toBe(false);
  await rows.replicaState(starting, 'failed');
  await vi.waitFor(() => expect(isSettled()).toBe(true));
});

it('is settled with a version that was unloaded, and not while the replicas of it still go or come', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await rows.endpoint('tone', 'tone', [stable('1')]);
  await rows.desire('tone', '1', 0);
  const draining = await rows.replica('tone', '1', 'draining');
  await using follower = await follow(db.url);
  const isSettled = (): boolean => follower.state.isSettled(() => false);
  expect(isSettled()).toBe(false);
  await rows.replicaState(draining, 'stopped');
  await vi.waitFor(() => expect(isSettled()).toBe(true));
  await rows.desire('tone', '1', 1);
  await vi.waitFor(() => expect(isSettled()).toBe(false));
});

it('is neither loaded nor settled before its first read', async () => {
  await using db = await freshDatabase();
  await using state = new ServingState({ database: db.database, log });
  expect([state.isLoaded, state.isSettled(() => true)]).toEqual([false, false]);
  await state.load();
  expect([state.isLoaded, state.isSettled(() => true)]).toEqual([true, true]);
});

it('knows where replicas are and how many there shall be', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await using follower = await follow(db.url);
  const { state } = follower;
  await rows.desire('tone', '1', 2);
  const id = await rows.replica('tone', '1', 'ready');
  await vi.waitFor(() =>
    expect(state.snapshot.replicas.get('tone/1')).toMatchObject({ desired: 2, places: [{ id, state: 'ready' }] }),
  );
  await rows.replicaState(id, 'stopped');
  await vi.waitFor(() => expect(state.snapshot.replicas.get('tone/1')?.places).toEqual([]));
});

it('lets the last replica of a wanted version carry on while it drains, until another is ready', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  await using follower = await follow(db.url);
  const { state } = follower;
  const readyIds = (): string[] =>
    (state.snapshot.replicas.get('tone/1')?.places ?? [])
      .filter((place) => place.state === 'ready')
      .map(({ id }) => id);
  await rows.desire('tone', '1', 1);
  const old = await rows.replica('tone', '1', 'ready');
  await rows.replicaState(old, 'draining');
  const next = await rows.replica('tone', '1', 'starting');
  await vi.waitFor(() => expect(state.snapshot.replicas.get('tone/1')?.places).toHaveLength(2));
  expect(readyIds()).toEqual([old]);
  await rows.replicaState(next, 'ready');
  await vi.waitFor(() => expect(readyIds()).toEqual([next]));
  await rows.replicaState(next, 'draining');
  await rows.desire('tone', '1', 0);
  await vi.waitFor(() => expect(readyIds()).toEqual([]));
});

it('counts each end of a replica once, by its cause, whether it was announced or found by a read of everything', async () => {
  await using db = await freshDatabase();
  const rows = new ServingRowsWriter(db.database);
  await rows.version('tone', '1');
  const database = await Database.connect({ url: db.url, applicationName: 'follower', poolSize: 2 });
  // Without a feed: the test announces what it wants announced.
  await using state = new ServingState({ database, log, refreshEveryMs: 60_000 });
  const earlier = await rows.replica('tone', '1');
  await end(earlier, 'crash');
  const [announced, found] = [await rows.replica('tone', '1'), await rows.replica('tone', '1')];
  const newest = await rows.replica('tone', '1');
  await state.load();
  expect([...state.replicaEnds]).toEqual([]);
  await end(announced, 'memory');
  state.onChange({ table: 'replicas', key: announced });
  state.onChange({ table: 'replicas', key: announced });
  await vi.waitFor(() => expect([...state.replicaEnds]).toMatchObject([{ cause: 'memory', count: 1 }]));
  for (const id of [found, newest]) await end(id, 'liveness');
  await state.load();
  await state.load();
  const counted = [
    { model: 'tone', version: '1', cause: 'memory', count: 1 },
    { model: 'tone', version: '1', cause: 'liveness', count: 2 },
  ];
  expect([...state.replicaEnds]).toEqual(counted);
  await database[Symbol.asyncDispose]();

  async function end(id: string, cause: string): Promise<void> {
    await db.database.query(`UPDATE replicas SET state = 'failed', cause = $2, ended_at = now() WHERE id = $1`, [
      id,
      cause,
    ]);
  }
});
