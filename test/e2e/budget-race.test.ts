import { Database } from '#libs/store';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { ApiFleet } from '../support/api-fleet.js';
import { periodOf, type PeriodSums } from '../support/budgets.js';
import { ScriptedUpstream, sendJson } from '../support/openai-upstream.js';
import { SluiceInstance } from '../support/sluice-instance.js';

const processCount = 4;
const clientCount = 200;
/** The long run: `SLUICE_RACE_KILLS=40`. */
const kills = Number(process.env['SLUICE_RACE_KILLS'] ?? 6);
const lostSeconds = 3;
const patience = { timeout: 120_000, interval: 100 };
const raceTimeoutMs = 600_000;

let stack: AsyncDisposableStack;
let sluice: SluiceInstance;
let fleet: ApiFleet;
let database: Database;
let upstream: ScriptedUpstream;

/** As the model server of the language model counts: a few tokens of prompt, and up to what it was asked for. */
const promptTokens = 12;
const mostTokens = 20;

beforeAll(async () => {
  await using owned = new AsyncDisposableStack();
  upstream = owned.use(
    await ScriptedUpstream.start(({ path, body }, res) => {
      if (!path.endsWith('/chat/completions')) return sendJson(res, { object: 'list', data: [] });
      const completion_tokens = 1 + Math.floor(Math.random() * Number(body!['max_tokens']));
      const message = { role: 'assistant', content: 'word' };
      return sendJson(res, {
        object: 'chat.completion',
        model: 'far',
        choices: [{ index: 0, message, finish_reason: 'length' }],
        usage: { prompt_tokens: promptTokens, completion_tokens, total_tokens: promptTokens + completion_tokens },
      });
    }),
  );
  const env = { SLUICE_BUDGET_LOST_SECONDS: String(lostSeconds) };
  sluice = owned.use(await SluiceInstance.start({ env }));
  const manifest = {
    schemaVersion: 1,
    name: 'far',
    version: '1',
    format: 'remote',
    task: 'text-generation',
    remote: { protocol: 'openai', targets: [{ url: upstream.address, model: 'far' }] },
  };
  expect((await sluice.call('POST', '/api/models', { manifest })).status).toBe(201);
  expect((await sluice.call('POST', '/api/endpoints', { name: 'far', model: 'far', version: '1' })).status).toBe(201);
  expect((await sluice.call('POST', '/api/prices', { endpoint: 'tone', requestMicros: 1 })).status).toBe(201);
  await vi.waitFor(async () => expect((await sluice.call('GET', '/v2/models/far/ready')).status).toBe(200), patience);
  fleet = owned.use(await ApiFleet.start(sluice, processCount, env));
  database = owned.use(await Database.connect({ url: fleet.databaseUrl, applicationName: 'race' }));
  stack = owned.move();
});
afterAll(() => stack?.disposeAsync());

interface Payer {
  key: string;
  keyId: string;
  budgetId: string;
}

async function payerWith(unit: 'money' | 'tokens', limit: number): Promise<Payer> {
  const made = await sluice.call('POST', '/api/keys', { name: `race ${unit}`, roles: ['caller'] });
  expect(made.status).toBe(201);
  const { key, id } = made.body as { key: string; id: string };
  const wish = { name: `race ${unit}`, subject: { kind: 'key', id }, unit, limit, period: 'total', isHard: true };
  const budget = await sluice.call('POST', '/api/budgets', wish);
  expect(budget.status).toBe(201);
  return { key, keyId: id, budgetId: (budget.body as { id: string }).id };
}

/** What clients saw. Of a request whose connection broke nobody knows whether it was answered. */
interface Seen {
  answered: number;
  used: number;
  broken: number;
  refused: number;
  others: Map<number, string>;
}

/** Sends from many clients to all processes while those are killed at random, until the budget has been spent. */
async function race(
  payer: Payer,
  limit: number,
  send: (base: string) => Promise<Response>,
  cost: (body: any) => number,
) {
  const seen: Seen = { answered: 0, used: 0, broken: 0, refused: 0, others: new Map() };
  const over = { isIt: false };
  const client = async (): Promise<void> => {
    while (!over.isIt) {
      await pause(Math.random() * 1_000);
      const base = fleet.bases[Math.floor(Math.random() * processCount)]!;
      try {
        const response = await send(base);
        const body: unknown = await response.json();
        if (response.status === 200) {
          seen.answered += 1;
          seen.used += cost(body);
        } else if (response.status === 429) {
          seen.refused += 1;
        } else seen.others.set(response.status, JSON.stringify(body));
      } catch {
        seen.broken += 1;
      }
    }
  };
  const clients = Array.from({ length: clientCount }, client);
  for (let kill = 0; kill < kills; kill += 1) {
    await pause(100 + Math.random() * 500);
    await fleet.replace(Math.floor(Math.random() * processCount));
  }
  await vi.waitFor(async () => {
    const { spent, held } = await periodOf(database, payer.budgetId);
    expect(spent + held).toBeLessThanOrEqual(limit);
    expect(held).toBe(0);
    expect(seen.refused).toBeGreaterThan(clientCount);
  }, patience);
  over.isIt = true;
  await Promise.all(clients);
  await vi.waitFor(async () => expect((await periodOf(database, payer.budgetId)).held).toBe(0), patience);
  return { seen, period: await periodOf(database, payer.budgetId) };
}

/** The same settlement writes the budget and the usage: what one counts twice or not at all, the other shows. */
async function settledOf({ keyId }: Payer): Promise<{ cost: number; tokens: number; requests: number }> {
  const { body } = await sluice.call('GET', `/api/usage?keyId=${keyId}&groupBy=key`);
  const [sum] = (body as { usage: Record<string, number>[] }).usage;
  return { cost: sum!['costMicros']!, tokens: sum!['tokensIn']! + sum!['tokensOut']!, requests: sum!['requests']! };
}

function expectNothingLost(seen: Seen, { spent, writtenOff }: PeriodSums, settled: number): void {
  expect([...seen.others]).toEqual([]);
  // Neither lost nor twice: what was settled is what the usage says, and what clients got is settled or written off.
  expect(settled).toBe(spent - writtenOff);
  expect(seen.used).toBeLessThanOrEqual(spent);
  expect(seen.used - settled).toBeLessThanOrEqual(writtenOff);
}

it(
  'spends 1,000 units exactly with 200 clients on 4 processes that are killed at random',
  async () => {
    const limit = 1_000;
    const payer = await payerWith('money', limit);
    const body = JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['I am here.'] }] });
    const send = (base: string): Promise<Response> => post(`${base}/v2/models/tone/infer`, payer.key, body);
    const { seen, period } = await race(payer, limit, send, () => 1);
    const { cost } = await settledOf(payer);
    expect(period).toMatchObject({ spent: limit, held: 0, overrun: 0 });
    expectNothingLost(seen, period, cost);
    // What was settled was answered, or its connection broke before the client knew.
    expect(cost).toBeLessThanOrEqual(seen.answered + seen.broken);
    expect(seen.answered).toBeGreaterThan(limit / 2);
  },
  raceTimeoutMs,
);

it(
  'never spends more tokens than the budget has, with the same clients, processes and kills',
  async () => {
    const limit = 30_000;
    const payer = await payerWith('tokens', limit);
    const messages = [{ role: 'user', content: 'Say a few words.' }];
    const body = JSON.stringify({ model: 'far', messages, max_tokens: mostTokens });
    const send = (base: string): Promise<Response> => post(`${base}/v1/chat/completions`, payer.key, body);
    const { seen, period } = await race(payer, limit, send, ({ usage }) => usage.total_tokens as number);
    const { tokens } = await settledOf(payer);
    expect(period.spent).toBeLessThanOrEqual(limit);
    // What is left is less than one request may use at most.
    expect(limit - period.spent).toBeLessThan(600);
    expectNothingLost(seen, period, tokens);
    expect(tokens).toBeLessThanOrEqual(seen.used + seen.broken * (promptTokens + mostTokens));
  },
  raceTimeoutMs,
);

const post = (url: string, key: string, body: string): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body,
  });
