// Loads and unloads a model again and again through the real supervisor, each time in a process of its own, and says after
// each cycle what this process, the supervisor's, holds: `node --expose-gc test/load/model-cycles.ts <database url> <cycles>`.
import { ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { queryObjects } from 'node:v8';
import { modelServerSpawner, OipReplica, ReplicaSupervisor } from '#libs/inference';
import { Database } from '#libs/store';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [url, cycleText] = process.argv.slice(2);
const cycles = Number(cycleText);
if (url === undefined || !(cycles > 0)) throw new Error('usage: model-cycles.ts <database url> <cycles>');
if (globalThis.gc === undefined) throw new Error('run it with --expose-gc');

const model = { model: 'dense', version: '1' };
const socketFolder = await mkdtemp(path.join(tmpdir(), 'cyc-'));
const database = await Database.connect({ url, applicationName: 'model-cycles' });
const supervisor = new ReplicaSupervisor({
  database,
  host: 'here',
  socketFolder,
  spawnReplica: modelServerSpawner({ entryPath: path.join(root, 'dist/apps/model-server/main.js') }),
  times: { drainGraceMs: 0, watchEveryMs: 20, memoryRowMs: 0 },
});
await database.query(
  `INSERT INTO model_versions (model, version, format, manifest, content_digest, artifact_path, state, registered_by)
   VALUES ('dense', '1', 'onnx', '{}', 'd', $1, 'registered', 'test')`,
  [path.join(root, 'test/models/dense')],
);
await supervisor.start();
for (let cycle = 1; cycle <= cycles; cycle += 1) {
  await want(1);
  const [ready] = await rowsWhen(`state = 'ready'`, 1);
  await useOnce(ready!);
  await want(0);
  await rowsWhen(`state = 'stopped' AND ended_at IS NOT NULL`, cycle);
  await settle();
  const { heapUsed, external, rss } = process.memoryUsage();
  const sample = {
    cycle,
    heapBytes: heapUsed + external,
    residentBytes: rss,
    handles: process.getActiveResourcesInfo().length,
    // Of replicas that have gone, what is still reachable. Counting walks the whole heap.
    kept: cycle === cycles ? Number(queryObjects(ChildProcess)) + Number(queryObjects(OipReplica)) : 0,
    files: (await readdir(socketFolder)).length,
  };
  process.stdout.write(`${JSON.stringify(sample)}\n`);
}
await supervisor.stop();
await database[Symbol.asyncDispose]();
await rm(socketFolder, { recursive: true });

async function want(desired: number): Promise<void> {
  await database.query(
    `INSERT INTO replica_sets (model, version, desired) VALUES ('dense', '1', $1)
     ON CONFLICT (model, version) DO UPDATE SET desired = $1, updated_at = now()`,
    [desired],
  );
  await supervisor.reconcile();
}

interface Place {
  id: string;
  address: string;
}

async function rowsWhen(condition: string, count: number): Promise<Place[]> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const rows = await database.query<Place>(`SELECT id, address FROM replicas WHERE ${condition}`);
    if (rows.length === count) return rows;
    if (performance.now() > deadline) throw new Error(`${rows.length} rows where ${condition}, not ${count}`);
    await sleep(10);
  }
}

/** As an API does it: it connects, infers and goes. */
async function useOnce({ id, address }: Place): Promise<void> {
  await using replica = new OipReplica({ id, address, ...model });
  const data = new Float32Array(16);
  const [y] = await replica.infer([{ name: 'x', datatype: 'FP32', shape: [1, 16], data }], { timeoutMs: 30_000 });
  if (y?.data.length !== 3) throw new Error('the model gave no answer');
}

/** What has been let go of is collected in more than one go: finalizers let go of more. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await sleep(5);
    globalThis.gc?.();
  }
}
