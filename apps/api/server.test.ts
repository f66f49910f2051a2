import { permits, roles, type Action } from '#libs/access';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { managementApi, type ManagementApi } from '../../test/support/management-api.js';
import type { OpenApiDocument } from './reference/openapi.js';

let api: ManagementApi;
beforeAll(async () => {
  api = await managementApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

interface Documented {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  permit: Action;
}

async function documented(): Promise<Documented[]> {
  const { paths } = (await api.app.inject({ url: '/openapi.json', headers: api.as.admin })).json<
    OpenApiDocument & { paths: Record<string, Record<string, { 'x-sluice-permit': Action }>> }
  >();
  return Object.entries(paths)
    .filter(([path]) => !/^\/v[12]/.test(path))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase() as Documented['method'],
        url: path.replace(/\{\w+\}/g, 'nobody'),
        permit: operation['x-sluice-permit'],
      })),
    );
}

describe('every route', () => {
  it('is there, as the contract has it', async () => {
    const routes = (await documented()).map(({ method, url }) => `${method} ${url}`).sort();
    expect(routes).toEqual([
      'DELETE /api/audit/holds/nobody',
      'DELETE /api/budgets/nobody',
      'DELETE /api/endpoints/nobody/payload-log',
      'DELETE /api/keys/nobody',
      'DELETE /api/limits/nobody/nobody',
      'DELETE /api/prices/nobody',
      'DELETE /api/quarantine/nobody',
      'GET /api/audit',
      'GET /api/audit/export',
      'GET /api/audit/holds',
      'GET /api/audit/key',
      'GET /api/audit/verify',
      'GET /api/budgets',
      'GET /api/budgets/nobody',
      'GET /api/endpoints',
      'GET /api/endpoints/nobody',
      'GET /api/endpoints/nobody/history',
      'GET /api/endpoints/nobody/payload-log',
      'GET /api/endpoints/nobody/policy',
      'GET /api/keys',
      'GET /api/limits',
      'GET /api/limits/nobody/nobody',
      'GET /api/lineage',
      'GET /api/models',
      'GET /api/models/nobody/versions/nobody',
      'GET /api/models/nobody/versions/nobody/lineage',
      'GET /api/models/nobody/versions/nobody/secret-headers',
      'GET /api/models/nobody/versions/nobody/signatures',
      'GET /api/people',
      'GET /api/people/nobody',
      'GET /api/prices',
      'GET /api/privacy/access-report',
      'GET /api/privacy/certificate-key',
      'GET /api/privacy/erasures',
      'GET /api/privacy/erasures/nobody',
      'GET /api/privacy/processing-records',
      'GET /api/projects',
      'GET /api/projects/nobody',
      'GET /api/quarantine',
      'GET /api/replicas',
      'GET /api/requests',
      'GET /api/requests/nobody',
      'GET /api/rollouts',
      'GET /api/rollouts/nobody',
      'GET /api/service-accounts',
      'GET /api/service-accounts/nobody',
      'GET /api/signing-keys',
      'GET /api/tenants',
      'GET /api/tenants/nobody',
      'GET /api/tiers',
      'GET /api/tiers/nobody',
      'GET /api/usage',
      'GET /docs',
      'GET /docs/nobody',
      'GET /docs/start.js',
      'GET /metrics',
      'GET /openapi.json',
      'PATCH /api/budgets/nobody',
      'PATCH /api/people/nobody',
      'PATCH /api/projects/nobody',
      'PATCH /api/service-accounts/nobody',
      'PATCH /api/tenants/nobody',
      'POST /api/audit/holds',
      'POST /api/budgets',
      'POST /api/endpoints',
      'POST /api/endpoints/nobody/payload-log',
      'POST /api/endpoints/nobody/policy/overrides',
      'POST /api/endpoints/nobody/rollback',
      'POST /api/keys',
      'POST /api/keys/nobody/rotate',
      'POST /api/models',
      'POST /api/models/nobody/versions/nobody/archive',
      'POST /api/models/nobody/versions/nobody/signatures',
      'POST /api/payloads/nobody/read',
      'POST /api/people',
      'POST /api/prices',
      'POST /api/privacy/erasures',
      'POST /api/privacy/exports',
      'POST /api/projects',
      'POST /api/replicas/nobody/drain',
      'POST /api/rollouts',
      'POST /api/rollouts/nobody/abort',
      'POST /api/rollouts/nobody/approve',
      'POST /api/rollouts/nobody/pause',
      'POST /api/rollouts/nobody/promote',
      'POST /api/rollouts/nobody/resume',
      'POST /api/service-accounts',
      'POST /api/signing-keys',
      'POST /api/signing-keys/nobody/retire',
      'POST /api/signing-keys/nobody/revoke',
      'POST /api/tenants',
      'PUT /api/endpoints/nobody/policy',
      'PUT /api/limits/nobody/nobody',
      'PUT /api/models/nobody/versions/nobody/secret-headers',
      'PUT /api/tiers/nobody',
    ]);
  });

  it('is closed without a key, before its body is read', async () => {
    for (const { method, url } of await documented()) {
      const answer = await api.app.inject({
        method,
        url,
        ...(method === 'POST' && { payload: '{"broken', headers: { 'content-type': 'application/json' } }),
      });
      expect([url, answer.statusCode, answer.json<{ code: string }>().code]).toEqual([
        url,
        401,
        'SLU_ACCESS_KEY_MISSING',
      ]);
      expect(answer.headers['www-authenticate']).toContain('Bearer');
    }
  });

  it('opens for exactly the roles that the permit table names', async () => {
    for (const { method, url, permit } of await documented()) {
      for (const role of roles) {
        const { statusCode } = await api.app.inject({ method, url, headers: api.as[role] });
        if (permits(role, permit)) expect([url, role, statusCode]).not.toEqual([url, role, 403]);
        else expect([url, role, statusCode]).toEqual([url, role, 403]);
      }
    }
  });

  it('answers with a request id, security headers and nothing about its engine', async () => {
    for (const headers of [{}, api.as.admin]) {
      const answer = await api.app.inject({ url: '/api/models', headers });
      expect(answer.headers).toMatchObject({
        'sluice-request-id': expect.stringMatching(uuid) as string,
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      });
      expect(answer.headers['x-powered-by']).toBeUndefined();
    }
  });
});

describe('a refusal', () => {
  it('is a problem of RFC 9457 with the code of the closed table and the request id', async () => {
    const answer = await api.app.inject({ url: '/api/models/tone/versions/9', headers: api.as.operator });
    expect(answer.statusCode).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(answer.json()).toEqual({
      type: 'urn:sluice:problem:SLU_MODEL_VERSION_UNKNOWN',
      title: 'Not Found',
      status: 404,
      detail: 'there is no version 9 of model tone',
      code: 'SLU_MODEL_VERSION_UNKNOWN',
      requestId: answer.headers['sluice-request-id'],
    });
  });

  it.each<[string, { payload?: string; headers?: Record<string, string> }, number, string]>([
    [
      'malformed JSON',
      { payload: '{"name": ', headers: { 'content-type': 'application/json' } },
      400,
      'SLU_REQUEST_MALFORMED',
    ],
    [
      'a body that is no object',
      { payload: '[]', headers: { 'content-type': 'application/json' } },
      422,
      'SLU_REQUEST_INVALID',
    ],
    ['no body', {}, 422, 'SLU_REQUEST_INVALID'],
    [
      'another type',
      { payload: 'name: x', headers: { 'content-type': 'application/yaml' } },
      415,
      'SLU_REQUEST_MEDIA_TYPE',
    ],
    [
      'an archive where none is taken',
      { payload: 'x', headers: { 'content-type': 'application/gzip' } },
      415,
      'SLU_REQUEST_MEDIA_TYPE',
    ],
    [
      'a form where none is taken',
      { payload: '--x--', headers: { 'content-type': 'multipart/form-data; boundary=x' } },
      415,
      'SLU_REQUEST_MEDIA_TYPE',
    ],
    [
      'a huge body',
      { payload: JSON.stringify({ name: 'x'.repeat(5_000) }), headers: { 'content-type': 'application/json' } },
      413,
      'SLU_REQUEST_TOO_LARGE',
    ],
    [
      'compressed JSON',
      { payload: 'x', headers: { 'content-type': 'application/json', 'content-encoding': 'br' } },
      415,
      'SLU_REQUEST_MEDIA_TYPE',
    ],
  ])('of %s says so', async (_what, request, status, code) => {
    const answer = await api.app.inject({
      method: 'POST',
      url: '/api/endpoints',
      ...request,
      headers: { ...api.as.admin, ...request.headers },
    });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([status, code]);
  });

  it('of a body names every field that is wrong', async () => {
    const answer = await api.app.inject({
      method: 'POST',
      url: '/api/endpoints',
      headers: api.as.admin,
      payload: { name: 'Bad Name', extra: 1 },
    });
    expect(answer.json()).toMatchObject({
      detail: expect.stringMatching(/^name: must be/) as string,
      problems: [{ field: 'name' }, { field: 'version' }, { field: 'body', problem: 'Unrecognized key: "extra"' }],
    });
  });

  it('of an unknown path is 404 with a key and 401 without', async () => {
    expect((await api.app.inject({ url: '/api/nothing', headers: api.as.admin })).json()).toMatchObject({
      code: 'SLU_REQUEST_NOT_FOUND',
      detail: 'there is nothing at /api/nothing',
    });
    expect((await api.app.inject({ url: '/api/nothing' })).statusCode).toBe(401);
  });

  it('of a method names those that the path answers', async () => {
    const answer = await api.app.inject({ method: 'DELETE', url: '/api/endpoints/tone', headers: api.as.admin });
    expect(answer.json()).toMatchObject({ code: 'SLU_REQUEST_METHOD', status: 405 });
    expect(answer.headers['allow']).toBe('GET, HEAD');
  });

  it('of a key in the query never repeats it', async () => {
    for (const url of ['/api/models?api_key=slu_secret', '/api/models?x=slu_secret', '/api/nothing?token=slu_secret']) {
      const answer = await api.app.inject({ url, headers: api.as.admin });
      expect(answer.json()).toMatchObject({ code: 'SLU_ACCESS_KEY_IN_QUERY' });
      expect(answer.body).not.toContain('secret');
    }
  });

  it('of an unknown query field names it', async () => {
    expect((await api.app.inject({ url: '/api/rollouts?endpont=tone', headers: api.as.admin })).json()).toMatchObject({
      code: 'SLU_REQUEST_INVALID',
    });
  });

  it.each(['/api/keys/not-a-uuid', `/api/keys/${'x'.repeat(90)}`])(
    'of an id that is none is a 404, not a failure of the database',
    async (url) => {
      expect((await api.app.inject({ method: 'DELETE', url, headers: api.as.admin })).statusCode).toBe(404);
    },
  );

  it('is an audit row, and many equal ones are one row with a count', async () => {
    await api.refusals.flush();
    const [before] = await api.db.database.query<{ seq: string }>('SELECT max(seq) AS seq FROM audit_events');
    for (let count = 0; count < 20; count += 1) await api.app.inject({ url: '/api/keys', headers: api.as.caller });
    for (let count = 0; count < 20; count += 1)
      await api.app.inject({ url: '/api/keys', headers: { authorization: `Bearer nonsense${count}` } });
    await api.refusals.flush();
    const rows = await api.db.database.query(
      `SELECT actor, action, resource, outcome, detail FROM audit_events WHERE seq > $1 ORDER BY seq`,
      [before?.seq],
    );
    expect(rows).toEqual([
      {
        actor: expect.stringMatching(/^key:/) as string,
        action: 'access.refuse',
        resource: 'action:key.read',
        outcome: 'refused',
        detail: { code: 'SLU_ACCESS_FORBIDDEN', count: 20 },
      },
      {
        actor: 'anonymous',
        action: 'access.refuse',
        resource: 'action:key.read',
        outcome: 'refused',
        detail: { code: 'SLU_ACCESS_KEY_INVALID', count: 20 },
      },
    ]);
  });
});

describe('a failure of our own', () => {
  it('says nothing but the request id, and logs the cause', async () => {
    const error = vi.fn();
    const log = {
      error,
      info: vi.fn(),
      warn: vi.fn(),
      debug: vi.fn(),
      fatal: vi.fn(),
      trace: vi.fn(),
      silent: vi.fn(),
      level: 'info',
      child: () => log,
    } as never;
    await using other = await managementApi(undefined, { log });
    await other.db.database.query('DROP TABLE replica_sets CASCADE');
    const answer = await other.app.inject({ url: '/api/replicas', headers: other.as.admin });
    expect(answer.json()).toEqual({
      type: 'urn:sluice:problem:SLU_INTERNAL',
      title: 'Internal Server Error',
      status: 500,
      code: 'SLU_INTERNAL',
      detail: 'something went wrong on our side; the request id leads to the log',
      requestId: answer.headers['sluice-request-id'],
    });
    const [line] = error.mock.calls[0] as [{ requestId: string; err: Error }];
    expect(line.requestId).toBe(answer.headers['sluice-request-id']);
    expect(line.err.message).toContain('replica_sets');
  });

  it('is a 503 with Retry-After while the database is away, and passes when it is back', async () => {
    await using other = await managementApi();
    await other.db.takeAway();
    const answer = await other.app.inject({ url: '/api/endpoints', headers: other.as.admin });
    expect([answer.statusCode, answer.json<{ code: string }>().code, answer.headers['retry-after']]).toEqual([
      503,
      'SLU_PLATFORM_DATABASE_DOWN',
      '2',
    ]);
    await other.db.giveBack();
    await expect
      .poll(async () => (await other.app.inject({ url: '/api/endpoints', headers: other.as.admin })).statusCode)
      .toBe(200);
  });
});

describe('an address', () => {
  it.each(['/api/models/%zz', '/v2/models/%zz/infer', '/%'])(
    'that cannot be read is refused in the shape of its protocol, and not repeated: %s',
    async (url) => {
      const answer = await api.app.inject({ url, headers: api.as.admin });
      expect(answer.statusCode).toBe(400);
      expect(answer.headers['sluice-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      const what = 'the address is not validly encoded';
      const isProtocol = url.startsWith('/v2');
      expect(answer.json()).toMatchObject(
        isProtocol ? { error: what } : { code: 'SLU_REQUEST_MALFORMED', detail: what },
      );
      expect(answer.body).not.toContain('%');
    },
  );

  it('with a name that is too long for anything is unknown, and closed without a key', async () => {
    const url = `/api/endpoints/${'x'.repeat(2_000)}`;
    expect((await api.app.inject({ url, headers: api.as.admin })).statusCode).toBe(404);
    expect((await api.app.inject({ url })).statusCode).toBe(401);
  });

  it.each(['/api/models', '/v2/models/stats', '/metrics'])(
    'does not answer QUERY, and says what it answers: %s',
    async (url) => {
      const answer = await api.app.inject({ method: 'QUERY' as never, url, headers: api.as.admin });
      expect([answer.statusCode, String(answer.headers['allow'])]).toEqual([405, expect.stringContaining('GET')]);
    },
  );
});

describe('while the server ends', () => {
  it('new requests are told to come again elsewhere, and readiness is false', async () => {
    await using other = await managementApi();
    other.drain();
    const answer = await other.app.inject({ url: '/api/endpoints', headers: other.as.admin });
    expect([answer.statusCode, answer.headers['retry-after'], answer.headers['connection']]).toEqual([
      503,
      '2',
      'close',
    ]);
    expect((await other.app.inject({ url: '/v2/health/ready' })).statusCode).toBe(503);
    expect((await other.app.inject({ url: '/v2/health/live' })).statusCode).toBe(200);
  });
});

describe('the documentation', () => {
  it('opens in a browser by HTTP Basic, with the key as the password', async () => {
    const closed = await api.app.inject({ url: '/docs' });
    expect(closed.statusCode).toBe(401);
    expect(closed.headers['www-authenticate']).toMatch(/^Basic realm="[^"]*API key as the password/);
    const key = api.as.caller.authorization.slice('Bearer '.length);
    const authorization = `Basic ${Buffer.from(`anyone:${key}`).toString('base64')}`;
    for (const [url, type] of [
      ['/docs', 'text/html'],
      ['/docs/swagger-ui.css', 'text/css'],
      ['/docs/swagger-ui-bundle.js', 'text/javascript'],
      ['/docs/start.js', 'text/javascript'],
      ['/openapi.json', 'application/json'],
    ] as const) {
      const answer = await api.app.inject({ url, headers: { authorization } });
      expect([url, answer.statusCode]).toEqual([url, 200]);
      expect(answer.headers['content-type']).toContain(type);
    }
    expect((await api.app.inject({ url: '/api/models', headers: { authorization } })).statusCode).toBe(401);
  });

  it('lets Prometheus in by HTTP Basic, with a key that may read metrics', async () => {
    const status = async (role: 'operator' | 'caller'): Promise<number> => {
      const pair = `prometheus:${api.as[role].authorization.slice('Bearer '.length)}`;
      const authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
      return (await api.app.inject({ url: '/metrics', headers: { authorization } })).statusCode;
    };
    expect([await status('operator'), await status('caller')]).toEqual([200, 403]);
  });

  it.each(['/docs/package.json', '/docs/..%2f..%2fpackage.json', '/docs/constructor'])(
    'serves no other file: %s',
    async (url) => {
      expect((await api.app.inject({ url, headers: api.as.admin })).statusCode).toBe(404);
    },
  );

  it('states for each operation its body, its answers and its refusals', async () => {
    const document = (await api.app.inject({ url: '/openapi.json', headers: api.as.admin })).json<{
      openapi: string;
      paths: Record<string, Record<string, { responses: object; requestBody?: { content: object } }>>;
    }>();
    expect(document.openapi).toBe('3.1.0');
    const post = document.paths['/api/models']?.['post'];
    expect(Object.keys(post?.responses ?? {})).toEqual(
      expect.arrayContaining(['200', '201', '400', '401', '403', '409', '413', '415', '422', '507']),
    );
    expect(Object.keys(post?.requestBody?.content ?? {})).toEqual(
      expect.arrayContaining(['application/json', 'application/gzip', 'multipart/form-data']),
    );
  });

  it('shows metrics to those who may read them', async () => {
    expect((await api.app.inject({ url: '/metrics', headers: api.as.operator })).body).toBe('# no metrics\n');
  });
});
