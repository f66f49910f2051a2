import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile, mkdtemp } from 'node:fs/promises';
import { connect as connectHttp2, constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { Agent, fetch } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InferenceClient } from '../support/inference-grpc.js';
import { SluiceInstance } from '../support/sluice-instance.js';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url));
let home: string;
let sluice: SluiceInstance;
let key: string;
let certificate: string;
let trusting: Agent;

// With a certificate of its own, which whoever asks here verifies: an installation that anybody outside could call.
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-audit-'));
  sluice = await SluiceInstance.start({ home, env: { SLUICE_TLS: 'self-signed' } });
  certificate = await readFile(join(home, 'tls', 'cert.pem'), 'utf8');
  trusting = new Agent({ connect: { ca: certificate } });
  key = (await readFile(join(home, 'admin-key'), 'utf8')).trim();
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await trusting?.close();
  await rm(home, { recursive: true, force: true });
});
const get = (path: string) =>
  fetch(`https://127.0.0.1:${sluice.port}${path}`, {
    headers: { authorization: `Bearer ${key}` },
    dispatcher: trusting,
  });

it('tells at the start how to reach it over TLS, with an answer that it has got that way itself', async () => {
  const shown = sluice.output;
  expect(shown).toContain(`  API          https://127.0.0.1:${sluice.port}\n`);
  expect(shown).toContain(`  gRPC         127.0.0.1:${sluice.grpcPort}   (TLS, the same certificate)\n`);
  expect(shown).toContain(`  certificate  ${join(home, 'tls', 'cert.pem')}   (made here; give it to clients)\n`);
  const [, command] = /^ {2}(curl .*)$/m.exec(shown) ?? [];
  expect(command).toContain(
    `--cacert ${join(home, 'tls', 'cert.pem')} https://127.0.0.1:${sluice.port}/v2/models/tone`,
  );
  const answer = await run('sh', ['-c', command!]).catch((failure: { code?: number }) => failure.code);
  // Not every machine has curl: 127 is the shell that does not find it.
  if (answer !== 127) expect(shown).toContain(`It answers:\n\n  ${(answer as { stdout: string }).stdout}\n`);
  else expect(shown).toMatch(/It answers:\n\n {2}\{"model_name":"tone"/);
  expect((await stat(join(home, 'tls', 'key.pem'))).mode & 0o777).toBe(0o600);
});

it('speaks HTTP/2 and gRPC with that certificate, and nothing without TLS', async () => {
  const session = connectHttp2(`https://127.0.0.1:${sluice.port}`, { ca: certificate });
  await once(session, 'connect');
  expect(session.alpnProtocol).toBe('h2');
  const stream = session.request({ ':path': '/v2/health/ready' });
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(head[constants.HTTP2_HEADER_STATUS]).toBe(200);
  session.destroy();
  await expect(fetch(`http://127.0.0.1:${sluice.port}/v2/health/live`)).rejects.toThrow('fetch failed');
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const codes: (number | undefined)[] = [];
  for (const each of [credentials.createSsl(Buffer.from(certificate)), credentials.createInsecure()]) {
    const client = new InferenceClient(`localhost:${sluice.grpcPort}`, each);
    const options = { deadline: Date.now() + 30_000 };
    const failure = await new Promise<ServiceError | null>((resolve) => {
      client.ModelReady({ name: 'tone' }, metadata, options, (error: ServiceError | null) => resolve(error));
    });
    client.close();
    codes.push(failure?.code);
  }
  expect(codes).toEqual([undefined, status.UNAVAILABLE]);
});

it('is clean from the first start on, rows of launcher, worker and API together', async () => {
  const found = (await (await get('/api/audit/verify')).json()) as {
    isClean: boolean;
    findings: object[];
    rows: number;
  };
  expect(found).toMatchObject({ isClean: true, findings: [] });
  const { rows } = (await (await get('/api/audit?limit=1000')).json()) as { rows: { action: string }[] };
  expect(rows.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['key.create', 'model.register', 'audit.begin', 'audit.verify']),
  );
});

it('cannot be changed by the application, as its metric says', async () => {
  const metrics = await (await get('/metrics')).text();
  expect(metrics).toMatch(/^sluice_audit_restricted_role(\{.*\})? 1$/m);
  expect(metrics).toMatch(/^sluice_audit_checkpoint_failures(\{.*\})? 0$/m);
});

it('is verified by the command line with neither database nor master key, after the end of everything', async () => {
  const exported = join(home, 'export.ndjson');
  const publicKey = join(home, 'key.json');
  await writeFile(publicKey, await (await get('/api/audit/key')).text());
  await writeFile(exported, await (await get('/api/audit/export')).text());
  const { checkpoints: before } = await counts();
  await sluice.stop();
  const { checkpoints: after } = await counts();
  expect(after).toBeGreaterThan(before);
  const verify = (file: string) =>
    run(process.execPath, [cli, 'audit', 'verify', file, join(home, 'audit-checkpoints'), publicKey], {
      env: { PATH: process.env['PATH'] },
    });
  expect((await verify(exported)).stdout).toMatch(/CLEAN\n$/);
  await writeFile(
    exported,
    (await readFile(exported, 'utf8')).replace('"action":"model.register"', '"action":"model.archive"'),
  );
  await expect(verify(exported)).rejects.toMatchObject({ code: 1, stdout: expect.stringMatching(/FOUND row-changed/) });
});

async function counts(): Promise<{ checkpoints: number }> {
  const folder = join(home, 'audit-checkpoints');
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  return { checkpoints: texts.join('').split('\n').filter(Boolean).length };
}
