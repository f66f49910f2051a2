import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from 'undici';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dense = path.join(root, 'test/models/dense');

interface Started {
  child: ChildProcess;
  /** What it told its parent first, or that it ended. */
  message: { kind: string; reason?: string };
  exit: Promise<number | null>;
}

async function start(env: Record<string, string>): Promise<Started> {
  const child = spawn(process.execPath, [path.join(root, 'dist/apps/model-server/main.js')], {
    env,
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const first = once(child, 'message').then(([message]) => message as Started['message']);
  const message = await Promise.race([first, exit.then((code) => ({ kind: `exit ${code}` }))]);
  return { child, message, exit };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ms-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe('over HTTP', () => {
  let server: Started;
  let client: Client;
  beforeAll(async () => {
    const socketPath = path.join(folder, 'http.sock');
    server = await start({ SLUICE_MODEL_DIR: dense, SLUICE_SOCKET: socketPath });
    client = new Client('http://localhost', { socketPath });
  });
  afterAll(async () => {
    await client.close();
    server.child.kill();
    expect(await server.exit).toBe(0);
  });

  async function ask(method: 'GET' | 'POST', urlPath: string, body?: string, headers?: Record<string, string>) {
    const answer = await client.request({
      method,
      path: urlPath,
      body: body ?? null,
      ...(headers !== undefined && { headers }),
    });
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
    ['/v2/models/dense/versions/1/ready', 200, { name: 'dense', ready: true }],
    ['/v2/models/dense/versions/2', 404, { error: 'there is nothing at /v2/models/dense/versions/2' }],
    ['/v2/models/other', 404, { error: 'there is nothing at /v2/models/other' }],
    ['/', 404, { error: 'there is nothing at /' }],
    ['/v2/models/dense/infer', 405, { error: '/v2/models/dense/infer does not answer GET' }],
  ])('answers %s with %i', async (urlPath, status, body) => {
    expect(await ask('GET', urlPath)).toMatchObject({ status, body });
  });

  it('answers JSON with JSON, also when only binary outputs are asked for', async () => {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 16], data: new Array(16).fill(0) }];
    const body = JSON.stringify({ id: 'a', inputs, parameters: { binary_data_output: true } });
    const answer = await ask('POST', '/v2/models/dense/infer', body);
    expect(answer).toMatchObject({
      status: 200,
      body: { model_name: 'dense', model_version: '1', id: 'a', outputs: [{ name: 'y', shape: [1, 3] }] },
    });
  });

  it.each<[string, string, string]>([
    ['no JSON', '{', 'body: must be a JSON object with inputs'],
    [
      'wrong values',
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,16],"data":["a"]}]}',
      'inputs[0].data: has 1 values',
    ],
  ])("refuses %s in the protocol's error shape", async (_what, body, error) => {
    expect(await ask('POST', '/v2/models/dense/infer', body)).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining(error) as unknown },
    });
  });

  it('refuses a body over its limit without reading it', async () => {
    const big = client.request({
      method: 'POST',
      path: '/v2/models/dense/infer',
      headers: { 'content-length': String(256 * 1_024 * 1_024 + 1) },
      body: Readable.from([Buffer.alloc(16)]),
    });
    expect((await big.catch(() => undefined))?.statusCode ?? 413).toBe(413);
    expect((await ask('GET', '/v2/health/live')).status).toBe(200);
  });
});

it('says in its metadata what it runs on', async () => {
  const socketPath = path.join(folder, 'metadata.sock');
  const { message, child, exit } = await start({
    SLUICE_MODEL_DIR: dense,
    SLUICE_SOCKET: socketPath,
    SLUICE_THREADS: '2',
  });
  expect(message.kind).toBe('ready');
  const client = new Client('http://localhost', { socketPath });
  const answer = await client.request({ method: 'GET', path: '/v2/models/dense' });
  expect(await answer.body.json()).toMatchObject({ runtime: { providers: ['cpu'], threads: 2, fallbacks: [] } });
  await client.close();
  child.kill();
  await exit;
});

describe('its start and end', () => {
  it('refuses to serve files that differ from their hashes, tells its parent, and exits with 3', async () => {
    const copy = path.join(folder, 'changed');
    await cp(dense, copy, { recursive: true });
    await writeFile(path.join(copy, 'model.onnx'), 'other bytes');
    const { message, exit } = await start({ SLUICE_MODEL_DIR: copy, SLUICE_SOCKET: path.join(folder, 'a.sock') });
    expect(message.kind).toBe('failed');
    expect(message.reason).toContain('model.onnx has sha256');
    expect(await exit).toBe(3);
  });

  it('exits with 2 when a setting is missing', async () => {
    const { message, exit } = await start({ SLUICE_MODEL_DIR: dense });
    expect(message.reason).toContain('SLUICE_SOCKET');
    expect(await exit).toBe(2);
  });

  it.each(['SLUICE_THREADS', 'SLUICE_DRAIN_SECONDS', 'SLUICE_LIVENESS_SECONDS', 'SLUICE_RUN_LIMIT_SECONDS'])(
    'exits with 2 when %s is no whole number',
    async (name) => {
      const socketPath = path.join(folder, 'settings.sock');
      const { message, exit } = await start({ SLUICE_MODEL_DIR: dense, SLUICE_SOCKET: socketPath, [name]: 'many' });
      expect(message.reason).toMatch(new RegExp(`^${name}: must be a whole number from 1 to `));
      expect(await exit).toBe(2);
    },
  );

  it('takes over the socket that a crashed process left', async () => {
    const socketPath = path.join(folder, 'left.sock');
    const crashed = spawn(process.execPath, [
      '-e',
      `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    await once(crashed, 'exit');
    const { message, child, exit } = await start({ SLUICE_MODEL_DIR: dense, SLUICE_SOCKET: socketPath });
    expect(message.kind).toBe('ready');
    child.kill();
    await exit;
  });

  it('does not take a path that holds something else than a socket', async () => {
    const occupied = path.join(folder, 'file.sock');
    await writeFile(occupied, 'precious');
    const { message, exit } = await start({ SLUICE_MODEL_DIR: dense, SLUICE_SOCKET: occupied });
    expect(message.reason).toContain('cannot listen');
    expect(await exit).toBe(2);
  });

  it('ends by itself when its parent is gone', async () => {
    const { message, child, exit } = await start({
      SLUICE_MODEL_DIR: dense,
      SLUICE_SOCKET: path.join(folder, 'orphan.sock'),
    });
    expect(message.kind).toBe('ready');
    child.disconnect();
    expect(await exit).toBe(0);
  });

  it('sends a span for a run whose trace is sampled', async () => {
    const collected: Buffer[] = [];
    const collector = createServer((req, res) => {
      req.on('data', (chunk: Buffer) => collected.push(chunk));
      req.on('end', () => res.end());
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as { port: number };
    const socketPath = path.join(folder, 'trace.sock');
    const { child, exit } = await start({
      SLUICE_MODEL_DIR: dense,
      SLUICE_SOCKET: socketPath,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    });
    const client = new Client('http://localhost', { socketPath });
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 16], data: new Array(16).fill(0) }];
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const answer = await client.request({
      method: 'POST',
      path: '/v2/models/dense/infer',
      headers: { traceparent },
      body: JSON.stringify({ inputs }),
    });
    await answer.body.dump();
    await client.close();
    child.kill();
    expect(await exit).toBe(0);
    collector.close();
    const sent = Buffer.concat(collected);
    expect(sent.includes('replica.run')).toBe(true);
    // OTLP carries ids as hex in JSON and as bytes in protobuf.
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    expect(sent.includes(traceId) || sent.includes(Buffer.from(traceId, 'hex'))).toBe(true);
  });
});
