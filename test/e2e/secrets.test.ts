import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InferenceClient } from '../support/inference-grpc.js';
import { SluiceInstance } from '../support/sluice-instance.js';
import { TraceCollector } from '../support/trace-collector.js';

/** Everything that must be in no output, by what it is. */
const secrets = new Map<string, string>([
  ['the master key', '5ec12e7a5ec12e7a5ec12e7a5ec12e7a5ec12e7a5ec12e7a5ec12e7a5ec12e7a'],
  ['the S3 secret', 'wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY'],
  ['the registry password', 'registry-password-7c1f'],
  ['a secret header', 'upstream-token-93ab'],
  ['a refused key', 'slu_RefusedRefusedRefusedRefusedRefusedRefused0'],
  ['a refused token', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJzZWNyZXQtc3ViamVjdCJ9.c2lnbmF0dXJlLW9mLXRva2Vu'],
  ['a password of HTTP Basic', 'basic-password-41d0'],
  ['a key in an address', 'key-in-address-5512'],
  ['an idempotency key', 'idempotency-key-8e03'],
]);
const secret = (name: string): string => secrets.get(name)!;
const folderOfPrivateFiles = new Set(['postgres', 'temporal', 'tools', 'artifacts']);
const privateFiles = new Set(['admin-key', 'master-key', 'key.pem']);

let sluice: SluiceInstance;
let traces: TraceCollector;
let admin: string;
const bodies: string[] = [];

beforeAll(async () => {
  traces = await TraceCollector.start();
  sluice = await SluiceInstance.start({
    env: {
      SLUICE_MASTER_KEY: secret('the master key'),
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: secret('the S3 secret'),
      SLUICE_OCI_AUTH: JSON.stringify({
        auths: { '127.0.0.1:9': { username: 'ci', password: secret('the registry password') } },
      }),
      SLUICE_S3_ENDPOINT: 'http://127.0.0.1:9',
      SLUICE_LOG_LEVEL: 'trace',
      SLUICE_TRACE_SAMPLING: '1',
      OTEL_EXPORTER_OTLP_ENDPOINT: traces.address,
    },
  });
  admin = await sluice.adminKey();
  secrets.set('the admin key', admin);
  const [api] = await sluice.pids('api');
  const address = new URL(/DATABASE_URL=([^\0]*)/.exec(await readFile(`/proc/${api}/environ`, 'utf8'))![1]!);
  secrets.set("the database's password", decodeURIComponent(address.password));
  const owners = await readFile(join(sluice.home, 'postgres', 'password'), 'utf8');
  secrets.set("the password of the database's owner", owners.trim());
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await traces?.[Symbol.asyncDispose]();
});

async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<any> {
  const answer = await fetch(`${sluice.base}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${admin}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  // The one answer that shows a key is for its owner.
  if (!(path === '/api/keys' && answer.status === 201)) bodies.push(text);
  return text.startsWith('{') ? JSON.parse(text) : text;
}

it('goes through requests of all kinds with secrets in all places', async () => {
  const made = await ask(
    'POST',
    '/api/keys',
    { name: 'one', role: 'caller' },
    { 'idempotency-key': secret('an idempotency key') },
  );
  const shown = String(made.key ?? '');
  expect(shown).toMatch(/^slu_/);
  secrets.set('a caller key', shown);
  await ask('POST', '/api/keys', { name: 'other' }, { 'idempotency-key': secret('an idempotency key') });
  for (const authorization of [
    `Bearer ${secret('a refused key')}`,
    `Bearer ${secret('a refused token')}`,
    secret('a refused token'),
    `Basic ${Buffer.from(`any:${secret('a password of HTTP Basic')}`).toString('base64')}`,
    `Bearer ${shown}`,
  ])
    for (const path of ['/api/keys', '/v2', '/v1/models', '/docs', '/metrics', '/api/nothing', '/v2/nothing'])
      await ask('GET', path, undefined, { authorization });
  for (const path of ['/api/keys', '/v2/models/tone', '/v1/models', '/%zz', '/nothing'])
    for (const name of ['key', 'api_key', 'access_token', 'Token', 'x'])
      for (const value of [secret('a key in an address'), shown, secret('a refused token')])
        await ask('GET', `${path}?${name}=${value}`);

  const good = { inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['hello'] }] };
  await ask('POST', '/v2/models/tone/infer', good, { authorization: `Bearer ${shown}` });
  await ask('POST', '/v2/models/tone/infer', '{"inputs":', { authorization: `Bearer ${shown}` });
  await ask('POST', '/v2/models/tone/infer', good, { 'content-type': 'text/csv' });
  await ask('POST', '/v1/chat/completions', { model: 'tone', messages: [] }, { authorization: `Bearer ${shown}` });
  await ask('POST', '/api/models', { source: 's3://bucket/model' });
  await ask('POST', '/api/models', { source: 'oci://127.0.0.1:9/team/model:v1' });
  await ask('POST', '/api/models', { path: '/nowhere' });
  await remoteModel();
  await unreadable(
    `GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${admin}\r\nx-long: ${shown.repeat(20_000)}\r\n\r\n`,
  );
  await unreadable(`GET /v2?key=${shown} HTTP/7.7\r\nauthorization: Bearer ${admin}\r\n\r\n`);
  await overGrpc(shown);
  await ask('GET', '/metrics');
  await ask('GET', '/openapi.json');
});

async function remoteModel(): Promise<void> {
  const manifest = {
    name: 'far',
    version: '1',
    format: 'remote',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
    remote: { protocol: 'oip', targets: [{ url: 'http://127.0.0.1:9' }], secretHeaders: ['authorization'] },
  };
  await ask('POST', '/api/models', { manifest });
  await ask('PUT', '/api/models/far/versions/1/secret-headers', {
    authorization: `Bearer ${secret('a secret header')}`,
  });
  await ask('PUT', '/api/models/far/versions/1/secret-headers', {
    headers: { authorization: `Bearer ${secret('a secret header')}` },
  });
  await ask('POST', '/api/endpoints', { name: 'far', model: 'far', version: '1' });
  await ask('POST', '/v2/models/far/infer', { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }] });
  await ask('GET', '/api/models/far/versions/1');
}

async function unreadable(bytes: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(sluice.port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => bodies.push(String(chunk)));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
  });
}

async function overGrpc(shown: string): Promise<void> {
  const client = new InferenceClient(`127.0.0.1:${sluice.grpcPort}`, credentials.createInsecure());
  for (const entries of [
    [['authorization', `Bearer ${secret('a refused key')}`]],
    [['authorization', `Bearer ${shown}`]],
    [['api-key', shown]],
    [
      ['authorization', `Bearer ${secret('a refused token')}`],
      ['authorization', `Bearer ${shown}`],
    ],
    [['x-long', shown.repeat(2_000)]],
  ] as [string, string][][]) {
    const metadata = new Metadata();
    for (const [name, value] of entries) metadata.add(name, value);
    await new Promise<void>((resolve) => {
      client.ModelInfer({ modelName: shown }, metadata, { deadline: Date.now() + 10_000 }, (failure: unknown) => {
        bodies.push(JSON.stringify(failure) ?? '');
        resolve();
      });
    });
  }
  client.close();
}

/** What of a text is a secret, by name and place. */
function leaksIn(place: string, text: string, except: readonly string[] = []): string[] {
  return [...secrets]
    .filter(([name, value]) => !except.includes(name) && text.includes(value))
    .map(([name]) => `${name} in ${place}`);
}

it('tells no secret in what it answers, but the caller what it wrote itself', () => {
  const text = bodies.join('\n');
  // gRPC and 404s name the model and the path that the caller asked for.
  expect(leaksIn('an answer', text, ['a caller key'])).toEqual([]);
});

it('tells no secret in its output, logs, files, traces or metrics', async () => {
  await expect.poll(() => traces.spans.length, { timeout: 30_000 }).toBeGreaterThan(0);
  const found = [...leaksIn('the output', sluice.output), ...leaksIn('the traces', traces.raw)];
  for (const [path, text] of await filesBelow(sluice.home)) found.push(...leaksIn(path, text));
  expect(found).toEqual([]);
});

it('shows no secret in the list of processes, and gives none to a process that does not need it', async () => {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    found.push(...leaksIn(`the command line of ${commandLine.slice(0, 80)}`, commandLine));
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const isOurs = environment.includes(sluice.home) || commandLine.includes(sluice.home);
    const isTrusted = /apps\/(?:api|worker|cli)\/main\.js/.test(commandLine);
    if (isOurs && !isTrusted) found.push(...leaksIn(`the environment of ${commandLine.slice(0, 80)}`, environment));
  }
  expect(found).toEqual([]);
});

async function filesBelow(folder: string): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !folderOfPrivateFiles.has(entry.name)) found.push(...(await filesBelow(path)));
    else if (entry.isFile() && !privateFiles.has(entry.name)) found.push([path, await readFile(path, 'utf8')]);
  }
  return found;
}
