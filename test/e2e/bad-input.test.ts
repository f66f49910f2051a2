import { connect } from 'node:net';
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InferenceClient } from '../support/inference-grpc.js';
import { SluiceInstance } from '../support/sluice-instance.js';
import { Traffic, variedText } from '../support/traffic.js';

let sluice: SluiceInstance;
let key: string;
let traffic: Traffic;

beforeAll(async () => {
  sluice = await SluiceInstance.start({ env: { SLUICE_BODY_LIMIT_BYTES: String(2 * 1024 * 1024) } });
  key = await sluice.adminKey();
  traffic = new Traffic({ base: sluice.base, endpoint: 'tone', key, requestsPerSecond: 100, text: variedText });
});
afterAll(async () => {
  await traffic?.stop();
  await sluice?.[Symbol.asyncDispose]();
});

const good = { name: 'text', datatype: 'BYTES', shape: [1], data: ['hello'] };

it.each([
  ['malformed JSON', '{"inputs": [', 400, /JSON/i],
  ['an empty body', '', 400, /body|JSON/i],
  ['JSON that is no object', '[]', 400, /inputs|object/i],
  ['no inputs', {}, 400, /inputs/],
  ['inputs that are no list', { inputs: good }, 400, /inputs/],
  ['an unknown input', { inputs: [{ ...good, name: 'txet' }] }, 400, /txet.*text|text.*txet/s],
  ['a wrong datatype', { inputs: [{ ...good, datatype: 'FP32' }] }, 400, /datatype.*BYTES/],
  ['an unknown datatype', { inputs: [{ ...good, datatype: 'TEXT' }] }, 400, /datatype/],
  ['a shape that does not fit the data', { inputs: [{ ...good, shape: [2] }] }, 400, /shape|data/],
  ['a negative size', { inputs: [{ ...good, shape: [-1] }] }, 400, /shape/],
  ['a size that is no whole number', { inputs: [{ ...good, shape: [1.5] }] }, 400, /shape/],
  ['a shape of wrong rank', { inputs: [{ ...good, shape: [1, 1] }] }, 400, /shape/],
  ['a huge shape', { inputs: [{ ...good, shape: [9007199254740991] }] }, 400, /shape/],
  ['an empty batch', { inputs: [{ ...good, shape: [0], data: [] }] }, 400, /shape|row|empty/],
  [
    '10,000 rows',
    { inputs: [{ ...good, shape: [10_000], data: Array.from({ length: 10_000 }, () => 'a') }] },
    400,
    /10000|8192|rows/,
  ],
  ['a number where text belongs', { inputs: [{ ...good, data: [1] }] }, 400, /data/],
  ['null where text belongs', { inputs: [{ ...good, data: [null] }] }, 400, /data/],
  ['NaN, which is no JSON', '{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[NaN]}]}', 400, /JSON/i],
  ['an unknown output', { inputs: [good], outputs: [{ name: 'lable' }] }, 400, /lable/],
])('answers %s with one sentence that names the field', async (_what, body, status, message) => {
  const answer = await post('/v2/models/tone/infer', typeof body === 'string' ? body : JSON.stringify(body));
  expect(answer.status).toBe(status);
  expect(Object.keys(answer.body)).toEqual(['error']);
  expect(answer.body.error).toMatch(message);
  expect(answer.body.error.length).toBeLessThan(400);
  expect(answer.headers.get('sluice-request-id')).toMatch(/^[0-9a-f-]{36}$/);
});

it('does not know a model that is not there, and says so in the shape of each protocol', async () => {
  const inference = await post('/v2/models/tune/infer', JSON.stringify({ inputs: [good] }));
  expect(inference.status).toBe(404);
  expect(inference.body).toEqual({ error: expect.stringContaining('tune') });
  const management = await sluice.call('GET', '/api/endpoints/tune');
  expect(management.status).toBe(404);
  expect(management.headers.get('content-type')).toContain('application/problem+json');
  expect(management.body).toMatchObject({ status: 404, code: 'SLU_ENDPOINT_UNKNOWN' });
});

it('refuses a body over the limit without reading it to the end', async () => {
  const answer = await post(
    '/v2/models/tone/infer',
    JSON.stringify({ inputs: [{ ...good, data: ['x'.repeat(3 * 1024 * 1024)] }] }),
  );
  expect(answer.status).toBe(413);
  expect(answer.body.error).toMatch(/2097152/);
});

it('gives up on a body that does not arrive, and serves others meanwhile', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(sluice.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
    socket.write(
      `POST /v2/models/tone/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n` +
        `content-type: application/json\r\ncontent-length: 100\r\n\r\n{"inputs":`,
    );
  });
  expect(answer).toMatch(/^HTTP\/1\.1 408/);
}, 120_000);

it('keeps everything but health closed without a key, and refuses a key in the address', async () => {
  for (const path of ['/v2', '/v2/models/tone', '/api/models', '/metrics', '/openapi.json', '/docs']) {
    expect((await fetch(`${sluice.base}${path}`)).status, path).toBe(401);
  }
  for (const path of ['/v2/health/live', '/v2/health/ready'])
    expect((await fetch(`${sluice.base}${path}`)).status, path).toBe(200);
  expect((await fetch(`${sluice.base}/v2/models/tone?key=${key}`)).status).toBe(400);
  const caller = await sluice.call('POST', '/api/keys', { name: 'only calls', role: 'caller' });
  expect(caller.status).toBe(201);
  const headers = { authorization: `Bearer ${caller.body.key}`, 'content-type': 'application/json' };
  expect((await fetch(`${sluice.base}/api/rollouts`, { method: 'POST', headers, body: '{}' })).status).toBe(403);
  const infer = (): Promise<Response> =>
    fetch(`${sluice.base}/v2/models/tone/infer`, { method: 'POST', headers, body: JSON.stringify({ inputs: [good] }) });
  expect((await infer()).status).toBe(200);
  expect((await sluice.call('DELETE', `/api/keys/${caller.body.id}`)).status).toBeLessThan(300);
  await expect.poll(async () => (await infer()).status, { timeout: 5_000 }).toBe(401);
});

it('answers over gRPC as well, with the same words', async () => {
  const client = new InferenceClient(`127.0.0.1:${sluice.grpcPort}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  const failure = await new Promise<ServiceError>((resolve) => {
    client.ModelInfer({ modelName: 'tune' }, metadata, (error: ServiceError) => resolve(error));
  });
  client.close();
  expect(failure).toMatchObject({ code: status.NOT_FOUND, details: 'there is no endpoint tune' });
});

it('documents itself', async () => {
  const { body, status } = await sluice.call('GET', '/openapi.json');
  expect(status).toBe(200);
  for (const path of ['/v2/models/{model}/infer', '/api/models', '/api/rollouts', '/api/endpoints', '/api/keys']) {
    expect(Object.keys(body.paths).map((each) => each.replace(/\{[^}]+\}/g, '{model}'))).toContain(path);
  }
  const basic = Buffer.from(`admin:${key}`).toString('base64');
  const docs = await fetch(`${sluice.base}/docs`, { headers: { authorization: `Basic ${basic}` } });
  expect(docs.status).toBe(200);
  expect(await docs.text()).toContain('<html');
  const metrics = await sluice.call('GET', '/metrics');
  expect(metrics.body).toMatch(/^sluice_inference_requests_total\{[^}]*endpoint="tone"/m);
});

it('has hurt no good request that shared its batches with all of these', async () => {
  const tally = await traffic.stop();
  expect(tally.sent).toBeGreaterThan(100);
  expect(tally.byStatus, tally.failures.join('\n')).toEqual({ 200: tally.sent });
});

async function post(path: string, body: string): Promise<{ status: number; body: any; headers: Headers }> {
  const response = await fetch(`${sluice.base}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body,
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}
