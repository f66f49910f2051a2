import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { gatewayKey, startGateway } from '../support/language-gateway.js';
import { openAiPython } from '../support/openai-python.js';
import {
  chatAnswer,
  chatChunk,
  hold,
  openStream,
  ScriptedUpstream,
  sendJson,
  talking,
} from '../support/openai-upstream.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./openai_client_check.py', import.meta.url));

let busyCount = 0;
const byUser: Record<string, Parameters<typeof talking>[0]> = {
  calls: (_request, res) => {
    const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{}' } };
    const message = { role: 'assistant', content: null, tool_calls: [call] };
    sendJson(res, { ...chatAnswer(''), choices: [{ index: 0, message, finish_reason: 'tool_calls' }] });
  },
  busy: (_request, res) => sendJson(res, { error: { message: 'later' } }, 429, { 'retry-after': '1' }),
  'busy-once': (_request, res) => {
    busyCount += 1;
    if (busyCount === 1) sendJson(res, { error: { message: 'later' } }, 429, { 'retry-after': '0' });
  },
  broken: (_request, res) => sendJson(res, { error: { message: 'out of memory' } }, 500),
  dies: (_request, res) => {
    openStream(res)(chatChunk('one'));
    hold(res);
    setTimeout(() => res.socket!.destroy(), 50);
  },
  endless: (_request, res) => {
    openStream(res)(chatChunk('one'));
    hold(res);
  },
  silent: (_request, res) => hold(res),
};

it('answers the real openai client of Python, and ends what it gives up', async () => {
  await using upstream = await ScriptedUpstream.start(
    talking((request, res) => {
      if (request.path === '/v1/embeddings') {
        const data = [0, 1].map((index) => ({ object: 'embedding', index, embedding: [0.5, index] }));
        return sendJson(res, { object: 'list', data, model: 'x', usage: { prompt_tokens: 2, total_tokens: 2 } });
      }
      return byUser[String(request.body?.['user'])]?.(request, res);
    }),
  );
  const upstreams = [upstream.address];
  await using gateway = await startGateway({
    endpoints: { chat: { upstreams }, vectors: { upstreams, task: 'embedding' } },
    service: { replicaWaitMs: 5_000 },
  });
  const { stdout } = await run(await openAiPython(), [script, gateway.base], {
    env: { ...process.env, SLUICE_KEY: gatewayKey },
  });
  const words = 'one two three';
  expect(JSON.parse(stdout)).toEqual({
    models: ['chat', 'vectors'],
    chat: ['chat', words, 8],
    request_id: true,
    version: '2',
    stream: words,
    stream_usage: 3,
    stream_models: ['chat'],
    stream_helper: words,
    embeddings: [
      [0.5, 0],
      [0.5, 1],
    ],
    tool_call: 'weather',
    response: [words, 'completed', 5],
    response_events: [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...Array.from({ length: 3 }, () => 'response.output_text.delta'),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ],
    response_numbers: true,
    response_helper: words,
    errors: {
      model: ['NotFoundError', 404, 'model_not_found', 'model'],
      value: ['BadRequestError', 400, 'invalid_value', 'temperature'],
      schema: ['BadRequestError', 400, 'invalid_value', 'tools[0].function.parameters.type'],
      busy: ['RateLimitError', 429, 'rate_limit_exceeded', null],
      broken: ['InternalServerError', 500, 'SLU_INFERENCE_MODEL_FAILED', null],
      key: ['AuthenticationError', 401, 'invalid_api_key', null],
    },
    retried: words,
    before_death: 'one',
    death: 'SLU_INFERENCE_CUT_OFF',
    slow: 'one',
    async: [words],
    cancelled: true,
  });
  // Both that were given up ended at the model server as well.
  for (const user of ['endless', 'silent'])
    await upstream.requests.find(({ body }) => body?.['user'] === user)!.whenLeft;
  await vi.waitFor(() => expect(gateway.service.inFlight).toBe(0));
});
