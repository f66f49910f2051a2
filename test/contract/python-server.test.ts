import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Client } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltModels, buildModels, frameworkInterpreter, runtimeFolder } from '../support/python-runtime.js';

interface Message {
  kind: string;
  reason?: string;
}

interface Started {
  child: ChildProcess;
  /** What it told its parent first, or that it ended. */
  message: Message;
  exit: Promise<number | null>;
}

let interpreter: string;
let models: BuiltModels;
let folder: string;
beforeAll(async () => {
  interpreter = await frameworkInterpreter('torch');
  models = await buildModels('torch', interpreter, 'torchscript');
  folder = await mkdtemp(path.join(tmpdir(), 'pys-'));
}, 600_000);
afterAll(async () => {
  await models[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const modelFolder = (model: string): string => path.join(models.folder, 'torchscript', model);

function spawnServer(env: Record<string, string>): { child: ChildProcess; exit: Promise<number | null> } {
  const child = spawn(interpreter, [path.join(runtimeFolder, 'main.py')], {
    env: { PATH: process.env['PATH'], SLUICE_PARENT_FD: '3', ...env },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  return { child, exit: once(child, 'exit').then(([code]) => code as number | null) };
}

async function start(env: Record<string, string>): Promise<Started> {
  const { child, exit } = spawnServer(env);
  const lines = createInterface({ input: child.stdio[3] as Readable });
  const first = once(lines, 'line').then(([line]) => JSON.parse(line as string) as Message);
  const message = await Promise.race([first, exit.then((code) => ({ kind: `exit ${code}` }))]);
  return { child, message, exit };
}

const zeros = [{ name: 'x', datatype: 'FP32', shape: [1, 16], data: new Array<number>(16).fill(0) }];

describe('over HTTP', () => {
  let server: Started;
  let socketPath: string;
  let client: Client;
  beforeAll(async () => {
    socketPath = path.join(folder, 'http.sock');
    server = await start({ SLUICE_MODEL_DIR: modelFolder('dense'), SLUICE_SOCKET: socketPath });
    client = new Client('http://localhost', { socketPath });
  });
  afterAll(async () => {
    await client.close();
    server.child.kill();
    expect(await server.exit).toBe(0);
  });

  async function ask(method: 'GET' | 'POST', urlPath: string, body?: string | Buffer, headers = {}) {
    const answer = await client.request({ method, path: urlPath, body: body ?? null, headers });
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: JSON.parse(await answer.body.text()) as unknown,
    };
  }

  it.each<[string, number, unknown]>([
    ['/v2', 200, { name: 'sluice-model-server', version: '0', extensions: ['binary_tensor_data'] }],
    ['/v2/health/live', 200, { live: true }],
    ['/v2/health/ready', 200, { ready: true }],
    ['/v2/models/dense/ready', 200, { name: 'dense', ready: true }],
    ['/v2/models/dense/versions/1/ready?now', 200, { name: 'dense', ready: true }],
    ['/v2/models/dense/versions/1', 200, { name: 'dense', versions: ['1'], platform: 'pytorch_libtorch' }],
    ['/v2/models/dense/versions/2', 404, { error: 'there is nothing at /v2/models/dense/versions/2' }],
    ['/v2/models/other', 404, { error: 'there is nothing at /v2/models/other' }],
    ['/', 404, { error: 'there is nothing at /' }],
    ['/v2/models/dense/infer', 405, { error: '/v2/models/dense/infer does not answer GET' }],
  ])('answers %s with %i, as the model server for ONNX does', async (urlPath, status, body) => {
    expect(await ask('GET', urlPath)).toMatchObject({ status, body });
  });

  it('answers JSON with JSON, also when only binary outputs are asked for', async () => {
    const body = JSON.stringify({ id: 'a', inputs: zeros, parameters: { binary_data_output: true } });
    expect(await ask('POST', '/v2/models/dense/infer', body)).toMatchObject({
      status: 200,
      body: {
        model_name: 'dense',
        model_version: '1',
        id: 'a',
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 3] }],
      },
    });
  });

  const header = (size: unknown, shape = [1, 16]): string =>
    JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape, parameters: { binary_data_size: size } }] });
  const lengthOf = (text: string): Record<string, string> => ({
    'inference-header-content-length': String(text.length),
  });
  const input = (change: object): string => JSON.stringify({ inputs: [{ ...zeros[0], ...change }] });

  it.each<[string, string, Record<string, string>, string]>([
    ['no JSON', '{', {}, 'body: must be a JSON object with inputs'],
    ['NaN, which is no JSON', '{"inputs":NaN}', {}, 'body: must be a JSON object with inputs'],
    ['JSON that is nested a million deep', '['.repeat(1_000_000), {}, 'body: must be a JSON object with inputs'],
    ['no inputs', '{}', {}, 'inputs: is missing: send an array with "x"'],
    ['too few values', input({ data: [1] }), {}, 'inputs[0].data: has 1 values, but shape [1,16] wants 16'],
    [
      'a text for a number',
      input({ data: new Array(16).fill('a') }),
      {},
      'inputs[0].data[0]: must be a number for FP32',
    ],
    [
      'a number beyond FP32',
      input({ data: new Array(16).fill(1e39) }),
      {},
      'inputs[0].data[0]: is out of range for FP32',
    ],
    ['a ragged nesting', input({ data: [[1, 2]] }), {}, 'inputs[0].data[0]: has 2 elements, but shape [1,16] wants 16'],
    ['another datatype', input({ datatype: 'FP64' }), {}, 'inputs[0].datatype: must be FP32, not "FP64"'],
    ['an empty batch', input({ shape: [0, 16], data: [] }), {}, 'inputs[0].shape[0]: the batch is empty'],
    ['a shape of 2^31 rows', input({ shape: [2 ** 31, 16] }), {}, 'inputs[0].shape[0]: must be a whole number from 0'],
    [
      'an unknown output',
      JSON.stringify({ inputs: zeros, outputs: [{ name: 'z' }] }),
      {},
      'the model has no output "z"',
    ],
    ['half a binary tensor', `${header(64)}half`, lengthOf(header(64)), 'is 64, but the body holds only 4 more bytes'],
    ['bytes behind the last tensor', `${header(4)}1234more`, lengthOf(header(4)), 'has 4 bytes, but its shape'],
    [
      'a header length beyond the body',
      '{}',
      { 'inference-header-content-length': '3' },
      'is 3, but the body has only 2 bytes',
    ],
    [
      'a header length that is none',
      '{}',
      { 'inference-header-content-length': '-1' },
      'must be a whole number of bytes',
    ],
    ['a binary size without the header length', header(64), {}, 'needs the Inference-Header-Content-Length header'],
  ])("refuses %s in the protocol's error shape", async (_what, body, headers, error) => {
    expect(await ask('POST', '/v2/models/dense/infer', body, headers)).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining(error) as unknown },
    });
  });

  it('reads a chunked body', async () => {
    const text = JSON.stringify({ inputs: zeros });
    const answer = await exchange(
      `POST /v2/models/dense/infer HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n` +
        `5\r\n${text.slice(0, 5)}\r\n${(text.length - 5).toString(16)};x=y\r\n${text.slice(5)}\r\n0\r\nt: r\r\n\r\n`,
    );
    expect(answer).toContain('HTTP/1.1 200 OK');
  });

  it.each<[string, string, number]>([
    ['no HTTP at all', '\u0000\u0001hello\r\n\r\n', 400],
    ['a head without end', `GET / HTTP/1.1\r\nx: ${'a'.repeat(70_000)}`, 431],
    ['two lengths', 'POST /v2 HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 400],
    ['a length beside chunks', 'POST /v2 HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 400],
    ['a length over the limit', `POST /v2 HTTP/1.1\r\ncontent-length: ${256 * 2 ** 20 + 1}\r\n\r\n`, 413],
    ['an endless length', `POST /v2 HTTP/1.1\r\ncontent-length: ${'9'.repeat(99)}\r\n\r\n`, 413],
    ['a chunk over the limit', 'POST /v2 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n', 413],
  ])('refuses %s, closes that connection and lives on', async (_what, text, status) => {
    const answer = await exchange(text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain('connection: close');
    expect((await ask('GET', '/v2/health/ready')).status).toBe(200);
  });

  it('lives on when clients are cut off half-way', async () => {
    const halves = ['', 'POST /v2/models/dense/infer HT', 'POST /v2 HTTP/1.1\r\ncontent-length: 99\r\n\r\nhalf'];
    for (const half of halves) {
      const socket = await opened();
      socket.end(half);
      await once(socket.resume(), 'close');
    }
    expect((await ask('GET', '/v2/health/ready')).status).toBe(200);
  });

  async function opened(): Promise<Socket> {
    const socket = connect(socketPath);
    await once(socket, 'connect');
    return socket;
  }

  /** Sends bytes as they stand, and reads until an answer is whole or the connection closes. */
  async function exchange(text: string): Promise<string> {
    const socket = await opened();
    socket.on('error', () => undefined);
    socket.write(text);
    let answer = '';
    for await (const chunk of socket) {
      answer += String(chunk);
      if (answer.includes('}')) break;
    }
    return answer;
  }
});

describe('a run', () => {
  it('of a sampled trace sends a span, past the guard that lets no model connect', async () => {
    const collected: Buffer[] = [];
    const collector = createServer((req, res) => {
      req.on('data', (chunk: Buffer) => collected.push(chunk));
      req.on('end', () => res.end());
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as { port: number };
    const socketPath = path.join(folder, 'trace.sock');
    const { child, exit } = await start({
      SLUICE_MODEL_DIR: modelFolder('dense'),
      SLUICE_SOCKET: socketPath,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    });
    const client = new Client('http://localhost', { socketPath });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    for (const flags of ['00', '01']) {
      const answer = await client.request({
        method: 'POST',
        path: '/v2/models/dense/infer',
        headers: { traceparent: `00-${traceId}-b7ad6b7169203331-${flags}` },
        body: JSON.stringify({ inputs: zeros }),
      });
      await answer.body.dump();
    }
    await client.close();
    child.kill();
    expect(await exit).toBe(0);
    collector.close();
    const sent = JSON.parse(Buffer.concat(collected).toString()) as {
      resourceSpans: { scopeSpans: { spans: object[] }[] }[];
    };
    const { spans } = sent.resourceSpans[0]!.scopeSpans[0]!;
    expect(spans).toMatchObject([{ name: 'replica.run', traceId, parentSpanId: 'b7ad6b7169203331' }]);
  });

  it('leaves health answered meanwhile', async () => {
    const socketPath = path.join(folder, 'slow.sock');
    const { child, exit } = await start({ SLUICE_MODEL_DIR: modelFolder('slow'), SLUICE_SOCKET: socketPath });
    const clients = [0, 1].map(() => new Client('http://localhost', { socketPath }));
    const state = { isRunning: true };
    const run = clients[0]!
      .request({ method: 'POST', path: '/v2/models/slow/infer', body: JSON.stringify({ inputs: zeros }) })
      .then((answer) => answer.body.dump())
      .finally(() => (state.isRunning = false));
    let answers = 0;
    while (state.isRunning) {
      const answer = await clients[1]!.request({ method: 'GET', path: '/v2/health/ready' });
      await answer.body.dump();
      if (state.isRunning) answers += 1;
    }
    await run;
    // One alone may have come before the run began.
    expect(answers).toBeGreaterThan(3);
    await Promise.all(clients.map((each) => each.close()));
    child.kill();
    expect(await exit).toBe(0);
  });

  it('that fails is marked as the fault of the model', async () => {
    const socketPath = path.join(folder, 'broken.sock');
    const { child, exit } = await start({ SLUICE_MODEL_DIR: modelFolder('broken'), SLUICE_SOCKET: socketPath });
    const client = new Client('http://localhost', { socketPath });
    const inputs = [{ ...zeros[0], data: new Array(16).fill(7) }];
    const answer = await client.request({
      method: 'POST',
      path: '/v2/models/broken/infer',
      body: JSON.stringify({ inputs }),
    });
    expect(answer.statusCode).toBe(500);
    expect(answer.headers['sluice-fault']).toBe('model');
    expect(await answer.body.json()).toEqual({ error: expect.stringContaining('index out of range') as unknown });
    await client.close();
    child.kill();
    await exit;
  });
});

describe('its start and end', () => {
  it('refuses to serve files that differ from their hashes, tells its parent, and exits with 3', async () => {
    const copy = path.join(folder, 'changed');
    await cp(modelFolder('dense'), copy, { recursive: true });
    await writeFile(path.join(copy, 'model.pt'), 'other bytes');
    const { message, exit } = await start({ SLUICE_MODEL_DIR: copy, SLUICE_SOCKET: path.join(folder, 'a.sock') });
    expect(message).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('model.pt has sha256') as unknown,
    });
    expect(await exit).toBe(3);
  });

  it('names a framework that its interpreter has not', async () => {
    const copy = path.join(folder, 'keras');
    await cp(modelFolder('dense'), copy, { recursive: true });
    const manifest = JSON.parse(await readFile(path.join(copy, 'sluice.json'), 'utf8')) as object;
    await writeFile(path.join(copy, 'sluice.json'), JSON.stringify({ ...manifest, format: 'keras' }));
    const { message, exit } = await start({ SLUICE_MODEL_DIR: copy, SLUICE_SOCKET: path.join(folder, 'k.sock') });
    expect(message.reason).toContain("cannot import the framework: No module named 'keras'");
    expect(await exit).toBe(1);
  });

  it.each<[string, Record<string, string>, string]>([
    ['no socket', {}, 'SLUICE_SOCKET: name the path'],
    [
      'no threads',
      { SLUICE_SOCKET: '/s', SLUICE_THREADS: '0' },
      'SLUICE_THREADS: must be a whole number from 1 to 256',
    ],
    ['an endless drain', { SLUICE_SOCKET: '/s', SLUICE_DRAIN_SECONDS: '1e9' }, 'SLUICE_DRAIN_SECONDS: must be a whole'],
  ])('exits with 2 for %s', async (_what, env, reason) => {
    const { message, exit } = await start({ SLUICE_MODEL_DIR: modelFolder('dense'), ...env });
    expect(message.reason).toContain(reason);
    expect(await exit).toBe(2);
  });

  it('does not take a path that holds something else than a socket', async () => {
    const occupied = path.join(folder, 'file.sock');
    await writeFile(occupied, 'precious');
    const { message, exit } = await start({ SLUICE_MODEL_DIR: modelFolder('dense'), SLUICE_SOCKET: occupied });
    expect(message.reason).toContain('cannot listen');
    expect(await exit).toBe(2);
    expect(await readFile(occupied, 'utf8')).toBe('precious');
  });

  it('takes over the socket that a crashed server left, and ends by itself when its parent is gone', async () => {
    const socketPath = path.join(folder, 'left.sock');
    const settings = { SLUICE_MODEL_DIR: modelFolder('dense'), SLUICE_SOCKET: socketPath };
    const crashed = spawnServer(settings);
    for (;;) {
      const socket = connect(socketPath);
      const isThere = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'error').then(() => false),
      ]).catch(() => false);
      socket.destroy();
      if (isThere) break;
    }
    crashed.child.kill('SIGKILL');
    await crashed.exit;
    const { message, child, exit } = await start(settings);
    expect(message).toMatchObject({ kind: 'ready', runtime: { providers: ['cpu'], threads: 1 } });
    (child.stdio[3] as Socket).destroy();
    expect(await exit).toBe(0);
  });

  it('ends at once when it is asked to while it loads', async () => {
    const socketPath = path.join(folder, 'loading.sock');
    const { child, exit } = spawnServer({ SLUICE_MODEL_DIR: modelFolder('dense'), SLUICE_SOCKET: socketPath });
    for (;;) {
      const client = new Client('http://localhost', { socketPath });
      const status = await client.request({ method: 'GET', path: '/v2/health/ready' }).then(
        (answer) => answer.statusCode,
        () => 0,
      );
      await client.destroy();
      if (status !== 0) {
        expect(status).toBe(503);
        break;
      }
    }
    child.kill();
    expect(await exit).toBe(0);
  });
});
