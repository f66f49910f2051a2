import { OutboundGuard } from '#libs/platform';
import { setImmediate as tick } from 'node:timers/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '#libs/kernel';
import type { GuardedReplica } from './guarded-replica.js';
import { readWhole, StreamReader } from '../language/language-answer.js';
import { manifestSchema } from '../models/manifest.js';
import type { LanguageReplica } from '../ports/language-replica.js';
import type { ReplicaFailure } from '../ports/replica.js';
import { RemoteConnections } from './remote-connections.js';
import type { RemoteSettings } from './remote-target.js';
import { servedVersion } from '../routes/route-table.js';
import type { Tensor } from '../tensors/tensor.js';

const secret = 'Bearer sk-very-secret-token';
const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(1) };
const call = { timeoutMs: 5_000 };
const goodAnswer = JSON.stringify({
  model_name: 'm',
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 1], data: [2] }],
});

/** A server whose inference a test can change while it runs. */
let infer: RequestListener;
let isReady = true;
let inferences = 0;
let probes = 0;
let server: Server;
let address: string;
let lines: string[];
let secrets: Map<string, string>;

beforeEach(async () => {
  [infer, isReady, inferences, probes, lines] = [(_req, res) => res.end(goodAnswer), true, 0, 0, []];
  secrets = new Map([['authorization', secret]]);
  server = createServer((req, res) => {
    req.resume();
    req.on('end', () => {
      if (req.url === '/v2') return res.end('{"name":"other","extensions":[]}');
      if (req.method === 'GET') {
        probes += 1;
        return res.writeHead(isReady ? 200 : 503).end();
      }
      inferences += 1;
      return infer(req, res);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const breaker = { failureRatio: 0.5, minCalls: 4, windowMs: 10_000, openMs: 60 };

function connect(change: Partial<RemoteSettings> = {}): GuardedReplica {
  const isLanguage = change.protocol === 'openai';
  const manifest = manifestSchema.parse({
    schemaVersion: 1,
    name: 'm',
    version: '1',
    format: 'remote',
    files: [],
    ...(!isLanguage && {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
    }),
    remote: {
      protocol: 'oip',
      targets: [{ url: address }],
      secretHeaders: ['authorization'],
      probe: { everyMs: 100, timeoutMs: 500 },
      breaker,
      retryBudgetRatio: 0,
      ...change,
    },
  });
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  const connections = new RemoteConnections({
    secrets: { valuesOf: () => secrets },
    outbound: new OutboundGuard({ unlisted: 'any', setting: '' }),
    clock: systemClock,
    log,
  });
  const place = { id: 'r', address, model: 'm', version: '1' };
  return connections.open(place, servedVersion(manifest, 'digest')) as GuardedReplica;
}

const failureOf = (work: Promise<unknown>): Promise<ReplicaFailure> =>
  work.then(
    () => Promise.reject(new Error('it was answered')),
    (failure: unknown) => failure as ReplicaFailure,
  );

it('opens after failures, tells the pool, tries once when its time has passed, and closes when that goes well', async () => {
  await using replica = connect();
  let outs = 0;
  replica.onOut(() => (outs += 1));
  infer = (_req, res) => res.writeHead(500).end('{"error":"out of memory"}');
  expect([await replica.isReady(), replica.mostRuns]).toEqual([true, 16]);
  for (let count = 0; count < 4; count += 1) {
    expect(await failureOf(replica.infer([x], call))).toMatchObject({ kind: 'model', message: 'out of memory' });
  }
  expect([outs, replica.mostRuns, await replica.isReady()]).toEqual([1, 0, false]);
  // While it is open nothing is sent.
  expect(await failureOf(replica.infer([x], call))).toMatchObject({ kind: 'lost' });
  expect(inferences).toBe(4);
  await vi.waitFor(() => expect(replica.mostRuns).toBe(1));
  await failureOf(replica.infer([x], call));
  expect([inferences, outs, replica.mostRuns]).toEqual([5, 2, 0]);
  await vi.waitFor(() => expect(replica.mostRuns).toBe(1));
  let answer: (() => void) | undefined;
  infer = (_req, res) => (answer = () => res.end(goodAnswer));
  const trial = replica.infer([x], call);
  await vi.waitFor(() => expect(answer).toBeDefined());
  // A second one is not sent while the first is trying.
  expect(await failureOf(replica.infer([x], call))).toMatchObject({ kind: 'lost' });
  answer!();
  expect((await trial)[0]!.data).toEqual(Float32Array.of(2));
  expect([inferences, replica.mostRuns]).toEqual([6, 16]);
});

it.each<[string, RequestListener]>([
  ['wrong JSON', (_req, res) => res.end('<html>please log in</html>')],
  ['half an answer', (_req, res) => res.writeHead(200, { 'content-length': 100 }).write('{"out', () => res.destroy())],
  ['a cut connection', (req) => req.socket.destroy()],
  ['wrong credentials', (_req, res) => res.writeHead(401).end('{"error":"who are you"}')],
  ['a redirect', (_req, res) => res.writeHead(302, { location: 'http://169.254.169.254/' }).end()],
  ['answers that do not come', () => undefined],
])('opens after %s as well', async (_what, listener) => {
  await using replica = connect({ timeoutMs: 50, maxConcurrency: 4 });
  infer = listener;
  await Promise.all(Array.from({ length: 4 }, () => failureOf(replica.infer([x], call))));
  expect([replica.mostRuns, inferences]).toEqual([0, 4]);
  expect(lines.join('')).toContain('the last one: ');
});

it('tells the operator what a server says to our key, and not the caller', async () => {
  await using replica = connect();
  infer = (_req, res) => res.writeHead(401).end('{"error":"key of tenant blue has expired"}');
  for (let count = 0; count < 4; count += 1)
    expect((await failureOf(replica.infer([x], call))).message).toBe('the server refuses the credentials (401)');
  expect(lines.join('')).toContain('key of tenant blue has expired');
});

it('opens when nobody listens, and is not ready', async () => {
  await using replica = connect();
  server.closeAllConnections();
  server.close();
  for (let count = 0; count < 4; count += 1)
    expect(await failureOf(replica.infer([x], call))).toMatchObject({ kind: 'lost' });
  expect([replica.mostRuns, await replica.isReady()]).toEqual([0, false]);
});

it('does not hold against the server what is the fault of the input, or of a caller in a hurry', async () => {
  await using replica = connect();
  infer = (_req, res) => res.writeHead(400).end('{"error":"wrong shape"}');
  for (let count = 0; count < 8; count += 1) await failureOf(replica.infer([x], call));
  infer = () => undefined;
  const abort = new AbortController();
  const left = Array.from({ length: 4 }, () => failureOf(replica.infer([x], { ...call, signal: abort.signal })));
  await vi.waitFor(() => expect(inferences).toBe(12));
  abort.abort();
  await Promise.all(left);
  await Promise.all(
    Array.from({ length: 8 }, async () =>
      expect(await failureOf(replica.infer([x], { timeoutMs: 10 }))).toMatchObject({ kind: 'timeout' }),
    ),
  );
  expect(replica.mostRuns).toBe(16);
});

it('takes 429, and 503 with Retry-After, for overload: it pauses as told, and nothing counts as failed', async () => {
  await using replica = connect();
  let outs = 0;
  replica.onOut(() => (outs += 1));
  for (const status of [429, 503]) {
    infer = (_req, res) => res.writeHead(status, { 'retry-after': '1' }).end('{"error":"busy"}');
    expect(await failureOf(replica.infer([x], call))).toMatchObject({ kind: 'overload', retryAfterSeconds: 1 });
    expect([replica.mostRuns, await replica.isReady()]).toEqual([0, false]);
    await vi.waitFor(() => expect(replica.mostRuns).toBe(16), { timeout: 2_000 });
  }
  expect(outs).toBe(2);
});

it('tries a lost call once more within the budget, and never what another replica has lost', async () => {
  await using replica = connect({ retryBudgetRatio: 1, breaker: { ...breaker, minCalls: 1_000 } });
  infer = (req, res) => (inferences % 2 === 1 ? req.socket.destroy() : res.end(goodAnswer));
  expect(await replica.infer([x], call)).toHaveLength(1);
  expect(inferences).toBe(2);
  infer = (req) => req.socket.destroy();
  await failureOf(replica.infer([x], call));
  expect(inferences).toBe(4);
  await failureOf(replica.infer([x], { ...call, isRetry: true }));
  expect(inferences).toBe(5);
});

it('bounds a herd of retries by the budget', async () => {
  await using replica = connect({
    retryBudgetRatio: 0.2,
    maxConcurrency: 64,
    breaker: { ...breaker, minCalls: 10_000 },
  });
  infer = (req) => req.socket.destroy();
  await Promise.all(Array.from({ length: 200 }, () => failureOf(replica.infer([x], call))));
  expect(inferences).toBe(240);
  const late = await failureOf(replica.infer([x], { ...call, isRetry: true }));
  expect([late.kind, inferences]).toEqual(['overload', 240]);
});

it('lets so many calls go at a time, in the order of their coming', async () => {
  await using replica = connect({ maxConcurrency: 2 });
  let atOnce = 0;
  let most = 0;
  infer = (_req, res) => {
    most = Math.max(most, (atOnce += 1));
    setTimeout(() => {
      atOnce -= 1;
      res.end(goodAnswer);
    }, 5);
  };
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 10 }, async (_value, index) => {
      await replica.infer([x], call);
      order.push(index);
    }),
  );
  expect([most, order.slice(0, 2).sort(), order.slice(8).sort()]).toEqual([2, [0, 1], [8, 9]]);
  infer = () => undefined;
  const held = [failureOf(replica.infer([x], { timeoutMs: 300 })), failureOf(replica.infer([x], { timeoutMs: 300 }))];
  // The wait for a place is bounded by the call's own time.
  expect((await failureOf(replica.infer([x], { timeoutMs: 20 }))).message).toContain('all 2 places');
  await Promise.all(held);
});

it('goes out when its health checks fail, and asks less and less often until they are good again', async () => {
  await using replica = connect();
  let outs = 0;
  replica.onOut(() => (outs += 1));
  expect(await replica.isReady()).toBe(true);
  isReady = false;
  await vi.waitFor(() => expect(outs).toBe(1), { timeout: 3_000 });
  const before = probes;
  for (let count = 0; count < 50; count += 1) expect(await replica.isReady()).toBe(false);
  expect(probes - before).toBeLessThanOrEqual(1);
  isReady = true;
  await vi.waitFor(async () => expect(await replica.isReady()).toBe(true), { timeout: 3_000 });
});

it('sends nothing while a secret is missing, and says which', async () => {
  secrets = new Map();
  await using replica = connect();
  expect([await replica.isReady(), replica.mostRuns]).toEqual([false, 0]);
  const failure = await failureOf(replica.infer([x], call));
  expect(failure.message).toContain(
    'secret header authorization is not set: PUT /api/models/m/versions/1/secret-headers',
  );
  expect([inferences, probes]).toEqual([0, 0]);
  secrets.set('authorization', secret);
  await vi.waitFor(async () => expect(await replica.isReady()).toBe(true));
});

it('sends secrets with each request, and shows them nowhere, whatever the server repeats', async () => {
  await using replica = connect();
  let seen: string | undefined;
  infer = (req, res) => {
    seen = req.headers.authorization;
    res.writeHead(400).end(JSON.stringify({ error: `wrong: ${seen} and ${seen?.slice(7)}` }));
  };
  const failure = await failureOf(replica.infer([x], call));
  expect([seen, failure.message]).toEqual([secret, 'wrong: *** and ***']);
  expect(JSON.stringify([failure, failure.cause, failure.stack])).not.toContain('very-secret');
  infer = (req, res) => res.writeHead(500).end(JSON.stringify({ error: req.headers.authorization }));
  for (let count = 0; count < 8; count += 1) await failureOf(replica.infer([x], call));
  expect(lines.join('')).toContain('its circuit opens, too many of its calls failed; the last one: it answers 500');
  expect(lines.join('')).not.toContain('very-secret');
});

it.each<[string, RequestListener]>([
  ['says what it failed on', (_req, res) => res.writeHead(500).end('{"error":"cannot parse: my private text"}')],
  ['turns it away', (_req, res) => res.writeHead(502).end('{"error":"no room for: my private text"}')],
  ['sends half of it back', (_req, res) => res.end('{"outputs": my private text')],
])('keeps what callers sent out of the log when a server %s', async (_what, listener) => {
  await using replica = connect();
  infer = listener;
  for (let count = 0; count < 4; count += 1) await failureOf(replica.infer([x], call));
  expect(lines.join('')).toContain('its circuit opens, too many of its calls failed; the last one: ');
  expect(lines.join('')).not.toMatch(/my pri/);
});

it('guards a language replica too: places until the end of the answer, refusals without secrets', async () => {
  await using replica = connect({ protocol: 'openai', maxConcurrency: 1 });
  const language = replica as unknown as LanguageReplica;
  const chat = (signal?: AbortSignal) =>
    language.converse('/v1/chat/completions', Buffer.from('{"model":"m"}'), { ...call, signal });
  infer = (_req, res) => res.write('data: 1\n\n');
  const first = await chat();
  const waiting = chat();
  await tick();
  expect(inferences).toBe(1);
  for await (const _chunk of first.body) break;
  const second = await waiting;
  const abort = new AbortController();
  await second.body[Symbol.asyncIterator]().return?.();
  await chat(abort.signal);
  abort.abort();
  // Nobody reads the third one, and its place is free all the same.
  infer = (req, res) => res.writeHead(401).end(`{"error":{"message":"bad key ${req.headers.authorization}"}}`);
  // Three went well before.
  for (let count = 0; count < 3; count += 1) {
    const refusal = await chat();
    let text = '';
    for await (const chunk of refusal.body) text += chunk.toString();
    expect([refusal.status, text]).toEqual([401, '{"error":{"message":"bad key ***"}}']);
  }
  expect(replica.mostRuns).toBe(0);
});

it('takes secrets out of errors too that come in an answer which began well', async () => {
  await using replica = connect({ protocol: 'openai' });
  const language = replica as unknown as LanguageReplica;
  infer = (req, res) => res.end(JSON.stringify({ error: { message: `bad key ${req.headers.authorization}` } }));
  const { body, scrub } = await language.converse('/v1/chat/completions', Buffer.from('{"model":"m"}'), call);
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const answer = Buffer.concat(chunks);
  const reader = new StreamReader({ endpoint: 'm', wantsUsage: false, choices: 1, scrub });
  for (const read of [() => readWhole(answer, 'm', scrub), () => reader.read(answer.toString('latin1'))]) {
    expect(read).toThrow('bad key ***');
    expect(read).not.toThrow('very-secret');
  }
});
