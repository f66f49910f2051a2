import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ReplicaEntity } from '#libs/store';
import { type FreshDatabase, freshDatabase } from '../../../test/support/database.js';
import { type LivenessAnswer, type ReplicaProcess, modelServerSpawner } from './replica-supervisor-process.js';
import { ReplicaSets } from './replica-sets.js';
import { ReplicaSupervisor, type ReplicaSupervisorSettings } from './replica-supervisor.js';
import { ReplicaWatch, residentBytes } from './replica-supervisor-watch.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const dense = path.join(root, 'test/models/dense');
const spawnModelServer = modelServerSpawner({ entryPath: path.join(root, 'dist/apps/model-server/main.js') });

let db: FreshDatabase;
let folder: string;

beforeEach(async () => {
  db = await freshDatabase();
  folder = await mkdtemp(path.join(tmpdir(), 'watch-'));
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function want(desired: number, manifest: object = {}, artifactPath = dense): Promise<void> {
  await db.database.query(
    `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
     VALUES ('dense', '1', 'onnx', $1, 'd', $2, 'registered', 'test') ON CONFLICT DO NOTHING`,
    [JSON.stringify(manifest), artifactPath],
  );
  await db.database.query(
    `INSERT INTO replica_sets (model, version, desired) VALUES ('dense', '1', $1)
     ON CONFLICT (model, version) DO UPDATE SET desired = $1, updated_at = now()`,
    [desired],
  );
}

async function supervise(more: Partial<ReplicaSupervisorSettings> = {}): Promise<ReplicaSupervisor> {
  const supervisor = new ReplicaSupervisor({
    database: db.database,
    host: 'here',
    socketFolder: path.join(folder, 's'),
    spawnReplica: spawnModelServer,
    ...more,
  });
  await supervisor.start();
  return supervisor;
}

/** In the order of their starts. */
async function rowsWhen(isSo: (rows: ReplicaEntity[]) => boolean): Promise<ReplicaEntity[]> {
  return vi.waitFor(
    async () => {
      const rows = await new ReplicaSets(db.database).replicas();
      const found = rows.toSorted((a, b) => a.startedAt.getTime() - b.startedAt.getTime());
      if (!isSo(found)) throw new Error(`replicas are ${JSON.stringify(found)}`);
      return found;
    },
    { timeout: 20_000, interval: 20 },
  );
}

const readyOf = (rows: ReplicaEntity[]): ReplicaEntity[] => rows.filter(({ state }) => state === 'ready');
const threadsOf = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/task`)).length;

describe('a model server', () => {
  it('that stands still is killed and replaced, with the reason in its row', async () => {
    await want(1);
    await using _supervisor = await supervise({ times: { watchEveryMs: 20, livenessMs: 600 } });
    const [first] = readyOf(await rowsWhen((all) => readyOf(all).length === 1));
    process.kill(first!.pid!, 'SIGSTOP');
    const rows = await rowsWhen((all) => all.length === 2 && readyOf(all).length === 1);
    expect(rows[0]).toMatchObject({
      id: first!.id,
      state: 'failed',
      cause: 'liveness',
      reason: 'did not answer its liveness probe for 0.6 s',
    });
  });

  it('that holds more memory than it may goes when its replacement is ready, and tells why', async () => {
    await want(1, { instances: { memoryLimitBytes: 1_024 ** 2 } });
    await using _supervisor = await supervise({ times: { watchEveryMs: 20, drainGraceMs: 0 } });
    const rows = await rowsWhen((all) => all.length === 2 && all[0]!.endedAt !== null && all[1]!.readyAt !== null);
    expect(rows[0]).toMatchObject({ state: 'stopped', cause: 'memory' });
    expect(rows[0]!.reason).toMatch(/^holds \d+ MiB, more than the 1 MiB of instances.memoryLimitBytes$/);
    expect(rows[0]!.residentBytes).toBeGreaterThan(10 * 1_024 ** 2);
    expect(rows[0]!.endedAt!.getTime()).toBeGreaterThan(rows[1]!.readyAt!.getTime());
    // The second one holds as much, and is left alone for a while: a model that never fits is not replaced for ever.
    await rowsWhen((all) => all[1]!.residentBytes !== null);
    expect((await rowsWhen(() => true)).map(({ state }) => state)).toEqual(['stopped', 'ready']);
  });

  it('that holds too much is replaced again after the pause, and one of several at a time', async () => {
    await want(2, { instances: { memoryLimitBytes: 1_024 ** 2 } });
    await using _supervisor = await supervise({ times: { watchEveryMs: 20, drainGraceMs: 0, memoryRestartMs: 50 } });
    const rows = await rowsWhen(
      (all) => all.filter(({ cause, endedAt }) => cause === 'memory' && endedAt !== null).length >= 3,
    );
    for (const row of rows.filter(({ cause }) => cause === 'memory')) expect(row.state).not.toBe('failed');
    const events = rows.flatMap(({ readyAt, endedAt }) => [
      ...(readyAt === null ? [] : [{ at: readyAt.getTime(), change: 1 }]),
      ...(endedAt === null ? [] : [{ at: endedAt.getTime(), change: -1 }]),
    ]);
    let carrying = 0;
    const counts = events.sort((a, b) => a.at - b.at || b.change - a.change).map(({ change }) => (carrying += change));
    // Once both were there, there were never fewer.
    expect(Math.min(...counts.slice(counts.indexOf(2)))).toBe(2);
    // And never more than one on top of them.
    expect(Math.max(...counts)).toBe(3);
  });

  it('says in its row what it runs on, and what it was not given', async () => {
    const artifact = path.join(folder, 'wants-cuda');
    await cp(dense, artifact, { recursive: true });
    const manifest = JSON.parse(await readFile(path.join(artifact, 'sluice.json'), 'utf8')) as object;
    const wishes = { ...manifest, onnx: { executionProviders: ['cuda'] } };
    await writeFile(path.join(artifact, 'sluice.json'), JSON.stringify(wishes));
    await want(1, wishes, artifact);
    const lines: string[] = [];
    const spawnReplica = modelServerSpawner({
      entryPath: path.join(root, 'dist/apps/model-server/main.js'),
      onLine: (line) => lines.push(line),
    });
    await using _supervisor = await supervise({ spawnReplica });
    const [row] = readyOf(await rowsWhen((all) => readyOf(all).length === 1));
    expect(row!.runtime).toEqual({
      providers: ['cpu'],
      threads: 1,
      fallbacks: [expect.stringMatching(/^cuda is not available: /)],
    });
    await vi.waitFor(() => expect(lines.join('\n')).toMatch(/cuda is not available: .*; it runs on cpu/));
  });

  it.skipIf(process.platform !== 'linux')('gets its share of the threads, or what the manifest says', async () => {
    await want(2);
    const supervisor = await supervise({ threads: 8 });
    const shared = readyOf(await rowsWhen((all) => readyOf(all).length === 2));
    expect(shared.map(({ runtime }) => runtime!.threads)).toEqual([4, 4]);
    const withFour = await threadsOf(shared[0]!.pid!);
    await supervisor.stop();
    await db.database.query(`UPDATE model_versions SET manifest = '{"instances": {"threads": 3}}'`);
    await using _supervisor = await supervise({ threads: 8 });
    const stated = readyOf(await rowsWhen((all) => readyOf(all).length === 2));
    expect(stated.map(({ runtime }) => runtime!.threads)).toEqual([3, 3]);
    expect(withFour - (await threadsOf(stated[0]!.pid!))).toBe(1);
  });
});

describe('the cause of an end', () => {
  const nothing = (): void => undefined;
  const never = new Promise<never>(nothing);

  it.each<[cause: string, process: (end: Promise<string>) => Partial<ReplicaProcess>]>([
    ['load', () => ({ ready: never, ended: Promise.resolve('model.onnx is broken') })],
    ['crash', () => ({ ready: Promise.resolve(), ended: Promise.resolve().then(() => 'was ended by SIGSEGV') })],
    ['start-deadline', (ended) => ({ ready: never, ended })],
    [
      'liveness',
      (ended) => ({
        ready: Promise.resolve(),
        ended,
        askLiveness: async () => ({ state: 'hung', reason: 'its event loop has stood still' }),
      }),
    ],
  ])('%s stands in the row', async (cause, behave) => {
    await want(1);
    const spawnReplica = (): ReplicaProcess => {
      const killed = Promise.withResolvers<string>();
      const kill = (): void => killed.resolve('was ended by SIGKILL');
      return { pid: undefined, terminate: kill, kill, ready: never, ended: killed.promise, ...behave(killed.promise) };
    };
    const times = { startDeadlineMs: 200, watchEveryMs: 5, firstBackOffMs: 60_000 };
    await using _supervisor = await supervise({ spawnReplica, times });
    const [row] = await rowsWhen((all) => (all[0]?.endedAt ?? null) !== null);
    expect(row).toMatchObject({ state: 'failed', cause });
  });

  it('drain stands in the row of one that somebody asked to go', async () => {
    await want(1);
    await using supervisor = await supervise({ times: { drainGraceMs: 0 } });
    await rowsWhen((all) => readyOf(all).length === 1);
    await want(0);
    await supervisor.reconcile();
    const [row] = await rowsWhen((all) => (all[0]?.endedAt ?? null) !== null);
    expect(row).toMatchObject({ state: 'stopped', cause: 'drain', reason: null });
  });
});

describe('the watch', () => {
  const watch = (askLiveness: () => Promise<LivenessAnswer>, onHang: (reason: string) => void): ReplicaWatch =>
    new ReplicaWatch({
      process: { pid: undefined, askLiveness },
      times: { watchEveryMs: 1, livenessMs: 30 },
      memoryLimitBytes: undefined,
      onHang,
      onMemory: () => undefined,
      onMemoryLimit: () => undefined,
    });

  it('forgives silence that ends in time', async () => {
    let asked = 0;
    const onHang = vi.fn();
    const watching = watch(async () => ({ state: (asked += 1) % 3 === 0 ? 'live' : 'silent' }), onHang);
    await vi.waitFor(() => expect(asked).toBeGreaterThan(60), { timeout: 10_000 });
    watching.stop();
    expect(onHang).not.toHaveBeenCalled();
  });

  it('does not take one late answer for a hang, however late it is', async () => {
    let asked = 0;
    const onHang = vi.fn();
    const watching = watch(async () => {
      asked += 1;
      // As when this process itself was asleep.
      if (asked === 1) await new Promise((resolve) => setTimeout(resolve, 100));
      return { state: asked === 1 ? 'silent' : 'live' };
    }, onHang);
    await vi.waitFor(() => expect(asked).toBeGreaterThan(5), { timeout: 10_000 });
    watching.stop();
    expect(onHang).not.toHaveBeenCalled();
  });

  it('reads the memory of a process, and nothing of one that is gone', async () => {
    const own = await residentBytes(process.pid);
    expect(own! / process.memoryUsage.rss()).toBeGreaterThan(0.5);
    expect(own! / process.memoryUsage.rss()).toBeLessThan(2);
    expect(await residentBytes(2 ** 30)).toBeUndefined();
  });
});
