import OpenAI, { APIError } from 'openai';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { gatewayKey, startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import {
  chatChunk,
  hold,
  openStream,
  ScriptedUpstream,
  sendJson,
  talking,
  usage,
  usageChunk,
  type UpstreamScript,
} from '../../../test/support/openai-upstream.js';

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
    },
  });
  client = new OpenAI({ apiKey: gatewayKey, baseURL: `${gateway.base}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});
beforeEach(() => {
  script = () => undefined;
  upstream.requests.length = 0;
});

const lastBody = () => upstream.requests.at(-1)!.body!;
const schema = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

it('answers whole: a text, and what it took', async () => {
  const response = await client.responses.create({
    model: 'chat',
    input: 'hi',
    instructions: 'Be kind.',
    temperature: 0.5,
    max_output_tokens: 50,
    reasoning: { effort: 'low' },
    text: { format: { type: 'json_schema', name: 'place', schema, strict: true } },
    metadata: { a: 'b' },
  });
  expect(response).toMatchObject({
    object: 'response',
    status: 'completed',
    model: 'chat',
    instructions: 'Be kind.',
    output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'one two three' }] }],
    usage: { input_tokens: 5, output_tokens: 3, total_tokens: 8 },
    metadata: { a: 'b' },
    store: false,
  });
  expect(response.output_text).toBe('one two three');
  expect(lastBody()).toEqual({
    model: 'upstream-name',
    messages: [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'hi' },
    ],
    temperature: 0.5,
    max_tokens: 50,
    reasoning_effort: 'low',
    response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } },
  });
});

it('takes a conversation with calls, and gives calls back', async () => {
  const call = { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{"city":"Ulm"}' } };
  script = (_request, res) =>
    sendJson(res, {
      model: 'x',
      choices: [
        { index: 0, finish_reason: 'tool_calls', message: { role: 'assistant', content: null, tool_calls: [call] } },
      ],
      usage,
    });
  const response = await client.responses.create({
    model: 'chat',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'Weather?' }] },
      { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'which city?' },
      {
        type: 'message',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Which?', annotations: [] }],
        id: 'msg_1',
        status: 'completed',
      },
      { role: 'user', content: 'Ulm' },
    ],
    tools: [{ type: 'function', name: 'weather', parameters: schema, strict: true }],
    tool_choice: { type: 'function', name: 'weather' },
  });
  expect(response.output).toMatchObject([
    { type: 'function_call', call_id: 'call_2', name: 'weather', arguments: '{"city":"Ulm"}', status: 'completed' },
  ]);
  expect(lastBody()).toMatchObject({
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
      {
        role: 'assistant',
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'which city?' },
      { role: 'assistant', content: 'Which?' },
      { role: 'user', content: 'Ulm' },
    ],
    tools: [{ type: 'function', function: { name: 'weather', parameters: schema, strict: true } }],
    tool_choice: { type: 'function', function: { name: 'weather' } },
  });
});

it('streams the events in their order, each with the next number, and the SDK makes the response of them', async () => {
  const events: ResponseStreamEvent[] = [];
  const stream = client.responses.stream({ model: 'chat', input: 'hi' });
  for await (const event of stream) events.push(event);
  expect(events.map(({ type }) => type)).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.delta',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed',
  ]);
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_event, at) => at));
  const final = await stream.finalResponse();
  expect([final.output_text, final.usage?.total_tokens, final.model]).toEqual(['one two three', 8, 'chat']);
});

const toolChunk = (call: object): object => {
  const chunk = chatChunk('') as { choices: object[] };
  return { ...chunk, choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: null }] };
};

it('streams a text and two calls as three items, and says when the room was not enough', async () => {
  script = (_request, res) => {
    const write = openStream(res);
    write(chatChunk('Wait. 語'));
    write(toolChunk({ index: 0, id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }));
    write(toolChunk({ index: 0, function: { arguments: '{"city":' } }));
    write(toolChunk({ index: 0, function: { arguments: '"Ulm"}' } }));
    write(toolChunk({ index: 1, id: 'call_b', type: 'function', function: { name: 'time', arguments: '{' } }));
    write(chatChunk('', 'length'));
    write(usageChunk);
    write('[DONE]');
    res.end();
  };
  const stream = client.responses.stream({ model: 'chat', input: 'hi' });
  const types: string[] = [];
  for await (const { type } of stream) types.push(type);
  const final = await stream.finalResponse();
  expect(final).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
  expect(final.output).toMatchObject([
    { type: 'message', status: 'completed', content: [{ text: 'Wait. 語' }] },
    { type: 'function_call', status: 'completed', call_id: 'call_a', name: 'weather', arguments: '{"city":"Ulm"}' },
    { type: 'function_call', status: 'incomplete', call_id: 'call_b', name: 'time', arguments: '{' },
  ]);
  expect(types.filter((type) => type === 'response.function_call_arguments.done')).toHaveLength(2);
  expect(types.at(-1)).toBe('response.incomplete');
});

it('ends a stream whose model server dies with one failed event that holds the reason', async () => {
  script = (_request, res) => {
    openStream(res)(chatChunk('one'));
    hold(res);
    setTimeout(() => res.socket!.destroy(), 20);
  };
  const events: ResponseStreamEvent[] = [];
  for await (const event of await client.responses.create({ model: 'chat', input: 'hi', stream: true }))
    events.push(event);
  const last = events.at(-1)!;
  expect(events.filter(({ type }) => type === 'response.failed')).toHaveLength(1);
  expect(last).toMatchObject({
    type: 'response.failed',
    response: { status: 'failed', error: { code: 'SLU_INFERENCE_CUT_OFF' } },
  });
});

it.each<[Record<string, unknown>, string, string]>([
  [{ store: true }, 'store', 'must be false or be left out'],
  [{ previous_response_id: 'resp_1' }, 'previous_response_id', 'none is kept here'],
  [{ conversation: 'conv_1' }, 'conversation', 'send the whole conversation as input'],
  [{ background: true }, 'background', 'answers are given at once'],
  [{ input: [] }, 'input', 'not empty'],
  [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0].type', 'send the item'],
  [
    { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }] },
    'input[0].content[0].file_data',
    'no files are kept',
  ],
  [{ tools: [{ type: 'web_search' }] }, 'tools[0].type', 'must be function'],
  [
    { tools: [{ type: 'function', name: 'f', parameters: { type: 'x' } }] },
    'tools[0].parameters.type',
    'not valid in a JSON schema',
  ],
  [{ text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema', 'is missing'],
  [{ truncation: 'auto' }, 'truncation', 'nothing is cut'],
  [{ max_output_tokens: 0 }, 'max_output_tokens', 'whole number'],
  [{ temperature: 9 }, 'temperature', 'from 0 to 2'],
])('refuses %j with the field and the fix', async (more, param, problem) => {
  const failure: unknown = await client.responses
    .create({ model: 'chat', input: 'hi', ...more } as never)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(APIError);
  expect([(failure as APIError).status, (failure as APIError).param]).toEqual([400, param]);
  expect((failure as APIError).message).toContain(problem);
});

it.each([
  ['responses', { input: 'hi' }, '{"choices":[{"message":my private text}]}'],
  ['responses', { input: 'hi' }, '{"choices":[{"message":{"tool_calls":[null]}}]}'],
  ['embeddings', { input: 'hi', encoding_format: 'base64' }, '{"data":[{"embedding":[my private text]}]}'],
])('blames the model server for an answer to %s that cannot be read', async (path, body, answer) => {
  script = (_request, res) => void res.end(answer);
  const model = path === 'embeddings' ? 'vectors' : 'chat';
  const given = await fetch(`${gateway.base}/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, ...body }),
  });
  const text = await given.text();
  expect([given.status, text.includes('SLU_INFERENCE_UPSTREAM'), text.includes('private')]).toEqual([502, true, false]);
});
