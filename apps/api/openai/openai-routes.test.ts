import { connect, type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gatewayKey, startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import {
  hold,
  ScriptedUpstream,
  sendJson,
  talking,
  type UpstreamScript,
} from '../../../test/support/openai-upstream.js';

let script: UpstreamScript = () => undefined;
let upstream: ScriptedUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start(talking((request, res) => script(request, res)));
  gateway = await startGateway({
    endpoints: { chat: { upstreams: [upstream.address], settings: { language: { contextTokens: 2_048 } } } },
    bodyLimitBytes: 6_000_000,
  });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const key = { authorization: `Bearer ${gatewayKey}` };
const asked = () => upstream.requests.filter(({ method }) => method === 'POST').length;
const send = (payload: string | Buffer, headers: Record<string, string> = {}, url = '/v1/chat/completions') =>
  gateway.server.inject({
    method: 'POST',
    url,
    payload,
    headers: { ...key, 'content-type': 'application/json', ...headers },
  });
const chat = (content: unknown, more: object = {}): string =>
  JSON.stringify({ model: 'chat', messages: [{ role: 'user', content }], ...more });

const invalidUtf8 = Buffer.concat([Buffer.from('{"model":"chat","a":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}')]);

it.each<[string, string | Buffer, Record<string, string>, number, string]>([
  ['no JSON', '{"model":', {}, 400, 'not valid JSON'],
  ['invalid UTF-8', invalidUtf8, {}, 400, 'not valid JSON'],
  ['no object', '[1]', {}, 400, 'body: must be a JSON object'],
  ['nothing', '', {}, 400, 'body: must be a JSON object'],
  ['null', 'null', {}, 400, 'body: must be a JSON object'],
  ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'is not accepted here'],
  ['a header length', '{}', { 'inference-header-content-length': '1' }, 400, ''],
  ['too much', `"${'x'.repeat(6_000_001)}"`, {}, 413, 'larger than the limit'],
  [
    'deep nesting',
    chat('hi', { deep: 0 }).replace('0', '['.repeat(200_000) + ']'.repeat(200_000)),
    {},
    400,
    'nested too deeply',
  ],
])('refuses %s with the error object of the protocol', async (_what, payload, headers, status, sentence) => {
  const before = asked();
  const response = await send(payload, headers);
  expect([response.statusCode, response.headers['content-type']]).toEqual([status, 'application/json; charset=utf-8']);
  const { error } = response.json<{ error: Record<string, unknown> }>();
  expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect([error['type'], String(error['message']).includes(sentence)]).toEqual(['invalid_request_error', true]);
  expect(response.headers['x-request-id']).toBe(response.headers['sluice-request-id']);
  expect(asked()).toBe(before);
});

it('refuses a prompt of a million tokens by its size alone, text or token ids', async () => {
  const before = asked();
  for (const [payload, url] of [
    [chat('word '.repeat(1_000_000)), '/v1/chat/completions'],
    [JSON.stringify({ model: 'chat', prompt: Array.from({ length: 1_000_000 }, () => 7) }), '/v1/completions'],
  ] as const) {
    const response = await send(payload, {}, url);
    const { error } = response.json<{ error: { code: string; message: string } }>();
    expect([response.statusCode, error.code]).toEqual([400, 'context_length_exceeded']);
    expect(error.message).toContain('the model has room for 2048');
  }
  expect(asked()).toBe(before);
  expect((await send(chat('x'.repeat(16 * 2_048)))).statusCode).toBe(200);
});

it('answers a body that is cut off or does not come with a 408, and asks no model', async () => {
  const before = asked();
  const { port } = gateway.server.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: ${key.authorization}\r\n` +
      'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"model":',
  );
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(text).toContain('"type":"invalid_request_error"');
  expect(asked()).toBe(before);
});

it('is closed without a key, on every path, and knows a wrong method from a wrong path', async () => {
  const { server } = gateway;
  for (const url of ['/v1/models', '/v1/models/chat', '/v1/nothing'])
    expect((await server.inject({ url })).json()).toMatchObject({ error: { code: 'invalid_api_key' } });
  const unauthorised = await server.inject({ method: 'POST', url: '/v1/embeddings', payload: '{"bro' });
  expect([unauthorised.statusCode, unauthorised.headers['www-authenticate']]).toEqual([401, 'Bearer']);
  const wrong = await server.inject({ url: '/v1/chat/completions', headers: key });
  expect([wrong.statusCode, wrong.headers['allow']]).toEqual([405, 'POST']);
  expect((await server.inject({ url: '/v1/nothing', headers: key })).statusCode).toBe(404);
  expect((await server.inject({ url: '/v1/models?api_key=x', headers: key })).statusCode).toBe(400);
});

it('reads compressed bodies within the same limit, and records their size as it is in memory', async () => {
  const body = chat('word '.repeat(1_000));
  const response = await send(gzipSync(body), { 'content-encoding': 'gzip' });
  expect(response.statusCode).toBe(200);
  expect(gateway.records.at(-1)).toMatchObject({ bytesIn: body.length, status: 200 });
  const bomb = await send(gzipSync(Buffer.alloc(20_000_000, 0x20)), { 'content-encoding': 'gzip' });
  expect([bomb.statusCode, bomb.json<{ error: object }>().error]).toEqual([413, expect.anything()]);
});

it('does not pass on what is no answer', async () => {
  const answers: [UpstreamScript, number, string][] = [
    [(_request, res) => void res.writeHead(200).end('<html>'), 502, 'no JSON object'],
    [(_request, res) => sendJson(res, { error: { message: 'CUDA is gone' } }), 502, 'CUDA is gone'],
    [(_request, res) => sendJson(res, {}, 302, { location: 'http://elsewhere' }), 502, 'it answers 302'],
    [(_request, res) => sendJson(res, { detail: 'not such' }, 422), 400, 'not such'],
    [
      (_request, res) => {
        hold(res);
        res.writeHead(400, { 'content-length': '100' }).write('{"err');
        setTimeout(() => res.socket!.destroy(), 10);
      },
      400,
      'it answers 400',
    ],
  ];
  for (const [answer, status, sentence] of answers) {
    script = answer;
    const response = await send(chat('hi'));
    expect([response.statusCode, response.body]).toEqual([status, expect.stringContaining(sentence)]);
  }
});
