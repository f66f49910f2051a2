import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';
import { answeredByTheirUnit } from './idempotency.js';

let api: ManagementApi;
let count = 0;
const fresh = (): string => `test-${++count}`;

beforeAll(async () => {
  api = await managementApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const post = (key: string, payload: object | string, url = '/api/keys', headers: object = {}) =>
  api.app.inject({
    method: 'POST',
    url,
    headers: { ...api.as.admin, 'content-type': 'application/json', 'idempotency-key': key, ...headers },
    payload,
  });
const keysNamed = async (name: string): Promise<number> =>
  (await api.db.database.query('SELECT 1 FROM api_keys WHERE name = $1', [name])).length;

it('makes one key of two requests, and shows it both times, byte for byte', async () => {
  const key = fresh();
  const first = await post(key, { name: key, role: 'caller' });
  const again = await post(key, { role: 'caller', name: key });
  expect([first.statusCode, again.statusCode]).toEqual([201, 201]);
  expect(again.body).toBe(first.body);
  expect(again.headers['content-type']).toBe(first.headers['content-type']);
  expect([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']]).toEqual([undefined, 'true']);
  expect(again.headers['sluice-request-id']).not.toBe(first.headers['sluice-request-id']);
  expect(await keysNamed(key)).toBe(1);
});

it('makes one key of fifty at once, and tells the others when to come again', async () => {
  const key = fresh();
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(key, { name: key, role: 'caller' })));
  expect(await keysNamed(key)).toBe(1);
  const made = answers.filter(({ statusCode }) => statusCode === 201);
  expect(new Set(made.map(({ body }) => body)).size).toBe(1);
  for (const { statusCode, headers, body } of answers) {
    if (statusCode === 201) continue;
    expect({ statusCode, retryAfter: headers['retry-after'] }).toEqual({ statusCode: 409, retryAfter: '1' });
    expect(body).toContain('SLU_REQUEST_IDEMPOTENCY_RUNNING');
  }
});

it('refuses another body and a malformed key, and names the header', async () => {
  const key = fresh();
  await post(key, { name: key, role: 'caller' });
  const other = await post(key, { name: key, role: 'admin' });
  expect(other.json()).toMatchObject({ status: 422, code: 'SLU_REQUEST_IDEMPOTENCY_OTHER' });
  const bad = await post('two words', { name: key, role: 'caller' });
  expect(bad.json()).toMatchObject({ status: 400, detail: expect.stringContaining('Idempotency-Key: ') });
  expect(await keysNamed(key)).toBe(1);
});

it("keeps one caller's answers from another with the same key", async () => {
  const key = fresh();
  const body = { name: 'tone-x', model: 'nothing', version: '1' };
  const first = await post(key, body, '/api/endpoints');
  expect(first.statusCode).toBe(404);
  expect((await post(key, body, '/api/endpoints')).headers['idempotent-replayed']).toBe('true');
  const stranger = await post(key, body, '/api/endpoints', api.as.operator);
  expect(stranger.headers['idempotent-replayed']).toBeUndefined();
  expect(stranger.json().requestId).not.toBe(first.json().requestId);
});

it('lets a body be mended under the same key when it could not be taken', async () => {
  const key = fresh();
  expect((await post(key, { name: key, role: 'nobody' })).statusCode).toBe(422);
  expect((await post(key, '{"name":')).statusCode).toBe(400);
  expect((await post(key, { name: key, role: 'caller' })).statusCode).toBe(201);
});

it('does not let a caller in by a kept answer when its key is revoked', async () => {
  const key = fresh();
  const made = await post(key, { name: key, role: 'admin' });
  const { id, key: secret } = made.json<{ id: string; key: string }>();
  const headers = { authorization: `Bearer ${secret}` };
  const inner = fresh();
  await api.app.inject({ method: 'DELETE', url: `/api/keys/${id}`, headers: api.as.admin });
  expect((await post(inner, { name: inner, role: 'caller' }, '/api/keys', headers)).statusCode).toBe(401);
});

it('gives the same answer again, byte for byte, where the process dies after the change and before it keeps its answer', async () => {
  const { database } = api.db;
  const made = async (url: string, body: object): Promise<string> =>
    (await post(fresh(), body, url)).json<{ id: string }>().id;
  const tenantId = await made('/api/tenants', { name: fresh() });
  const projectId = await made('/api/projects', { name: fresh(), tenantId });
  const keyId = await made('/api/keys', { name: fresh(), role: 'caller' });
  const bodies: Record<string, object> = {
    '/api/keys': { name: fresh(), role: 'caller', expiresAt: '2040-01-01T00:00:00Z' },
    '/api/keys/:id/rotate': { overlapSeconds: 60 },
    '/api/tenants': { name: fresh() },
    '/api/projects': { name: fresh(), tenantId },
    '/api/people': { name: fresh(), issuer: 'https://issuer.example', subject: fresh(), tenantId },
    '/api/service-accounts': { name: fresh(), projectId },
    '/api/prices': { endpoint: fresh(), requestMicros: 7 },
    '/api/budgets': {
      name: 'b',
      subject: { kind: 'key', id: keyId },
      unit: 'tokens',
      limit: 9,
      period: 'month',
      isHard: true,
      thresholds: [50],
      webhookUrl: 'https://hooks.example/x',
    },
    '/api/audit/holds': { reason: 'a case', actor: `key:${randomUUID()}` },
  };
  expect(Object.keys(bodies).sort()).toEqual([...answeredByTheirUnit].sort());
  // Once the answer has been kept with the change, nothing is written about it any more, as if nobody were there to do so.
  await database.query(`CREATE FUNCTION dead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`);
  await database.query(`CREATE TRIGGER dead BEFORE UPDATE ON idempotency_keys FOR EACH ROW WHEN (OLD.state <> 'running')
    EXECUTE FUNCTION dead()`);
  for (const [route, body] of Object.entries(bodies)) {
    const url = route.replace(':id', keyId);
    const key = fresh();
    const first = await post(key, body, url);
    const again = await post(key, body, url);
    expect(first.body).toContain('"id":');
    expect([url, first.statusCode, again.statusCode, again.headers['idempotent-replayed']]).toEqual([
      url,
      201,
      201,
      'true',
    ]);
    expect(again.body).toBe(first.body);
    for (const name of ['content-type', 'location', 'etag']) expect(again.headers[name]).toBe(first.headers[name]);
  }
  await database.query('DROP TRIGGER dead ON idempotency_keys');
});

it('refuses a key with an archive, and says that none is needed there', async () => {
  const answer = await post(fresh(), 'archive', '/api/models', { 'content-type': 'application/gzip' });
  expect(answer.json()).toMatchObject({ status: 400, detail: expect.stringMatching(/not taken with an archive/) });
});

it('keeps the answers of the changing calls of the inference protocol, in its own error shape', async () => {
  const key = fresh();
  const url = '/v2/repository/models/nothing/load';
  const first = await post(key, {}, url);
  const again = await post(key, {}, url);
  expect(again.statusCode).toBe(first.statusCode);
  expect(again.body).toBe(first.body);
  expect(again.headers['idempotent-replayed']).toBe('true');
  expect((await post(key, { other: 1 }, url)).json()).toEqual({ error: expect.stringContaining('Idempotency-Key') });
});

it('pays no heed to a key on a request that changes nothing', async () => {
  const headers = { ...api.as.admin, 'idempotency-key': 'two words' };
  expect((await api.app.inject({ method: 'GET', url: '/api/keys', headers })).statusCode).toBe(200);
  const infer = await post('two words', { inputs: [] }, '/v2/models/nothing/infer');
  expect(infer.body).not.toContain('Idempotency-Key');
});

it('documents the header on every POST of the management surface, and nowhere else', async () => {
  const { paths } = (await api.app.inject({ method: 'GET', url: '/openapi.json', headers: api.as.admin })).json();
  for (const [path, methods] of Object.entries<any>(paths).filter(([each]) => each.startsWith('/api/')))
    for (const [method, { parameters, responses }] of Object.entries<any>(methods)) {
      const isNamed = parameters.some((each: { name: string }) => each.name === 'Idempotency-Key');
      expect(isNamed, `${method} ${path}`).toBe(method === 'post');
      if (method === 'post')
        expect(Object.keys(responses), path).toEqual(expect.arrayContaining(['400', '409', '422']));
    }
});
