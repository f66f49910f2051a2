import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entriesOf, sampleArtifact, tarGz, writeFiles } from '../../test/support/artifact-sample.js';
import { ServingRowsWriter } from '../../test/support/serving-rows.js';
import { managementApi, type ManagementApi } from '../../test/support/management-api.js';

let api: ManagementApi;
beforeEach(async () => {
  api = await managementApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const call = (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
  api.app.inject({ method, url, headers: api.as.operator, ...(payload !== undefined && { payload }) });
const archive = (version = '1', rest: Record<string, unknown> = {}): Buffer =>
  tarGz(entriesOf(sampleArtifact({ version, ...rest })));
const upload = (body: Buffer, type = 'application/gzip') =>
  api.app.inject({
    method: 'POST',
    url: '/api/models',
    headers: { ...api.as.operator, 'content-type': type },
    payload: body,
  });
const form = (body: Buffer, more = ''): Buffer =>
  Buffer.concat([
    Buffer.from(
      '--b\r\ncontent-disposition: form-data; name="artifact"; filename="a.tgz"\r\ncontent-type: application/gzip\r\n\r\n',
    ),
    body,
    Buffer.from(`\r\n${more}--b--\r\n`),
  ]);
const formType = 'multipart/form-data; boundary=b';

describe('registering over HTTP', () => {
  it.each([['application/gzip'], ['application/x-gzip'], ['application/x-tar'], ['application/octet-stream']])(
    'takes an archive as %s',
    async (type) => {
      const answer = await upload(archive(), type);
      expect([answer.statusCode, answer.headers['location']]).toEqual([201, '/api/models/sample/versions/1']);
      expect(answer.json()).toMatchObject({ model: 'sample', version: '1', state: 'registered' });
    },
  );

  it('takes an archive larger than the limit for JSON bodies, and a form with one file', async () => {
    const files = { 'model.onnx': Buffer.alloc(300_000, 'weights of some model') };
    const large = tarGz(entriesOf(sampleArtifact({}, files)).reverse());
    expect((await upload(form(large), formType)).statusCode).toBe(201);
    expect((await upload(large)).statusCode).toBe(200);
  });

  it('takes a folder', async () => {
    await writeFiles(join(api.folder, 'made'), sampleArtifact());
    expect((await call('POST', '/api/models', { path: join(api.folder, 'made') })).statusCode).toBe(201);
    expect((await call('POST', '/api/models', { path: 'relative' })).json()).toMatchObject({
      code: 'SLU_ARTIFACT_UNREADABLE',
    });
    expect((await call('POST', '/api/models', { folder: 'x' })).json()).toMatchObject({ code: 'SLU_REQUEST_INVALID' });
  });

  it('answers 200 for the same content and 409 for other content', async () => {
    await upload(archive());
    expect((await upload(archive())).statusCode).toBe(200);
    expect((await upload(archive('1', { description: 'other' }))).json()).toMatchObject({
      status: 409,
      code: 'SLU_MODEL_CONFLICT',
    });
  });

  it('refuses a bad archive with the reason, in a form as well, and keeps nothing', async () => {
    const bad = tarGz([...entriesOf(sampleArtifact()), { path: '../evil', content: 'x' }]);
    for (const answer of [await upload(bad), await upload(form(bad), formType)]) {
      expect(answer.json()).toMatchObject({
        status: 422,
        code: 'SLU_ARTIFACT_REFUSED',
        detail: expect.stringContaining('../evil') as string,
      });
    }
    expect((await call('GET', '/api/models')).json()).toEqual({ versions: [] });
    expect(await readdir(join(api.folder, 'artifacts'), { recursive: true })).toEqual(['.staging']);
  });

  it('takes the first file of a form and never a second one', async () => {
    const second = '--b\r\ncontent-disposition: form-data; name="more"; filename="b.tgz"\r\n\r\nnot looked at\r\n';
    const answer = await upload(form(archive(), second), formType);
    expect([
      answer.statusCode,
      (await call('GET', '/api/models')).json<{ versions: unknown[] }>().versions.length,
    ]).toEqual([201, 1]);
  });

  it('refuses a form without a file', async () => {
    const answer = await upload(Buffer.from('--b--\r\n'), formType);
    expect(answer.statusCode).toBeGreaterThanOrEqual(400);
    expect(answer.statusCode).toBeLessThan(500);
  });

  it.each(['application/gzip', formType])(
    'answers a client that sends a refused upload to its end (%s)',
    async (type) => {
      await api.app.listen(0, '127.0.0.1');
      const { port } = api.app.getHttpServer().address() as AddressInfo;
      const noise = Buffer.alloc(8_000_000, 'no gzip');
      const body = type === formType ? form(noise) : noise;
      const status = await new Promise<number | undefined>((done, fail) => {
        const req = request({
          agent: false,
          port,
          host: '127.0.0.1',
          method: 'POST',
          path: '/api/models',
          headers: { ...api.as.operator, 'content-type': type, 'content-length': body.length },
        });
        req.on('response', (res) => {
          res.resume();
          res.on('end', () => done(res.statusCode));
        });
        req.on('error', fail);
        req.end(body);
      });
      expect(status).toBe(400);
    },
  );

  it('leaves nothing when the client goes away half-way', async () => {
    await api.app.listen(0, '127.0.0.1');
    const { port } = api.app.getHttpServer().address() as AddressInfo;
    const body = tarGz(entriesOf(sampleArtifact()));
    const staging = join(api.folder, 'artifacts/.staging');
    const req = request({
      agent: false,
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/api/models',
      headers: { ...api.as.operator, 'content-type': 'application/gzip', 'content-length': body.length },
    });
    req.on('error', () => undefined);
    req.write(body.subarray(0, body.length - 40));
    await expect.poll(async () => (await readdir(staging).catch(() => [])).length).toBe(1);
    req.destroy();
    await expect.poll(async () => (await readdir(staging)).length).toBe(0);
  });

  it('archives a version that is not in use, and refuses one that is', async () => {
    await upload(archive('1'));
    await upload(archive('2'));
    await call('POST', '/api/endpoints', { name: 'sample', version: '1' });
    expect((await call('POST', '/api/models/sample/versions/1/archive')).json()).toMatchObject({
      code: 'SLU_MODEL_VERSION_IN_USE',
    });
    expect((await call('POST', '/api/models/sample/versions/2/archive')).json()).toMatchObject({ state: 'archived' });
    expect((await call('GET', '/api/models?model=sample')).json<{ versions: unknown[] }>().versions).toHaveLength(2);
  });
});

describe('endpoints over HTTP', () => {
  it('are created, listed, read and rolled back', async () => {
    await upload(archive());
    const created = await call('POST', '/api/endpoints', { name: 'sample', version: '1' });
    expect(created.statusCode).toBe(201);
    expect(created.json()).toMatchObject({
      name: 'sample',
      model: 'sample',
      rolloutId: null,
      readyReplicas: { 1: 0 },
      route: { revision: 1 },
    });
    expect((await call('GET', '/api/endpoints')).json()).toEqual({ endpoints: [created.json()] });
    expect((await call('GET', '/api/endpoints/sample')).json()).toEqual(created.json());
    expect((await call('GET', '/api/endpoints/sample/history')).json()).toMatchObject({ routes: [{ revision: 1 }] });
    expect((await call('POST', '/api/endpoints/sample/rollback')).json()).toMatchObject({ code: 'SLU_ROUTE_UNKNOWN' });
    expect((await call('POST', '/api/endpoints/sample/rollback', { revision: 0 })).json()).toMatchObject({
      code: 'SLU_REQUEST_INVALID',
    });
    expect((await call('POST', '/api/endpoints', { name: 'sample', version: '1' })).json()).toMatchObject({
      code: 'SLU_ENDPOINT_CONFLICT',
    });
    expect((await call('GET', '/api/replicas')).json()).toMatchObject({
      sets: [{ model: 'sample', version: '1', desired: 1, ready: 0 }],
      replicas: [],
    });
  });
});

describe('replicas over HTTP', () => {
  it('are drained once they are known and alive', async () => {
    const rows = new ServingRowsWriter(api.db.database);
    const [live, ended] = [await rows.replica('sample', '1'), await rows.replica('sample', '1', 'stopped')];
    const drained = await call('POST', `/api/replicas/${live}/drain`);
    expect([drained.statusCode, drained.json()]).toEqual([
      202,
      expect.objectContaining({ id: live, state: 'draining' }),
    ]);
    expect((await call('POST', `/api/replicas/${ended}/drain`)).json()).toMatchObject({
      status: 409,
      code: 'SLU_REPLICA_ENDED',
    });
    expect((await call('POST', '/api/replicas/nobody/drain')).json()).toMatchObject({
      status: 404,
      code: 'SLU_REPLICA_UNKNOWN',
    });
  });
});

describe('rollouts over HTTP', () => {
  beforeEach(async () => {
    for (const version of ['1', '2']) await upload(archive(version));
    await call('POST', '/api/endpoints', { name: 'sample', version: '1' });
  });

  it('start a workflow, are read, and take commands with who and why', async () => {
    const started = await call('POST', '/api/rollouts', { endpoint: 'sample', candidate: '2' });
    expect(started.statusCode).toBe(202);
    const { id } = started.json<{ id: string }>();
    expect(api.workflows.started).toMatchObject([{ rolloutId: id }]);
    expect((await call('GET', `/api/rollouts/${id}`)).json()).toMatchObject({
      id,
      phase: 'requested',
      candidateVersion: '2',
    });
    expect((await call('GET', '/api/rollouts?endpoint=sample')).json<{ rollouts: unknown[] }>().rollouts).toHaveLength(
      1,
    );
    for (const command of ['pause', 'resume', 'approve', 'promote', 'abort']) {
      const answer = await call(
        'POST',
        `/api/rollouts/${id}/${command}`,
        command === 'abort' ? { reason: 'changed my mind' } : undefined,
      );
      expect([command, answer.statusCode]).toEqual([command, 200]);
    }
    expect(api.workflows.commands.map((each) => (each as { command: string }).command)).toEqual([
      'pause',
      'resume',
      'approve',
      'promote',
      'abort',
    ]);
    expect(api.workflows.commands.at(-1)).toMatchObject({
      reason: 'changed my mind',
      actor: expect.stringMatching(/^key:/) as string,
    });
    expect((await call('POST', '/api/rollouts', { endpoint: 'sample', candidate: '2' })).json()).toMatchObject({
      code: 'SLU_ENDPOINT_HELD',
    });
    expect((await call('POST', '/api/endpoints/sample/rollback')).json()).toMatchObject({ code: 'SLU_ENDPOINT_HELD' });
  });

  it('refuse a bad wish by its field, and an id that is none', async () => {
    expect(
      (await call('POST', '/api/rollouts', { endpoint: 'sample', candidate: '2', steps: [{ weight: 0 }] })).json(),
    ).toMatchObject({ code: 'SLU_ROLLOUT_INVALID', detail: expect.stringContaining('steps[0].weight') as string });
    expect((await call('GET', '/api/rollouts/nobody')).statusCode).toBe(404);
    expect((await call('POST', '/api/rollouts/nobody/pause')).statusCode).toBe(404);
  });
});

describe('keys over HTTP', () => {
  it('are shown once, listed without themselves, and revoked', async () => {
    const headers = api.as.admin;
    const made = await api.app.inject({
      method: 'POST',
      url: '/api/keys',
      headers,
      payload: { name: 'ci', role: 'caller', expiresAt: '2999-01-01T00:00:00Z' },
    });
    expect([made.statusCode, made.headers['cache-control']]).toEqual([201, 'no-store']);
    const { id, key } = made.json<{ id: string; key: string }>();
    expect(key).toMatch(/^slu_[A-Za-z0-9]{49}$/);
    const list = await api.app.inject({ url: '/api/keys', headers });
    expect(list.body).not.toContain(key.slice(10));
    expect(list.json<{ keys: { id: string }[] }>().keys.map((each) => each.id)).toContain(id);
    expect((await api.app.inject({ method: 'DELETE', url: `/api/keys/${id}`, headers })).json()).toMatchObject({
      id,
      revokedAt: expect.any(String) as string,
    });
  });

  it.each([
    [{ name: '', role: 'caller' }, 'name'],
    [{ name: 'x', role: 'root' }, 'role'],
    [{ name: 'x', roles: ['caller', 'root'] }, 'roles[1]'],
    [{ name: 'x', roles: ['caller', 'caller'] }, 'roles'],
    [{ name: 'x' }, 'roles'],
    [{ name: 'x', role: 'caller', networks: ['10.0.0.0/99'] }, 'networks[0]'],
    [{ name: 'x', role: 'admin', endpoints: ['tone'] }, 'endpoints'],
    [{ name: 'x', role: 'caller', expiresAt: '2001-01-01T00:00:00Z' }, 'expiresAt'],
    [{ name: 'x', role: 'caller', expiresAt: 'tomorrow' }, 'expiresAt'],
  ])('are refused by the field that is wrong: %j', async (payload, field) => {
    const answer = await api.app.inject({ method: 'POST', url: '/api/keys', headers: api.as.admin, payload });
    expect(answer.statusCode).toBe(422);
    expect(answer.json<{ problems: { field: string }[] }>().problems.every((problem) => problem.field === field)).toBe(
      true,
    );
  });
});
