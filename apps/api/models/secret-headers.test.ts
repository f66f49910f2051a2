import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SecretSeal } from '#libs/access';
import { SecretHeaderRing } from '#libs/inference';
import { ChangeFeed } from '#libs/store';
import pino from 'pino';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

const secret = 'Bearer sk-very-secret-token';
const path = '/api/models/remote-tone/versions/1/secret-headers';
const manifest = {
  schemaVersion: 1,
  name: 'remote-tone',
  version: '1',
  format: 'remote',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
  remote: {
    protocol: 'oip',
    targets: [{ url: 'http://127.0.0.1:9/' }],
    secretHeaders: ['authorization', 'x-api-key'],
  },
};

let api: ManagementApi;
let lines: string[];
beforeEach(async () => {
  lines = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  api = await managementApi({ kind: 'any' }, { log });
});
afterEach(() => api[Symbol.asyncDispose]());

type Role = 'admin' | 'operator' | 'caller';
const call = (method: 'GET' | 'POST' | 'PUT', url: string, payload?: object, role: Role = 'operator') =>
  api.app.inject({ method, url, headers: api.as[role], ...(payload !== undefined && { payload }) });
const register = (change: object = {}) => call('POST', '/api/models', { manifest: { ...manifest, ...change } });

it('registers a version without files by its manifest alone, once', async () => {
  const answer = await register();
  expect([answer.statusCode, answer.headers['location']]).toEqual([201, '/api/models/remote-tone/versions/1']);
  expect(answer.json()).toMatchObject({ format: 'remote', manifest: { remote: manifest.remote } });
  expect((await register()).statusCode).toBe(200);
  expect((await register({ description: 'other' })).json()).toMatchObject({ code: 'SLU_MODEL_CONFLICT' });
});

it.each<[object, string]>([
  [{ remote: undefined }, 'remote: stands in manifests of format remote'],
  [{ format: 'onnx', remote: undefined, files: [{ path: 'm.onnx', sha256: '0'.repeat(64) }] }, 'm.onnx is missing'],
  [{ files: [{ path: 'm.onnx', sha256: '0'.repeat(64) }] }, 'leave files empty'],
  [{ remote: { ...manifest.remote, targets: [] } }, 'remote.targets'],
  [
    { remote: { ...manifest.remote, targets: [{ url: 'http://169.254.169.254/' }] } },
    'remote.targets.0.url: is a link-local',
  ],
  [{ remote: { ...manifest.remote, targets: [{ url: 'http://u:p@host/' }] } }, 'must hold no user or password'],
  [{ remote: { ...manifest.remote, targets: [{ url: 'http://a' }, { url: 'http://A:80/' }] } }, 'is named twice'],
  [{ remote: { ...manifest.remote, secretHeaders: ['Authorization'] } }, 'must be a lower-case header name'],
  [{ remote: { ...manifest.remote, secretHeaders: ['host'] } }, 'is set by Sluice itself'],
  [{ remote: { ...manifest.remote, headers: { authorization: 'x' } } }, 'header authorization is named twice'],
  [{ remote: { ...manifest.remote, headers: { 'x-a': 'two\r\nlines' } } }, 'must be printable ASCII'],
  [{ remote: { ...manifest.remote, protocol: 'openai' }, task: 'tensors' }, 'protocol openai serves no tensors'],
  [
    {
      remote: { ...manifest.remote, protocol: 'tf-serving' },
      inputs: [{ name: 'x', datatype: 'FP16', shape: [-1, 4] }],
    },
    'carries no FP16, which tensor x is',
  ],
])('refuses the manifest with %j', async (change, problem) => {
  const answer = await register(change);
  expect([answer.statusCode, answer.json<{ detail: string }>().detail]).toEqual([
    422,
    expect.stringContaining(problem) as string,
  ]);
});

it('sets values that nobody sees again, and says when', async () => {
  await register();
  const empty = {
    headers: [
      { name: 'authorization', setAt: null },
      { name: 'x-api-key', setAt: null },
    ],
  };
  expect((await call('GET', path)).json()).toEqual(empty);
  const set = await call('PUT', path, { headers: { authorization: secret } });
  expect([set.statusCode, set.json()]).toEqual([
    200,
    {
      headers: [
        { name: 'authorization', setAt: expect.any(String) as string },
        { name: 'x-api-key', setAt: null },
      ],
    },
  ]);
  expect((await call('GET', path)).json()).toEqual(set.json());
  expect((await call('PUT', path, { headers: { authorization: null } })).json()).toEqual(empty);
});

it.each<[object, number, string]>([
  [{ headers: { 'x-other': 'v' } }, 422, 'headers.x-other: is not among remote.secretHeaders'],
  [{ headers: { authorization: 'two\nlines' } }, 422, 'must be printable ASCII'],
  [{ headers: { authorization: '' } }, 422, 'must be printable ASCII'],
  [{ headers: { authorization: 7 } }, 422, 'headers.authorization'],
  [{ headers: {} }, 422, 'must name at least one header'],
  [{ authorization: 'x' }, 422, 'headers'],
])('refuses %j', async (body, status, problem) => {
  await register();
  const answer = await call('PUT', path, body);
  expect([answer.statusCode, answer.json<{ detail: string }>().detail]).toEqual([
    status,
    expect.stringContaining(problem) as string,
  ]);
});

it('refuses callers, unknown versions, archived ones, and ones that run here', async () => {
  await register();
  const body = { headers: { authorization: secret } };
  for (const role of ['caller'] as const) expect((await call('PUT', path, body, role)).statusCode).toBe(403);
  for (const role of ['operator', 'admin'] as const) expect((await call('PUT', path, body, role)).statusCode).toBe(200);
  expect((await call('PUT', path.replace('/1/', '/2/'), body)).json()).toMatchObject({
    code: 'SLU_MODEL_VERSION_UNKNOWN',
  });
  expect((await call('GET', '/api/models/a%00b/versions/%00/secret-headers')).statusCode).toBe(404);
  await api.db.database.query(`INSERT INTO model_versions (model, version, format, manifest, content_digest,
    artifact_path, state, registered_by) VALUES ('own', '1', 'onnx', '{}', 'd', '/nowhere', 'registered', 'test')`);
  for (const method of ['GET', 'PUT'] as const) {
    const answer = await call(method, '/api/models/own/versions/1/secret-headers', method === 'PUT' ? body : undefined);
    expect(answer.json()).toMatchObject({ status: 422, code: 'SLU_MODEL_SECRET_HEADERS' });
  }
  await call('POST', '/api/models/remote-tone/versions/1/archive');
  expect((await call('PUT', path, body)).json()).toMatchObject({ code: 'SLU_MODEL_VERSION_ARCHIVED' });
  // Nobody calls with them any more, so they are gone.
  expect(await api.db.database.query('SELECT 1 FROM secret_headers')).toEqual([]);
});

it('lets the secret into no answer, no log line, no audit row, and into the database only sealed', async () => {
  const answers = [await register()];
  for (const body of [{ headers: { authorization: secret } }, { headers: { authorization: `${secret}\n` } }])
    answers.push(await call('PUT', path, body));
  for (const url of [path, '/api/models', '/api/models/remote-tone/versions/1', '/api/replicas'])
    answers.push(await call('GET', url));
  // A body that is no JSON, and a wrong path: refusals must not repeat it either.
  const wrong = {
    method: 'PUT',
    url: path,
    headers: { ...api.as.operator, 'content-type': 'application/json' },
  } as const;
  answers.push(await api.app.inject({ ...wrong, payload: `{"headers": ${secret}` }));
  answers.push(
    await call('PUT', '/api/models/other/versions/1/secret-headers', { headers: { authorization: secret } }),
  );
  const tables = await api.db.database.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
  );
  let stored = '';
  for (const { name } of tables)
    stored += JSON.stringify(await api.db.database.query(`SELECT row_to_json(t)::text AS row FROM ${name} t`));
  expect(stored).toContain('secret_header.set'.replace('_', '-'));
  const hex = Buffer.from('very-secret').toString('hex');
  for (const text of [...answers.map(({ body }) => body), ...lines, stored]) {
    expect(text).not.toContain('very-secret');
    expect(text).not.toContain(hex);
  }
  const audit = await api.db.database.query<{ action: string; detail: unknown }>(
    `SELECT action, detail FROM audit_events WHERE action LIKE 'model.secret%'`,
  );
  expect(audit).toEqual([{ action: 'model.secret-header.set', detail: { name: 'authorization' } }]);
});

it('reaches the processes that call with it at once, and opens for no other version', async () => {
  const { database, url } = api.db;
  await register();
  await register({ version: '2' });
  const log = pino({ level: 'silent' });
  await using ring = new SecretHeaderRing({ database, seal: new SecretSeal(Buffer.alloc(32, 5)), log });
  await using stranger = new SecretHeaderRing({ database, seal: new SecretSeal(Buffer.alloc(32, 6)), log });
  await using feed = new ChangeFeed(url, 'test', ring);
  await feed.start();
  await call('PUT', path, { headers: { authorization: secret } });
  await vi.waitFor(() => expect([...ring.valuesOf('remote-tone', '1')]).toEqual([['authorization', secret]]));
  await stranger.load();
  expect(stranger.valuesOf('remote-tone', '1').size).toBe(0);
  // Moved to another row it does not open.
  await database.query(`INSERT INTO secret_headers (model, version, name, key_id, sealed)
    SELECT model, '2', name, key_id, sealed FROM secret_headers`);
  await database.query(`INSERT INTO secret_headers (model, version, name, key_id, sealed)
    SELECT model, version, 'x-api-key', key_id, sealed FROM secret_headers WHERE version = '1'`);
  await ring.load();
  expect([ring.valuesOf('remote-tone', '2').size, ring.valuesOf('remote-tone', '1').size]).toEqual([0, 1]);
  await call('PUT', path, { headers: { authorization: null } });
  await vi.waitFor(() => expect(ring.valuesOf('remote-tone', '1').size).toBe(0));
});
