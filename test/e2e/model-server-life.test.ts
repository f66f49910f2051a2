import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';

const dense = fileURLToPath(new URL('../models/dense', import.meta.url));

interface ReplicaView {
  id: string;
  model: string;
  pid: number;
  state: string;
  reason: string | null;
  cause: string | null;
  residentBytes: number | null;
  runtime: { providers: string[]; threads: number; fallbacks: string[] } | null;
}

let sluice: SluiceInstance;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'life-'));
  sluice = await SluiceInstance.start({ env: { SLUICE_REPLICA_LIVENESS_SECONDS: '2' } });
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** The dense model under settings of its own, live at an endpoint of its name. */
async function serve(name: string, settings: object): Promise<void> {
  const artifact = join(folder, name);
  await cp(dense, artifact, { recursive: true });
  const manifest = JSON.parse(await readFile(join(artifact, 'sluice.json'), 'utf8')) as object;
  await writeFile(join(artifact, 'sluice.json'), JSON.stringify({ ...manifest, name, ...settings }));
  expect((await sluice.call('POST', '/api/models', { path: artifact })).status).toBe(201);
  expect((await sluice.call('POST', '/api/endpoints', { name, model: name, version: '1' })).status).toBe(201);
}

async function replicasWhen(model: string, isSo: (replicas: ReplicaView[]) => boolean): Promise<ReplicaView[]> {
  return vi.waitFor(
    async () => {
      const { body } = await sluice.call('GET', '/api/replicas');
      const found = (body as { replicas: ReplicaView[] }).replicas.filter((replica) => replica.model === model);
      if (!isSo(found)) throw new Error(`replicas are ${JSON.stringify(found)}`);
      return found;
    },
    { timeout: 60_000, interval: 100 },
  );
}

const ready = (replicas: ReplicaView[]): ReplicaView[] => replicas.filter(({ state }) => state === 'ready');
const infer = (name: string) => {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 16], data: Array.from({ length: 16 }, () => 0.5) }];
  return sluice.call('POST', `/v2/models/${name}/infer`, { inputs });
};

it('gives a version as many replicas as its manifest says, and shows what they run on', async () => {
  await serve('pair', { instances: { count: 2, threads: 1 }, onnx: { executionProviders: ['cuda', 'cpu'] } });
  const pair = ready(await replicasWhen('pair', (all) => ready(all).length === 2));
  for (const { runtime } of pair) {
    expect(runtime).toMatchObject({ providers: ['cpu'], threads: 1 });
    expect(runtime!.fallbacks).toEqual([expect.stringContaining('cuda is not available')]);
  }
  expect((await infer('pair')).status).toBe(200);
  const log = await readFile(join(sluice.home, 'logs', 'model-servers.log'), 'utf8');
  expect(log).toContain('cuda is not available');
});

it('replaces a replica that stands still, answers meanwhile, and counts it', async () => {
  const [first, second] = ready(await replicasWhen('pair', (all) => ready(all).length === 2));
  process.kill(first!.pid, 'SIGSTOP');
  const found = await replicasWhen(
    'pair',
    (all) => ready(all).length === 2 && !ready(all).some(({ id }) => id === first!.id),
  );
  expect(found.find(({ id }) => id === first!.id)).toMatchObject({
    state: 'failed',
    cause: 'liveness',
    reason: 'did not answer its liveness probe for 2 s',
  });
  expect(ready(found).map(({ id }) => id)).toContain(second!.id);
  await vi.waitFor(async () => expect((await infer('pair')).status).toBe(200), { timeout: 20_000 });
  const { body: metrics } = await sluice.call('GET', '/metrics');
  expect(metrics).toMatch(/sluice_inference_replica_ends_total\{[^}]*model="pair"[^}]*cause="liveness"[^}]*\} 1/);
});

it('replaces a replica that holds too much memory without failing a request', async () => {
  const limit = 64 * 1_024 ** 2;
  await serve('heavy', { instances: { memoryLimitBytes: limit } });
  const [first] = await replicasWhen('heavy', (all) => ready(all).length === 1);
  const statuses = new Set<number>();
  const progress = { isOver: false };
  const asking = (async () => {
    while (!progress.isOver) statuses.add((await infer('heavy')).status);
  })();
  const found = await replicasWhen('heavy', (all) =>
    all.some(({ cause, state }) => cause === 'memory' && state === 'stopped'),
  );
  progress.isOver = true;
  await asking;
  expect([...statuses]).toEqual([200]);
  const gone = found.find(({ id }) => id === first!.id)!;
  expect(gone.reason).toMatch(/^holds \d+ MiB, more than the 64 MiB of instances.memoryLimitBytes$/);
  expect(gone.residentBytes).toBeGreaterThan(limit);
});
