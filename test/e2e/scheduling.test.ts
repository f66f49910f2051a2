import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
let sluice: SluiceInstance;
let folder: string;
const keys = { greedy: '', modest: '' };

/** One replica that takes about 100 ms for a run, one row at a time, before a short queue. */
const slow = { batching: { maxBatchRows: 1 }, queue: { maxRequests: 6, priorityLevels: 2 } };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-scheduling-'));
  sluice = await SluiceInstance.start();
  for (const name of ['greedy', 'modest'] as const) {
    const { body } = await sluice.call('POST', '/api/keys', { name, role: 'caller' });
    keys[name] = (body as { key: string }).key;
  }
  await serve('slow', 'test/models/tone-slow', slow);
  await serve('cached', 'deploy/models/tone/1', { responseCache: {} });
});
afterAll(async () => {
  await sluice[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Registers a model of this repository under another name and with more in its manifest. */
async function serve(name: string, path: string, more: object): Promise<void> {
  const copy = join(folder, name);
  await cp(join(root, path), copy, { recursive: true });
  const manifest = JSON.parse(await readFile(join(copy, 'sluice.json'), 'utf8')) as object;
  await writeFile(join(copy, 'sluice.json'), JSON.stringify({ ...manifest, name, version: '1', ...more }));
  expect((await sluice.call('POST', '/api/models', { path: copy })).status).toBe(201);
  expect((await sluice.call('POST', '/api/endpoints', { name, model: name, version: '1' })).status).toBe(201);
  await vi.waitFor(async () => expect((await sluice.call('GET', `/v2/models/${name}/ready`)).status).toBe(200), {
    timeout: 60_000,
    interval: 100,
  });
}

async function ask(endpoint: string, key: string, parameters: object = {}): Promise<Response> {
  const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['I am here for you.'] }];
  const response = await fetch(`${sluice.base}/v2/models/${endpoint}/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs, parameters }),
  });
  return response;
}

const errorOf = async (response: Response): Promise<string> => ((await response.json()) as { error: string }).error;

it('answers everybody else while one caller floods the queue, and tells that one when to come again', async () => {
  const flood = { isOver: false, statuses: new Set<number>(), refusals: [] as (string | null)[] };
  const greedy = Array.from({ length: 20 }, async () => {
    while (!flood.isOver) {
      const response = await ask('slow', keys.greedy);
      await response.arrayBuffer();
      flood.statuses.add(response.status);
      if (response.status === 200) continue;
      flood.refusals.push(response.headers.get('retry-after'));
      await pause(20);
    }
  });
  await vi.waitFor(() => expect(flood.statuses).toContain(503), { timeout: 20_000 });
  for (let count = 0; count < 4; count += 1) expect((await ask('slow', keys.modest)).status).toBe(200);
  for (let count = 0; count < 3; count += 1) {
    const late = await ask('slow', keys.modest, { timeout: 1_000 });
    expect([late.status, await errorOf(late)]).toEqual([504, expect.stringContaining('0.001 s')]);
  }
  flood.isOver = true;
  await Promise.all(greedy);
  expect([...flood.statuses].sort()).toEqual([200, 429, 503]);
  for (const seconds of flood.refusals) expect(Number(seconds)).toBeGreaterThanOrEqual(1);
  const { body } = await sluice.call('GET', '/metrics');
  expect(body).toMatch(/sluice_inference_queue_refused_total\{[^}]*model="slow"[^}]*reason="evicted"[^}]*\} [1-9]/);
  expect(body).toMatch(/sluice_inference_queue_expired_total\{[^}]*model="slow"[^}]*\} [1-9]/);
});

it('refuses a priority that the version does not have, and says which there are', async () => {
  expect((await ask('slow', keys.modest, { priority: 2 })).status).toBe(200);
  const refused = await ask('slow', keys.modest, { priority: 3 });
  expect([refused.status, await errorOf(refused)]).toEqual([
    400,
    'parameters.priority: is 3, but version 1 has the priorities 1 (most urgent) to 2, or 0 for its default',
  ]);
});

it('answers from the cache for the key that has asked before, and for no other', async () => {
  const answers = [];
  for (const key of [keys.greedy, keys.greedy, keys.modest]) answers.push(await ask('cached', key));
  expect(answers.map(({ headers }) => headers.get('sluice-cache'))).toEqual([null, 'hit', null]);
  const [first, second] = await Promise.all(answers.map((answer) => answer.text()));
  expect(second).toBe(first);
});
