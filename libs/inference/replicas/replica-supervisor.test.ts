import { EventEmitter, once } from 'node:events';
import { access, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChangeFeed } from '#libs/store';
import { type FreshDatabase, freshDatabase } from '../../../test/support/database.js';
import { OipReplica } from '../adapters/oip/oip-replica.js';
import {
  modelServerSpawner,
  type ReplicaLaunch,
  type ReplicaProcess,
  type SpawnReplica,
} from './replica-supervisor-process.js';
import { ReplicaSets } from './replica-sets.js';
import { ReplicaSupervisor, type ReplicaSupervisorSettings } from './replica-supervisor.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const spawnModelServer = modelServerSpawner({
  entryPath: path.join(root, 'dist/apps/model-server/main.js'),
  threads: 1,
});

interface Row {
  id: string;
  host: string;
  address: string;
  pid: number | null;
  state: string;
  reason: string | null;
  ready: boolean;
  ended: boolean;
}

let db: FreshDatabase;
let socketFolder: string;

beforeEach(async () => {
  db = await freshDatabase();
  socketFolder = await mkdtemp(path.join(tmpdir(), 'sup-'));
});

afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(socketFolder, { recursive: true, force: true });
});

async function want(desired: number, folder = 'test/models/dense', model = 'dense'): Promise<void> {
  await db.database.query(
    `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
     VALUES ($1, '1', 'onnx', '{}', 'd', $2, 'registered', 'test') ON CONFLICT DO NOTHING`,
    [model, path.join(root, folder)],
  );
  await db.database.query(
    `INSERT INTO replica_sets (model, version, desired) VALUES ($1, '1', $2)
     ON CONFLICT (model, version) DO UPDATE SET desired = $2, updated_at = now()`,
    [model, desired],
  );
}

const rows = (): Promise<Row[]> =>
  db.database.query<Row>(
    `SELECT id, host, address, pid, state, reason, ready_at IS NOT NULL AS ready, ended_at IS NOT NULL AS ended
       FROM replicas ORDER BY started_at, id`,
  );

async function rowsWhen(isSo: (rows: Row[]) => boolean): Promise<Row[]> {
  return vi.waitFor(
    async () => {
      const found = await rows();
      if (!isSo(found)) throw new Error(`replicas are ${JSON.stringify(found)}`);
      return found;
    },
    { timeout: 15_000, interval: 20 },
  );
}

const ready = (found: Row[]): Row[] => found.filter(({ state }) => state === 'ready');

async function supervise(
  spawnReplica: SpawnReplica,
  more: Partial<ReplicaSupervisorSettings> = {},
): Promise<ReplicaSupervisor> {
  const supervisor = new ReplicaSupervisor({
    database: db.database,
    host: 'here',
    socketFolder,
    spawnReplica,
    ...more,
  });
  await supervisor.start();
  return supervisor;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** A process that does what the test says. */
class FakeProcess extends EventEmitter implements ReplicaProcess {
  readonly pid = undefined;
  readonly startedAtMs = performance.now();
  readonly ready = once(this, 'ready').then(() => undefined);
  readonly ended = once(this, 'ended').then(([reason]) => reason as string);
  constructor(readonly launch: ReplicaLaunch) {
    super();
  }
  terminate(): void {
    this.emit('terminate');
    this.emit('ended', 'exited with code 0');
  }
  kill(): void {
    this.emit('ended', 'was ended by SIGKILL');
  }
}

function fakeSpawner(behave: (child: FakeProcess) => void) {
  const children: FakeProcess[] = [];
  const spawn: SpawnReplica = (launch) => {
    const child = new FakeProcess(launch);
    children.push(child);
    queueMicrotask(() => behave(child));
    return child;
  };
  return { children, spawn };
}

it('starts as many replicas as are wanted, and they answer at the address of their rows', async () => {
  await want(2);
  await using _supervisor = await supervise(spawnModelServer);
  const found = ready(await rowsWhen((all) => ready(all).length === 2));
  for (const { id, address, pid, host } of found) {
    expect(host).toBe('here');
    expect(isAlive(pid!)).toBe(true);
    expect((await stat(address.slice('unix:'.length))).mode & 0o777).toBe(0o600);
    await using replica = new OipReplica({ id, address, model: 'dense', version: '1' });
    expect(await replica.isReady()).toBe(true);
  }
});

it('ends the row of a replica that dies at once, says why, and starts another', async () => {
  await want(1);
  await using _supervisor = await supervise(spawnModelServer);
  const [first] = ready(await rowsWhen((all) => ready(all).length === 1));
  process.kill(first!.pid!, 'SIGKILL');
  const found = await rowsWhen((all) => all.length === 2 && ready(all).length === 1);
  expect(found.find(({ id }) => id === first!.id)).toMatchObject({
    state: 'failed',
    reason: 'was ended by SIGKILL',
    ready: true,
    ended: true,
  });
});

it('takes a replica out of traffic before it ends it, and lets the request in flight finish', async () => {
  await want(1, 'test/models/tone-slow', 'tone');
  await using supervisor = await supervise((launch) => spawnModelServer({ ...launch }));
  const [row] = ready(await rowsWhen((all) => ready(all).length === 1));
  await using replica = new OipReplica({ id: row!.id, address: row!.address, model: 'tone', version: '4' });
  expect(await replica.isReady()).toBe(true);
  const answer = replica.infer([{ name: 'text', datatype: 'BYTES', shape: [1], data: ['last words'] }], {
    timeoutMs: 5_000,
  });
  await want(0, 'test/models/tone-slow', 'tone');
  await supervisor.reconcile();
  expect(await answer).toHaveLength(2);
  await rowsWhen((all) => all.every(({ state, ended }) => state === 'stopped' && ended));
  expect(isAlive(row!.pid!)).toBe(false);
});

it('has written "draining" by the time that the process is asked to end', async () => {
  await want(1);
  const { children, spawn } = fakeSpawner((child) => child.emit('ready'));
  await using supervisor = await supervise(spawn, { times: { drainGraceMs: 10 } });
  await rowsWhen((all) => ready(all).length === 1);
  const child = children[0]!;
  let atTerminate: Promise<Row[]> | undefined;
  child.once('terminate', () => {
    atTerminate = rows();
    child.ended.catch(() => undefined);
  });
  // The row must be read before the end is recorded, so the fake stays alive until then.
  child.terminate = () => {
    child.emit('terminate');
    void atTerminate!.then(() => child.emit('ended', 'exited with code 0'));
  };
  await want(0);
  await supervisor.reconcile();
  await rowsWhen((all) => all[0]?.state === 'stopped');
  expect((await atTerminate!)[0]).toMatchObject({ state: 'draining', ended: false });
});

it('kills a process that does not end within the drain deadline', async () => {
  await want(1);
  await using supervisor = await supervise(spawnModelServer, { times: { drainGraceMs: 0, drainDeadlineMs: 50 } });
  const [row] = ready(await rowsWhen((all) => ready(all).length === 1));
  process.kill(row!.pid!, 'SIGSTOP');
  await want(0);
  await supervisor.reconcile();
  await rowsWhen((all) => all[0]?.state === 'stopped');
  expect(isAlive(row!.pid!)).toBe(false);
});

it('stops trying a version that fails to load five times, says why in the last row, and tries anew when asked anew', async () => {
  await want(1);
  const { children, spawn } = fakeSpawner((child) => child.emit('ended', 'model.onnx is broken'));
  await using supervisor = await supervise(spawn, { times: { firstBackOffMs: 1, longestBackOffMs: 2 } });
  const found = await rowsWhen((all) => all.filter(({ state }) => state === 'failed').length === 5);
  expect(found.map(({ reason }) => reason).filter((reason) => reason === 'model.onnx is broken')).toHaveLength(4);
  expect(
    found.some(({ reason }) => reason?.startsWith('model.onnx is broken; 5 starts in a row have failed') ?? false),
  ).toBe(true);
  await supervisor.reconcile();
  expect(children).toHaveLength(5);
  await want(2);
  await supervisor.reconcile();
  await rowsWhen((all) => all.filter(({ state }) => state === 'failed').length >= 10);
});

it('names what is wrong with a model that the real server cannot load', async () => {
  const folder = path.join(socketFolder, 'broken');
  await mkdir(folder);
  await writeFile(path.join(folder, 'sluice.json'), '{"name": "broken"');
  await want(1, path.relative(root, folder), 'broken');
  await using _supervisor = await supervise(spawnModelServer, { times: { firstBackOffMs: 60_000 } });
  const found = await rowsWhen((all) => all[0]?.state === 'failed');
  expect(found[0]!.reason).toContain('sluice.json cannot be read');
});

it('waits longer from death to death, up to a limit', async () => {
  await want(1);
  const { children, spawn } = fakeSpawner((child) => {
    child.emit('ready');
    setImmediate(() => child.emit('ended', 'exited with code 1'));
  });
  await using _supervisor = await supervise(spawn, { times: { firstBackOffMs: 20, longestBackOffMs: 80 } });
  await vi.waitFor(() => expect(children.length).toBeGreaterThanOrEqual(5), { timeout: 5_000 });
  const waits = children.slice(1, 5).map((child, index) => child.startedAtMs - children[index]!.startedAtMs);
  // Timers may fire a millisecond early, and late as they like.
  [20, 40, 80, 80].forEach((leastMs, index) => expect(waits[index]).toBeGreaterThanOrEqual(leastMs - 2));
});

it('ends a process that never becomes ready', async () => {
  await want(1);
  const { spawn } = fakeSpawner(() => undefined);
  await using _supervisor = await supervise(spawn, { times: { startDeadlineMs: 30, firstBackOffMs: 60_000 } });
  const found = await rowsWhen((all) => all[0]?.state === 'failed');
  expect(found[0]!.reason).toBe('was not ready after 0.03 s');
});

it('ends the rows and removes the sockets that its earlier life left, and leaves those of others alone', async () => {
  for (const host of ['here', 'elsewhere']) {
    await db.database.query(
      `INSERT INTO replicas (id, model, version, host, address, state) VALUES (gen_random_uuid(), 'm', '1', $1, 'unix:/x', 'ready')`,
      [host],
    );
  }
  const stale = path.join(socketFolder, 'stale.sock');
  await writeFile(stale, '');
  await using _supervisor = await supervise(spawnModelServer);
  const found = await rows();
  expect(found.find(({ host }) => host === 'here')).toMatchObject({ state: 'stopped', ended: true });
  expect(found.find(({ host }) => host === 'elsewhere')).toMatchObject({ state: 'ready', ended: false });
  await expect(access(stale)).rejects.toThrow();
});

it('replaces dead replicas while the database is away, and writes the rows when it is back', async () => {
  await want(1);
  const { children, spawn } = fakeSpawner((child) => child.emit('ready'));
  await using supervisor = await supervise(spawn, { times: { firstBackOffMs: 5 } });
  const [first] = ready(await rowsWhen((all) => ready(all).length === 1));
  await db.takeAway();
  children[0]!.emit('ended', 'was ended by SIGSEGV');
  await vi.waitFor(() => expect(children).toHaveLength(2), { timeout: 5_000 });
  await supervisor.reconcile();
  expect(children).toHaveLength(2);
  await db.giveBack();
  const found = await rowsWhen((all) => all.length === 2 && ready(all).length === 1);
  expect(found.find(({ id }) => id === first!.id)).toMatchObject({ state: 'failed', reason: 'was ended by SIGSEGV' });
});

it('learns by itself what was asked while the database was away', async () => {
  const { children, spawn } = fakeSpawner((child) => child.emit('ready'));
  await want(1);
  await db.takeAway();
  await using _supervisor = await supervise(spawn);
  expect(children).toHaveLength(0);
  await db.giveBack();
  await rowsWhen((all) => ready(all).length === 1);
});

describe('a replica that somebody wants drained', () => {
  const sets = (): ReplicaSets => new ReplicaSets(db.database);
  const drain = (id: string): Promise<unknown> => sets().drain({ id, actor: 'key:1' });

  /** As the launcher does it. */
  async function follow(supervisor: ReplicaSupervisor): Promise<ChangeFeed & { reconciled: number }> {
    const feed = new ChangeFeed(db.url, 'test', {
      onChange: (change) => {
        if (!supervisor.concerns(change)) return;
        counted.reconciled += 1;
        void supervisor.reconcile();
      },
      onConnected: () => undefined,
      onLost: () => undefined,
    });
    const counted = Object.assign(feed, { reconciled: 0 });
    await feed.start();
    return counted;
  }

  it('goes only when its replacement is ready', async () => {
    await want(1);
    const { children, spawn } = fakeSpawner((child) => {
      if (children.length === 1) child.emit('ready');
    });
    await using supervisor = await supervise(spawn, { times: { drainGraceMs: 0 } });
    await using _feed = await follow(supervisor);
    const [first] = ready(await rowsWhen((all) => ready(all).length === 1));
    await drain(first!.id);
    await vi.waitFor(() => expect(children).toHaveLength(2));
    await rowsWhen((all) => all.some(({ state }) => state === 'starting'));
    expect((await rows()).find(({ id }) => id === first!.id)).toMatchObject({ state: 'draining', ended: false });
    children[1]!.emit('ready');
    const found = await rowsWhen((all) => all.find(({ id }) => id === first!.id)?.state === 'stopped');
    expect(ready(found)).toHaveLength(1);
  });

  it('goes without one when none is ready in time', async () => {
    await want(1);
    const { children, spawn } = fakeSpawner((child) => {
      if (children.length === 1) child.emit('ready');
    });
    await using supervisor = await supervise(spawn, { times: { drainGraceMs: 0, replacementWaitMs: 30 } });
    await using _feed = await follow(supervisor);
    const [first] = ready(await rowsWhen((all) => ready(all).length === 1));
    await drain(first!.id);
    const found = await rowsWhen((all) => all.find(({ id }) => id === first!.id)?.state === 'stopped');
    expect(found.map(({ state }) => state).toSorted()).toEqual(['starting', 'stopped']);
  });

  it('goes without one when it is not wanted any more', async () => {
    await want(1);
    const { children, spawn } = fakeSpawner((child) => {
      if (children.length === 1) child.emit('ready');
    });
    await using supervisor = await supervise(spawn, { times: { drainGraceMs: 0 } });
    await using _feed = await follow(supervisor);
    const [first] = ready(await rowsWhen((all) => ready(all).length === 1));
    await drain(first!.id);
    await rowsWhen((all) => all.length === 2);
    await want(0);
    await rowsWhen((all) => all.every(({ state }) => state === 'stopped'));
  });

  it('is found at the next reconciliation when the notification was missed', async () => {
    await want(2);
    const { spawn } = fakeSpawner((child) => child.emit('ready'));
    await using supervisor = await supervise(spawn, { times: { drainGraceMs: 0 } });
    const [first] = ready(await rowsWhen((all) => ready(all).length === 2));
    await drain(first!.id);
    await supervisor.reconcile();
    const found = await rowsWhen((all) => all.find(({ id }) => id === first!.id)?.state === 'stopped');
    expect(ready(found)).toHaveLength(2);
  });

  it('stays draining in its row when the news that it is ready comes later', async () => {
    await want(1);
    const { children, spawn } = fakeSpawner(() => undefined);
    await using _supervisor = await supervise(spawn, { times: { drainGraceMs: 0 } });
    const [first] = await rowsWhen((all) => all.length === 1);
    await drain(first!.id);
    children[0]!.emit('ready');
    expect((await rowsWhen((all) => all[0]!.ready))[0]).toMatchObject({ state: 'draining' });
  });

  it('does not set the supervisor running after its own rows', async () => {
    await want(1);
    const { children, spawn } = fakeSpawner((child) => child.emit('ready'));
    await using supervisor = await supervise(spawn, { times: { drainGraceMs: 0 } });
    await using feed = await follow(supervisor);
    const [first] = ready(await rowsWhen((all) => ready(all).length === 1));
    await drain(first!.id);
    await rowsWhen((all) => all.find(({ id }) => id === first!.id)?.state === 'stopped');
    // A change that is announced after all of the supervisor's own has come through, so those have as well.
    await want(1);
    const calm = feed.reconciled;
    await vi.waitFor(() => expect(feed.reconciled).toBeGreaterThanOrEqual(calm));
    expect(children).toHaveLength(2);
    expect(feed.reconciled).toBeLessThan(10);
  });
});

it('leaves no process and no open row when it stops', async () => {
  await want(2);
  const supervisor = await supervise(spawnModelServer, { times: { drainGraceMs: 0 } });
  const pids = ready(await rowsWhen((all) => ready(all).length === 2)).map(({ pid }) => pid!);
  await supervisor.stop();
  expect(pids.filter(isAlive)).toEqual([]);
  expect((await rows()).every(({ state }) => state === 'stopped')).toBe(true);
});

it('refuses a socket folder whose sockets would have too long a path', () => {
  const settings = {
    database: db.database,
    host: 'here',
    socketFolder: `/tmp/${'long'.repeat(20)}`,
    spawnReplica: spawnModelServer,
  };
  expect(() => new ReplicaSupervisor(settings)).toThrow('sockets in it would have paths of 103 bytes');
});
