import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { gatewayKey, startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import {
  chatAnswer,
  chatChunk,
  hold,
  openStream,
  ScriptedUpstream,
  sendJson,
  talking,
  usage,
  type UpstreamScript,
} from '../../../test/support/openai-upstream.js';

const usual: UpstreamScript = (request, res) => {
  if (request.path === '/v1/completions')
    return sendJson(res, {
      id: 'c',
      object: 'text_completion',
      created: 1,
      model: 'x',
      choices: [{ text: 'hi', index: 0, finish_reason: 'stop', logprobs: null }],
      usage,
    });
  if (request.path === '/v1/embeddings') {
    const data = (request.body!['input'] as string[]).map((_text, index) => ({
      object: 'embedding',
      index,
      embedding: [0.5, -2, index],
    }));
    return sendJson(res, { object: 'list', data, model: 'x', usage: { prompt_tokens: 4, total_tokens: 4 } });
  }
};

let script: UpstreamScript;
let upstream: ScriptedUpstream;
let gateway: Gateway;
let client: OpenAI;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start(talking((request, res) => script(request, res)));
  gateway = await startGateway({
    endpoints: {
      chat: { upstreams: [upstream.address] },
      vectors: { upstreams: [upstream.address], task: 'embedding' },
      tone: { upstreams: [upstream.address], task: 'tensors' },
    },
    service: { replicaWaitMs: 5_000 },
  });
  client = new OpenAI({ apiKey: gatewayKey, baseURL: `${gateway.base}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});
beforeEach(() => {
  script = usual;
  upstream.requests.length = 0;
  gateway.records.length = 0;
});

const messages = [{ role: 'user' as const, content: 'Hallo 語 👋🏽' }];
const asked = () => upstream.requests.filter(({ method }) => method === 'POST');

it('lists and describes the endpoints with language models, and no others', async () => {
  const names: string[] = [];
  for await (const model of client.models.list()) names.push(model.id);
  expect(names).toEqual(['chat', 'vectors']);
  expect(await client.models.retrieve('chat')).toMatchObject({ id: 'chat', object: 'model', owned_by: 'sluice' });
  await expect(client.models.retrieve('tone')).rejects.toBeInstanceOf(NotFoundError);
  await expect(client.models.retrieve('chat:9')).rejects.toBeInstanceOf(NotFoundError);
});

it('chats, and says by which version and arm', async () => {
  const { data, response } = await client.chat.completions
    .create({ model: 'chat', messages, temperature: 0.5, seed: 7, user: 'u' })
    .withResponse();
  expect(data).toEqual({ ...chatAnswer('one two three'), model: 'chat' });
  expect(asked()[0]!.body).toEqual({ model: 'upstream-name', messages, temperature: 0.5, seed: 7, user: 'u' });
  const { headers } = response;
  expect([headers.get('sluice-model-version'), headers.get('sluice-arm')]).toEqual(['2', 'stable']);
  expect(headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(headers.get('openai-processing-ms')).toMatch(/^\d+$/);
  expect(headers.get('x-request-id')).toBe(headers.get('sluice-request-id'));
  expect(gateway.records).toMatchObject([
    {
      requestId: headers.get('sluice-request-id'),
      endpoint: 'chat',
      version: '2',
      status: 200,
      outcome: 'ok',
      keyId: 'k1',
      language: { isStreamed: false, promptTokens: 5, completionTokens: 3, firstTokenMs: undefined },
    },
  ]);
});

it('streams whole, in the endpoint’s name, with the usage only where it was asked for', async () => {
  for (const include_usage of [false, true]) {
    const stream = await client.chat.completions.create({
      model: 'chat',
      messages,
      stream: true,
      ...(include_usage && { stream_options: { include_usage } }),
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('one two three');
    expect(new Set(chunks.map((chunk) => chunk.model))).toEqual(new Set(['chat']));
    expect(chunks.flatMap((chunk) => chunk.usage ?? [])).toEqual(include_usage ? [usage] : []);
    expect(chunks.at(include_usage ? -2 : -1)!.choices[0]!.finish_reason).toBe('stop');
  }
  expect(asked().map(({ body }) => body!['stream_options'])).toEqual([
    { include_usage: true },
    { include_usage: true },
  ]);
  await vi.waitFor(() => expect(gateway.records).toHaveLength(2));
  expect(gateway.records[1]).toMatchObject({
    outcome: 'ok',
    language: { isStreamed: true, promptTokens: 5, completionTokens: 3, firstTokenMs: expect.any(Number) as number },
  });
});

it('completes texts and makes embeddings, in base64 also where the model server knows only numbers', async () => {
  const completion = await client.completions.create({ model: 'chat', prompt: ['a', 'b'], max_tokens: 3 });
  expect([completion.model, completion.choices[0]!.text]).toEqual(['chat', 'hi']);
  for (const encoding_format of [undefined, 'float', 'base64'] as const) {
    const { data, model } = await client.embeddings.create({
      model: 'vectors',
      input: ['a', 'b'],
      ...(encoding_format !== undefined && { encoding_format }),
    });
    const [, second] = data as { embedding: number[] | string }[];
    expect(model).toBe('vectors');
    if (encoding_format === 'base64') expect(second!.embedding).toBe('AAAAPwAAAMAAAIA/');
    else expect([...(second!.embedding as number[])]).toEqual([0.5, -2, 1]);
  }
});

it('takes exactly one version when the model names it', async () => {
  const { response, data } = await client.chat.completions.create({ model: 'chat:2', messages }).withResponse();
  expect([response.headers.get('sluice-arm'), data.model]).toEqual(['pinned', 'chat']);
  const failure = await failureOf(client.chat.completions.create({ model: 'chat:9', messages }));
  expect([failure.status, failure.code, failure.param]).toEqual([404, 'model_not_found', 'model']);
});

const failureOf = async (work: Promise<unknown>): Promise<APIError> => {
  const failure: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(APIError);
  return failure as APIError;
};

it('fails with the errors that the SDK knows', async () => {
  const stranger = new OpenAI({ apiKey: 'sk-bad', baseURL: `${gateway.base}/v1`, maxRetries: 0 });
  const unknown = await failureOf(stranger.chat.completions.create({ model: 'chat', messages }));
  expect(unknown).toBeInstanceOf(AuthenticationError);
  expect([unknown.code, unknown.requestID]).toEqual(['invalid_api_key', expect.stringMatching(/^[0-9a-f-]{36}$/)]);

  const nobody = await failureOf(client.chat.completions.create({ model: 'nobody', messages }));
  expect(nobody).toBeInstanceOf(NotFoundError);
  expect([nobody.code, nobody.param, nobody.message]).toEqual([
    'model_not_found',
    'model',
    '404 there is no endpoint nobody',
  ]);
  for (const work of [
    () => client.chat.completions.create({ model: 'tone', messages }),
    () => client.chat.completions.create({ model: 'vectors', messages }),
    () => client.embeddings.create({ model: 'chat', input: 'a' }),
  ])
    expect((await failureOf(work())).code).toBe('model_not_supported');

  const bad = await failureOf(client.chat.completions.create({ model: 'chat', messages, temperature: 3 }));
  expect(bad).toBeInstanceOf(BadRequestError);
  expect([bad.param, bad.message]).toEqual(['temperature', '400 temperature: must be a number from 0 to 2']);
  await vi.waitFor(() => expect(gateway.records.map((record) => record.errorCode)).toHaveLength(4));
});

it('hands on what the model server refuses, and when it says to come again', async () => {
  script = (_request, res) =>
    sendJson(res, { error: { message: 'too long', param: 'messages', code: 'context_length_exceeded' } }, 400);
  const refused = await failureOf(client.chat.completions.create({ model: 'chat', messages }));
  expect([refused.status, refused.param, refused.code, refused.message]).toEqual([
    400,
    'messages',
    'context_length_exceeded',
    '400 too long',
  ]);
  script = (_request, res) => sendJson(res, { error: { message: 'slow' } }, 429, { 'retry-after': '7' });
  const busy = await failureOf(client.chat.completions.create({ model: 'chat', messages, stream: true }));
  expect(busy).toBeInstanceOf(RateLimitError);
  expect(busy.headers?.get('retry-after')).toBe('7');
  // Whose key is wrong there is not for the caller to hear.
  script = (_request, res) => sendJson(res, { error: { message: 'key sk-upstream-123 is wrong' } }, 401);
  const ours = await failureOf(client.chat.completions.create({ model: 'chat', messages }));
  expect([ours.status, ours.message.includes('sk-upstream')]).toEqual([502, false]);
  expect(gateway.outcomes.slice(-3)).toEqual(['caller', 'overload', 'model']);
});

it('is retried by the SDK where that can help, and not where it cannot', async () => {
  const patient = client.withOptions({ maxRetries: 2 });
  let count = 0;
  script = (_request, res) => {
    count += 1;
    if (count === 1) sendJson(res, {}, 503, { 'retry-after': '0' });
  };
  expect((await patient.chat.completions.create({ model: 'chat', messages })).choices).toHaveLength(1);
  expect(count).toBe(2);
  count = 0;
  script = (_request, res) => {
    count += 1;
    sendJson(res, { error: 'out of memory' }, 500);
  };
  const failed = await failureOf(patient.chat.completions.create({ model: 'chat', messages }));
  expect([failed.status, failed.headers?.get('x-should-retry'), count]).toEqual([500, 'false', 1]);
});

it('ends the generation when the SDK cancels, and counts what had come', async () => {
  script = (_request, res) => {
    const write = openStream(res);
    write(chatChunk('one'));
    write(chatChunk(' two'));
    hold(res);
  };
  const stream = await client.chat.completions.create({ model: 'chat', messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content === ' two') break;
  await asked()[0]!.whenLeft;
  await vi.waitFor(() => expect(gateway.records).toHaveLength(1));
  expect(gateway.records[0]).toMatchObject({
    status: 499,
    errorCode: 'SLU_REQUEST_ABANDONED',
    outcome: 'caller',
    language: { completionTokens: 2 },
  });
  expect(gateway.service.inFlight).toBe(0);

  script = (_request, res) => hold(res);
  const abort = new AbortController();
  const waiting = client.chat.completions.create({ model: 'chat', messages }, { signal: abort.signal });
  waiting.catch(() => undefined);
  await vi.waitFor(() => expect(asked()).toHaveLength(2));
  abort.abort();
  await asked()[1]!.whenLeft;
});
