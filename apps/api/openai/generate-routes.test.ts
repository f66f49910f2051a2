import { openAdmissions } from '../../../test/support/open-admissions.js';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { somePrincipal } from '../../../test/support/principal.js';
import { startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import { hold, openStream, ScriptedUpstream, sendJson, talking, usage } from '../../../test/support/openai-upstream.js';
import { generatePaths, generateSchemas } from './generate-openapi.js';
import { generateRoutes } from './generate-routes.js';

let upstream: ScriptedUpstream;
let gateway: Gateway;
let server: FastifyInstance;
const routes: string[] = [];
const lines: string[] = [];

beforeAll(async () => {
  upstream = await ScriptedUpstream.start(
    talking((request, res) => {
      if (request.body?.['seed'] === 7) return void res.end('{"choices":[{"text":my private text}]}');
      if (request.body?.['stream'] !== true)
        return sendJson(res, { model: 'x', choices: [{ index: 0, text: ' Paris 語', finish_reason: 'stop' }], usage });
      const write = openStream(res);
      write({ model: 'x', choices: [{ index: 0, text: ' Pa', finish_reason: null }] });
      hold(res);
      if (request.body['seed'] === 13) return void setTimeout(() => res.socket!.destroy(), 20);
      write({ model: 'x', choices: [{ index: 0, text: 'ris 語', finish_reason: 'stop' }] });
      res.end('data: [DONE]\n\n');
    }),
  );
  gateway = await startGateway({
    endpoints: { chat: { upstreams: [upstream.address] }, tone: { upstreams: [upstream.address], task: 'tensors' } },
  });
  server = fastify({ exposeHeadRoutes: false, logger: { stream: { write: (line) => void lines.push(line) } } });
  server.addHook('onRoute', ({ url }) => void routes.push(url.replace(/:(\w+)/g, '{$1}')));
  await server.register(generateRoutes, {
    language: gateway.service,
    admissions: openAdmissions,
    authenticate: () => somePrincipal({ id: 'k1' }),
    isDraining: () => false,
    bodyLimitBytes: 10_000,
  });
  await server.ready();
});
afterAll(async () => {
  await server.close();
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const post = (path: string, payload: object) => server.inject({ method: 'POST', url: `/v2/models/${path}`, payload });

it('generates a text, with parameters in either place, for an endpoint or exactly one version', async () => {
  const asked = { id: 'a', text_input: 'The capital of France is', parameters: { temperature: 0 }, max_tokens: 5 };
  const answer = await post('chat/generate', asked);
  expect([answer.statusCode, answer.json()]).toEqual([
    200,
    { id: 'a', model_name: 'chat', model_version: '2', text_output: ' Paris 語' },
  ]);
  expect(upstream.requests.at(-1)).toMatchObject({
    path: '/v1/completions',
    body: { prompt: 'The capital of France is', temperature: 0, max_tokens: 5 },
  });
  expect((await post('chat/versions/2/generate', asked)).headers['sluice-arm']).toBe('pinned');
});

it("refuses an answer that is no JSON as the model server's, and keeps its text out of the log", async () => {
  const answer = await post('chat/generate', { text_input: 'hi', seed: 7 });
  expect([answer.statusCode, answer.headers['sluice-error-code']]).toEqual([502, 'SLU_INFERENCE_UPSTREAM']);
  expect([answer.payload, ...lines].join('')).not.toContain('my priv');
});

it('streams it piece by piece, and says so when the rest is missing', async () => {
  const answer = await post('chat/generate_stream', { text_input: 'hi' });
  expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8');
  const naming = { model_name: 'chat', model_version: '2' };
  const events = (text: string): unknown[] =>
    text
      .trim()
      .split('\n\n')
      .map((event) => JSON.parse(event.slice('data: '.length)) as unknown);
  expect(events(answer.payload)).toEqual([
    { ...naming, text_output: ' Pa' },
    { ...naming, text_output: 'ris 語' },
  ]);
  const cut = events((await post('chat/generate_stream', { text_input: 'hi', seed: 13 })).payload);
  expect(cut[1]).toEqual({ error: expect.stringContaining('what came is not the whole answer') as string });
});

it.each<[string, object, number, string]>([
  ['chat/generate', {}, 400, 'text_input: must be a text'],
  ['chat/generate', { text_input: 'a', parameters: 1 }, 400, 'parameters: must be an object'],
  ['chat/generate', { text_input: 'a', parameters: { temperature: 7 } }, 400, 'temperature: must be a number'],
  ['chat/versions/9/generate', { text_input: 'a' }, 404, 'there is no version 9'],
  ['tone/generate_stream', { text_input: 'a' }, 404, 'does not answer'],
])('refuses %s %j in the shape of the Open Inference Protocol', async (path, body, status, sentence) => {
  const answer = await post(path, body);
  expect([answer.statusCode, Object.keys(answer.json<object>())]).toEqual([status, ['error']]);
  expect(answer.payload).toContain(sentence);
});

it('describes exactly the routes that there are, and only schemas that there are', () => {
  expect(Object.keys(generatePaths).sort()).toEqual([...routes].sort());
  const named = [...JSON.stringify(generatePaths).matchAll(/#\/components\/schemas\/(\w+)/g)].map((match) => match[1]!);
  expect(new Set(named)).toEqual(new Set(Object.keys(generateSchemas)));
});
