import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  openStream,
  ScriptedUpstream,
  sendJson,
  type UpstreamScript,
} from '../../../../test/support/openai-upstream.js';
import type { LanguageAnswer } from '../../ports/language-replica.js';
import { ReplicaFailure } from '../../ports/replica.js';
import { OpenAiReplica, type OpenAiReplicaSettings } from './openai-replica.js';

const chat = '/v1/chat/completions';
const call = { timeoutMs: 10_000 };
const body = (model = 'chat'): Buffer => Buffer.from(JSON.stringify({ model, messages: [] }));

async function serve(script: UpstreamScript, settings: Partial<OpenAiReplicaSettings> = {}) {
  const upstream = await ScriptedUpstream.start(script);
  const address = settings.address === undefined ? upstream.address : `${upstream.address}${settings.address}`;
  const replica = new OpenAiReplica({ id: 'r', ...settings, address });
  return {
    upstream,
    replica,
    [Symbol.asyncDispose]: async () => {
      await replica[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

async function textOf(answer: LanguageAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const failureOf = async (work: Promise<unknown>): Promise<ReplicaFailure> => {
  const failure: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(ReplicaFailure);
  return failure as ReplicaFailure;
};

it('carries a request there with its own model name and headers, and the answer back whatever its status', async () => {
  await using served = await serve(
    (_request, res) => sendJson(res, { error: { message: 'slow down' } }, 429, { 'retry-after': '7' }),
    { model: 'llama "3"', headers: { authorization: 'Bearer upstream', 'x-team': 'a' }, address: '/openai/v1/' },
  );
  const answer = await served.replica.converse(chat, body(), { ...call, traceparent: '00-a-b-01' });
  expect([answer.status, answer.headers['retry-after'], await textOf(answer)]).toEqual([
    429,
    '7',
    '{"error":{"message":"slow down"}}',
  ]);
  expect(served.upstream.requests[0]).toMatchObject({
    method: 'POST',
    path: '/openai/v1/chat/completions',
    headers: {
      authorization: 'Bearer upstream',
      'x-team': 'a',
      traceparent: '00-a-b-01',
      'accept-encoding': 'identity',
    },
    body: { model: 'llama "3"', messages: [] },
  });
});

it('names the model wherever it stands, and never twice', async () => {
  await using served = await serve((_request, res) => sendJson(res, {}), { model: 'there' });
  const bodies = [
    '{"a":[1],"model":"x"}',
    '{"a":1}',
    '{"model":"with \\" quote","a":{"model":"inner"}}',
    '{"model":7}',
  ];
  for (const each of bodies) await textOf(await served.replica.converse(chat, Buffer.from(each), call));
  expect(served.upstream.requests.map((request) => request.body)).toEqual([
    { a: [1], model: 'there' },
    { a: 1, model: 'there' },
    { a: { model: 'inner' }, model: 'there' },
    { model: 'there' },
  ]);
});

it('hands out the body as it arrives, over a Unix socket as well', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'openai-'));
  let write: ((event: unknown) => void) | undefined;
  let answering: ServerResponse | undefined;
  await using upstream = await ScriptedUpstream.start(
    (_request, res) => {
      answering = res;
      write = openStream(res);
      write(1);
    },
    join(folder, 's.sock'),
  );
  await using replica = new OpenAiReplica({ id: 'r', address: upstream.address });
  const { body: arriving } = await replica.converse(chat, body(), call);
  const reader = arriving[Symbol.asyncIterator]();
  expect(String((await reader.next()).value)).toBe('data: 1\n\n');
  write!(2);
  expect(String((await reader.next()).value)).toBe('data: 2\n\n');
  answering!.end();
  expect((await reader.next()).done).toBe(true);
  await rm(folder, { recursive: true });
});

it('holds the sender back while nobody reads', async () => {
  let drained = 0;
  await using served = await serve(async (_request, res) => {
    res.writeHead(200);
    const portion = Buffer.alloc(262_144, 'x');
    for (let sent = 0; sent < 200; sent += 1) {
      if (!res.write(portion)) await once(res, 'drain');
      drained += 1;
    }
    res.end();
  });
  const answer = await served.replica.converse(chat, body(), call);
  const reader = answer.body[Symbol.asyncIterator]();
  await reader.next();
  let before = -1;
  // Settled when a whole probe to the same server finds no progress.
  while (before !== drained) {
    before = drained;
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(drained).toBeLessThan(100);
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.next();
    if (done === true) break;
    bytes += value.length;
  }
  expect(bytes).toBeGreaterThan(198 * 262_144);
});

it('ends the exchange at the server when the reader leaves, when the signal says so, and before the head', async () => {
  await using served = await serve((request, res) => {
    if (request.body?.['model'] !== 'silent') openStream(res)('first');
  });
  const left = await served.replica.converse(chat, body(), call);
  for await (const _chunk of left.body) break;
  await served.upstream.requests[0]!.whenLeft;

  const abort = new AbortController();
  const aborted = await served.replica.converse(chat, body(), { ...call, signal: abort.signal });
  const reading = textOf(aborted);
  abort.abort();
  expect((await failureOf(reading)).kind).toBe('lost');
  await served.upstream.requests[1]!.whenLeft;

  const early = new AbortController();
  const waiting = served.replica.converse(chat, body('silent'), { ...call, signal: early.signal });
  while (served.upstream.requests.length < 3) await new Promise(setImmediate);
  early.abort();
  expect((await failureOf(waiting)).kind).toBe('lost');
  await served.upstream.requests[2]!.whenLeft;
  expect((await failureOf(served.replica.converse(chat, body(), { ...call, signal: early.signal }))).kind).toBe('lost');
  expect(served.upstream.requests).toHaveLength(3);
});

it('counts its time limit until the head has come, and no longer', async () => {
  await using served = await serve(async (request, res) => {
    if (request.body?.['model'] === 'silent') return;
    const write = openStream(res);
    write('head');
    setTimeout(() => res.end('late'), 150);
  });
  const failure = await failureOf(served.replica.converse(chat, body('silent'), { timeoutMs: 20 }));
  expect([failure.kind, failure.message]).toEqual(['timeout', 'no answer began within 20 ms']);
  await served.upstream.requests[0]!.whenLeft;
  expect(await textOf(await served.replica.converse(chat, body(), { timeoutMs: 100 }))).toBe('data: head\n\nlate');
});

it('says lost when the server dies in the middle, sends half of what it announced, or is not there', async () => {
  await using served = await serve((request, res) => {
    if (request.body?.['model'] === 'short') res.writeHead(200, { 'content-length': '100' }).write('half');
    else openStream(res)('first');
    setImmediate(() => res.socket?.destroy());
  });
  for (const model of ['dies', 'short']) {
    const answer = await served.replica.converse(chat, body(model), call);
    expect((await failureOf(textOf(answer))).kind).toBe('lost');
  }
  const gone = new OpenAiReplica({ id: 'gone', address: await closedAddress() });
  expect((await failureOf(gone.converse(chat, body(), call))).kind).toBe('lost');
  expect(await gone.isReady()).toBe(false);
  await gone[Symbol.asyncDispose]();
});

it('says lost when the server does not speak HTTP', async () => {
  const server = createServer((socket: Socket) => void socket.end('SSH-2.0-OpenSSH\r\n'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  await using replica = new OpenAiReplica({
    id: 'r',
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  expect((await failureOf(replica.converse(chat, body(), call))).kind).toBe('lost');
  server.close();
});

it('is ready when the server lists its models, and describes the one that is there', async () => {
  let status = 200;
  await using served = await serve(
    (_request, res) => sendJson(res, { object: 'list', data: [{ id: 'smol:latest' }, { id: 'big' }] }, status),
    { model: 'smol' },
  );
  expect(await served.replica.isReady()).toBe(true);
  expect(await served.replica.metadata()).toMatchObject({ name: 'smol', platform: 'openai' });
  await using other = new OpenAiReplica({ id: 'o', address: served.upstream.address, model: 'other' });
  expect((await failureOf(other.metadata())).message).toBe('the server has no model other; it has smol:latest, big');
  status = 401;
  expect(await served.replica.isReady()).toBe(false);
  expect((await failureOf(served.replica.infer([], call))).message).toContain('call /v1 instead of /v2');
});

async function closedAddress(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
