import { Database } from '#libs/store';
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import OpenAI, { RateLimitError } from 'openai';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { periodOf } from '../support/budgets.js';
import { ScriptedUpstream, sendJson } from '../support/openai-upstream.js';
import { InferenceClient } from '../support/inference-grpc.js';
import { offerFar } from '../support/remote-endpoint.js';
import { SluiceInstance } from '../support/sluice-instance.js';

const patience = { timeout: 120_000, interval: 100 };

let stack: AsyncDisposableStack;
let sluice: SluiceInstance;
let database: Database;
let upstream: ScriptedUpstream;

/** As the model server of the language model counts: a few tokens of prompt, and up to what it was asked for. */
const promptTokens = 12;
const mostTokens = 20;

beforeAll(async () => {
  await using owned = new AsyncDisposableStack();
  upstream = owned.use(
    await ScriptedUpstream.start(({ path, body }, res) => {
      if (!path.endsWith('/completions')) return sendJson(res, { object: 'list', data: [] });
      const completion_tokens = 1 + Math.floor(Math.random() * Number(body!['max_tokens']));
      const said = path.endsWith('/chat/completions')
        ? { message: { role: 'assistant', content: 'word' } }
        : { text: 'word' };
      return sendJson(res, {
        object: 'chat.completion',
        model: 'far',
        choices: [{ index: 0, ...said, finish_reason: 'length' }],
        usage: { prompt_tokens: promptTokens, completion_tokens, total_tokens: promptTokens + completion_tokens },
      });
    }),
  );
  sluice = owned.use(await SluiceInstance.start());
  await offerFar(sluice, upstream.address, 'far');
  expect((await sluice.call('POST', '/api/prices', { endpoint: 'tone', requestMicros: 1 })).status).toBe(201);
  const [pid] = await sluice.pids('api');
  const { DATABASE_URL: url } = await sluice.environmentOf(pid);
  database = owned.use(await Database.connect({ url: url!, applicationName: 'refusals' }));
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

const tone = JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['I am here.'] }] });
const messages = [{ role: 'user' as const, content: 'Say a few words.' }];

it('refuses over OpenAI’s protocol as its SDKs know it: insufficient_quota, once, before any stream begins', async () => {
  const { key } = await payerWith('tokens', 5);
  let attempts = 0;
  const counted: typeof fetch = (...asked) => {
    attempts += 1;
    return fetch(...asked);
  };
  const client = new OpenAI({ apiKey: key, baseURL: `${sluice.base}/v1`, maxRetries: 3, fetch: counted });
  const upstreamRequests = upstream.requests.filter(({ method }) => method === 'POST').length;
  const asked = { model: 'far', max_tokens: mostTokens };
  for (const create of [
    () => client.chat.completions.create({ ...asked, messages }),
    () => client.chat.completions.create({ ...asked, messages, stream: true }),
    () => client.completions.create({ ...asked, prompt: 'Say' }),
    () => client.responses.create({ model: 'far', input: 'Say', max_output_tokens: mostTokens }),
  ]) {
    attempts = 0;
    const failure = await create().then(
      () => expect.unreachable('it was answered'),
      (error: unknown) => error as RateLimitError,
    );
    expect(failure).toBeInstanceOf(RateLimitError);
    expect(failure).toMatchObject({ status: 429, code: 'insufficient_quota', type: 'insufficient_quota', param: null });
    expect(failure.message).toMatch(/budget race tokens has 5 tokens left of 5 tokens/);
    // It has no period: nobody knows when there is more.
    expect([failure.headers.get('x-should-retry'), failure.headers.get('retry-after')]).toEqual(['false', null]);
    expect(attempts).toBe(1);
  }
  expect(upstream.requests.filter(({ method }) => method === 'POST')).toHaveLength(upstreamRequests);
});

it('refuses over the Open Inference Protocol, by HTTP and by gRPC, and says which budget and why', async () => {
  const { key } = await payerWith('money', 1);
  const infer = () => post(`${sluice.base}/v2/models/tone/infer`, key, tone);
  expect((await infer()).status).toBe(200);
  const words =
    /^budget race money has 0\.00 USD left of 0\.000001 USD, and this request may cost up to 0\.000001 USD: /;
  const refused = await infer();
  expect([refused.status, refused.headers.get('sluice-error-code'), refused.headers.get('retry-after')]).toEqual([
    429,
    'SLU_BUDGET_EXHAUSTED',
    null,
  ]);
  expect(await refused.json()).toEqual({ error: expect.stringMatching(words) });

  const client = new InferenceClient(`127.0.0.1:${sluice.grpcPort}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const input = { name: 'text', datatype: 'BYTES', shape: [1], contents: { bytesContents: [Buffer.from('I')] } };
  const failure = await new Promise<ServiceError>((resolve) => {
    client.ModelInfer({ modelName: 'tone', inputs: [input] }, metadata, (error: ServiceError) => resolve(error));
  });
  client.close();
  expect(failure).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: expect.stringMatching(words) });
  expect(failure.metadata.get('sluice-error-code')).toEqual(['SLU_BUDGET_EXHAUSTED']);
  expect(failure.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1']);
});

it('holds the generate routes to keys, limits and budgets as all others', async () => {
  const generate = (key: string, kind = 'generate', endpoint = 'far') =>
    post(`${sluice.base}/v2/models/${endpoint}/${kind}`, key, JSON.stringify({ text_input: 'Say', max_tokens: 20 }));
  const stranger = await generate('slu_nobody');
  expect([stranger.status, Object.keys((await stranger.json()) as object)]).toEqual([401, ['error']]);
  const bound = await sluice.call('POST', '/api/keys', { name: 'bound', role: 'caller', endpoints: ['tone'] });
  expect((await generate(bound.body.key as string)).status).toBe(404);
  const auditor = await sluice.call('POST', '/api/keys', { name: 'auditor', role: 'auditor' });
  expect((await generate(auditor.body.key as string)).status).toBe(403);

  const poor = await payerWith('tokens', 5);
  for (const kind of ['generate', 'generate_stream']) {
    const refused = await generate(poor.key, kind);
    expect([kind, refused.status, refused.headers.get('sluice-error-code')]).toEqual([
      kind,
      429,
      'SLU_BUDGET_EXHAUSTED',
    ]);
    expect(await refused.json()).toEqual({ error: expect.stringContaining('budget race tokens has 5 tokens left') });
  }

  const rich = await payerWith('tokens', 100_000);
  expect((await sluice.call('PUT', `/api/limits/key/${rich.keyId}`, { requestsPerDay: 1 })).status).toBe(200);
  const answered = await generate(rich.key);
  expect([answered.status, await answered.json()]).toMatchObject([200, { model_name: 'far', text_output: 'word' }]);
  expect(answered.headers.get('ratelimit')).toMatch(/requests-per-day.*r=0/);
  for (const kind of ['generate', 'generate_stream']) {
    const refused = await generate(rich.key, kind);
    expect([kind, refused.status, await refused.json()]).toEqual([
      kind,
      429,
      { error: expect.stringContaining('requests-per-day of this key') },
    ]);
  }
  await vi.waitFor(async () => {
    const { spent, held } = await periodOf(database, rich.budgetId);
    expect(held).toBe(0);
    expect(spent).toBeGreaterThan(promptTokens);
    expect(spent).toBeLessThanOrEqual(promptTokens + mostTokens);
  }, patience);
});

const post = (url: string, key: string, body: string): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body,
  });
