import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { signatureOf, startMlServer, type ForeignProcess } from '../support/foreign/foreign-server.js';
import { SluiceInstance } from '../support/sluice-instance.js';

const secret = 'Bearer sk-very-secret-token';
const patience = { timeout: 30_000, interval: 100 };
let sluice: SluiceInstance;
let server: ForeignProcess;

beforeAll(async () => {
  [sluice, server] = await Promise.all([SluiceInstance.start(), startMlServer(['dense'])]);
});
afterAll(async () => {
  await Promise.all([sluice?.[Symbol.asyncDispose](), server?.[Symbol.asyncDispose]()]);
});

const infer = async (): Promise<{ status: number; body: any }> => {
  const inputs = [
    {
      name: 'x',
      datatype: 'FP32',
      shape: [1, 16],
      data: Array.from({ length: 16 }, (_value, index) => Math.sin(index + 1)),
    },
  ];
  return sluice.call('POST', '/v2/models/far/infer', { inputs });
};
const replica = async (): Promise<{ state: string; reason: string | null; address: string }> =>
  (await sluice.call('GET', '/api/replicas')).body.replicas.find(({ model }: { model: string }) => model === 'far');

it('serves from a real MLServer, through its crash and its return, and keeps its secret', async () => {
  const manifest = {
    schemaVersion: 1,
    name: 'far',
    version: '1',
    format: 'remote',
    ...(await signatureOf('dense')),
    remote: {
      protocol: 'oip',
      targets: [{ url: server.address, model: 'dense', version: '1' }],
      secretHeaders: ['authorization'],
      probe: { everyMs: 500 },
    },
  };
  expect((await sluice.call('POST', '/api/models', { manifest })).status).toBe(201);
  expect((await sluice.call('POST', '/api/endpoints', { name: 'far', version: '1', model: 'far' })).status).toBe(201);
  await vi.waitFor(async () => expect((await replica()).reason).toContain('secret header authorization'), patience);
  const path = '/api/models/far/versions/1/secret-headers';
  expect((await sluice.call('PUT', path, { headers: { authorization: secret } })).status).toBe(200);
  await vi.waitFor(async () => expect((await infer()).status).toBe(200), patience);
  expect(await replica()).toMatchObject({ state: 'ready', reason: null, address: server.address });
  const { body } = await infer();
  expect(body).toMatchObject({ model_name: 'far', model_version: '1', outputs: [{ name: 'y', shape: [1, 3] }] });

  await server.crash();
  await vi.waitFor(async () => expect((await infer()).status).toBe(503), patience);
  await vi.waitFor(async () => expect((await replica()).reason).toContain('ECONNREFUSED'), patience);
  expect((await sluice.call('GET', '/v2/models/tone/ready')).status).toBe(200);
  server = await startMlServer(['dense'], Number(new URL(server.address).port));
  await vi.waitFor(async () => expect((await infer()).status).toBe(200), patience);
  expect((await infer()).body.outputs).toEqual(body.outputs);

  const logs = join(sluice.home, 'logs');
  for (const file of await readdir(logs)) expect(await readFile(join(logs, file), 'utf8')).not.toContain('very-secret');
  for (const url of [path, '/api/models', '/api/replicas', '/openapi.json', '/metrics'])
    expect(JSON.stringify((await sluice.call('GET', url)).body)).not.toContain('very-secret');
  expect(sluice.output).not.toContain('very-secret');
});
