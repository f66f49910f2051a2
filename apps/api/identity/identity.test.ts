import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

let api: ManagementApi;
beforeAll(async () => {
  api = await managementApi();
});
afterAll(() => api[Symbol.asyncDispose]());

interface Answer {
  status: number;
  body: Record<string, unknown> & { id: string; key: string };
  headers: Record<string, unknown>;
}
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

async function call(
  method: Method,
  url: string,
  payload?: object,
  headers: Record<string, string> = api.as.admin,
  remoteAddress = '127.0.0.1',
): Promise<Answer> {
  const answer = await api.app.inject({ method, url, headers, remoteAddress, ...(payload && { payload }) });
  return { status: answer.statusCode, body: answer.json(), headers: answer.headers };
}

const bearer = (key: string): { authorization: string } => ({ authorization: `Bearer ${key}` });

/** A tenant with an admin of its own. */
async function tenantWithAdmin(name = `t-${randomUUID().slice(0, 8)}`) {
  const { body: tenant } = await call('POST', '/api/tenants', { name, tier: 'free' });
  const { body: admin } = await call('POST', '/api/keys', { name: 'their admin', role: 'admin', tenant: name });
  return { tenant, admin, as: bearer(admin.key) };
}

describe('tenants, projects, people and service accounts', () => {
  it('are created, listed, read, renamed and suspended, each with an audit row', async () => {
    const { tenant } = await tenantWithAdmin();
    const made = [
      ['projects', { name: 'research', tenantId: tenant.id }, { name: 'lab' }],
      ['people', { name: 'Ada', tenantId: tenant.id }, { name: 'Ada L.' }],
    ] as const;
    for (const [path, body, change] of made) {
      const { status, body: created } = await call('POST', `/api/${path}`, body);
      expect([path, status, created]).toMatchObject([path, 201, { ...body, state: 'active' }]);
      expect((await call('GET', `/api/${path}/${created.id}`)).body).toEqual(created);
      const changed = await call('PATCH', `/api/${path}/${created.id}`, { ...change, state: 'suspended' });
      expect(changed.body).toEqual({ ...created, ...change, state: 'suspended' });
      expect(JSON.stringify((await call('GET', `/api/${path}`)).body)).toContain(created.id);
      const rows = await api.db.database.query<{ action: string }>(
        'SELECT action FROM audit_events WHERE resource LIKE $1 ORDER BY seq',
        [`%:${created.id}`],
      );
      expect(rows.map(({ action }) => action.split('.')[1])).toEqual(['create', 'change']);
    }
  });

  it('refuse a second one of the same name, a bad body by its field, and an empty change', async () => {
    await call('POST', '/api/tenants', { name: 'twice' });
    expect(await call('POST', '/api/tenants', { name: 'twice' })).toMatchObject({
      status: 409,
      body: { code: 'SLU_ACCESS_OWNER_CONFLICT', detail: 'there is a tenant with name twice already' },
    });
    for (const body of [{}, { name: 'No' }, { name: 'x', tier: '' }, { name: 'x', more: 1 }, { name: randomUUID() }])
      expect([body, (await call('POST', '/api/tenants', body)).status]).toEqual([body, 422]);
    const { tenant } = await tenantWithAdmin();
    expect((await call('PATCH', `/api/tenants/${tenant.id}`, {})).status).toBe(422);
    expect((await call('POST', '/api/people', { name: 'x', issuer: 'https://a.example' })).status).toBe(422);
  });

  it('lets nobody suspend or rename the default tenant, on which the platform rests', async () => {
    const id = '00000000-0000-4000-8000-000000000001';
    for (const path of ['tenants', 'projects'])
      for (const change of [{ state: 'suspended' }, { name: 'other' }])
        expect((await call('PATCH', `/api/${path}/${id}`, change)).status).toBe(422);
  });
});

describe('the lists of tenants, projects, people, service accounts and keys', () => {
  /** All ids, page by page, and how many pages it took. */
  async function walk(
    path: string,
    member: string,
    as: { authorization: string },
    between = async (): Promise<unknown> => 0,
  ) {
    const ids: string[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages += 1) {
      const after: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { status, body } = await call('GET', `/api/${path}?limit=2${after}`, undefined, as);
      expect([path, status]).toEqual([path, 200]);
      const page = body[member] as { id: string }[];
      expect(page.length).toBeLessThanOrEqual(2);
      ids.push(...page.map(({ id }) => id));
      cursor = body['nextCursor'] as string | null;
      await between();
    }
    return { ids, pages };
  }

  it('come in pages that hold each entry within reach once, and nothing from beyond', async () => {
    const { tenant, admin, as } = await tenantWithAdmin();
    const other = await tenantWithAdmin();
    const make = async (path: string, body: object): Promise<string> =>
      (await call('POST', `/api/${path}`, body, path === 'keys' ? as : api.as.admin)).body.id;
    const projects: string[] = [];
    const people: string[] = [];
    const robots: string[] = [];
    const keys: string[] = [admin.id];
    for (const name of ['a', 'b', 'c']) {
      const projectId = await make('projects', { name, tenantId: tenant.id });
      projects.push(projectId);
      people.push(await make('people', { name, tenantId: tenant.id }));
      robots.push(await make('service-accounts', { name, projectId }));
      keys.push(await make('keys', { name, role: 'caller' }));
    }
    // Of one moment, as when many are made in one transaction: their order is that of their ids.
    await api.db.database.query(`UPDATE people SET created_at = '2026-01-01' WHERE tenant_id = $1`, [tenant.id]);
    const lists = [
      ['tenants', 'tenants', [tenant.id]],
      ['people', 'people', [...people].sort().reverse()],
      ['service-accounts', 'serviceAccounts', robots.reverse()],
      ['keys', 'keys', keys.reverse()],
    ] as const;
    for (const [path, member, wanted] of lists) {
      const { ids, pages } = await walk(path, member, as);
      expect([path, ids, pages]).toEqual([path, wanted, Math.ceil(wanted.length / 2)]);
    }
    const { ids } = await walk('projects', 'projects', as);
    // With the one that the tenant began with.
    expect([ids.length, new Set(ids).size, ids.slice(0, 3)]).toEqual([4, 4, projects.reverse()]);
    expect((await walk('keys', 'keys', other.as)).ids).toEqual([other.admin.id]);
  });

  it('repeat and lose nothing while entries are made between two pages', async () => {
    const { as } = await tenantWithAdmin();
    const make = (name: string) => call('POST', '/api/keys', { name, role: 'caller' }, as);
    for (const name of ['a', 'b', 'c', 'd']) await make(name);
    const before = (await walk('keys', 'keys', as)).ids;
    const meanwhile = await walk('keys', 'keys', as, () => make('later'));
    expect(meanwhile.ids).toEqual(before);
  });

  it.each(['x', 'AAAA', Buffer.from(`2026-02-31T00:00:00.000000Z ${randomUUID()}`).toString('base64url')])(
    'refuse the cursor %s, and a limit beyond theirs, by the field',
    async (cursor) => {
      for (const path of ['tenants', 'projects', 'people', 'service-accounts', 'keys']) {
        const bad = await call('GET', `/api/${path}?cursor=${cursor}`);
        expect([path, bad.status, bad.body['detail']]).toEqual([
          path,
          422,
          'cursor: is none of ours: start without one',
        ]);
        expect((await call('GET', `/api/${path}?limit=501`)).body['detail']).toMatch(/^limit: /);
      }
    },
  );
});

describe('across tenants', () => {
  it('what is another tenant’s answers exactly as what does not exist', async () => {
    const { tenant, admin } = await tenantWithAdmin();
    const other = await tenantWithAdmin();
    const { body: person } = await call('POST', '/api/people', { name: 'Ada', tenantId: tenant.id });
    const there: [Method, (id: string) => string, string, object?][] = [
      ['GET', (id) => `/api/tenants/${id}`, tenant.id],
      ['GET', (id) => `/api/people/${id}`, person.id],
      ['PATCH', (id) => `/api/people/${id}`, person.id, { name: 'x' }],
      ['DELETE', (id) => `/api/keys/${id}`, admin.id],
      ['POST', (id) => `/api/keys/${id}/rotate`, admin.id, {}],
    ];
    for (const [method, url, id, payload] of there) {
      const nobody = randomUUID();
      const [known, unknown] = [
        await call(method, url(id), payload, other.as),
        await call(method, url(nobody), payload, other.as),
      ];
      expect([url('…'), known.status]).toEqual([url('…'), 404]);
      const plain = ({ status, body, headers }: Answer, of: string): string =>
        JSON.stringify([status, body, { ...headers, date: '', 'sluice-request-id': '', ratelimit: '' }])
          .replaceAll(of, '<id>')
          .replaceAll(String(body['requestId']), '<request>');
      expect(plain(known, id)).toBe(plain(unknown, nobody));
    }
  });

  it('an admin sees and makes only what is of the own tenant, and gives no key a tier', async () => {
    const { tenant, as } = await tenantWithAdmin();
    const other = await tenantWithAdmin();
    for (const path of ['tenants', 'projects', 'keys']) {
      const list = JSON.stringify((await call('GET', `/api/${path}`, undefined, as)).body);
      expect([path, list.includes(tenant.id), list.includes(other.tenant.id)]).toEqual([path, true, false]);
    }
    const key = { name: 'x', role: 'caller' };
    expect((await call('POST', '/api/keys', key, as)).body).toMatchObject({ tenantId: tenant.id });
    const refused = await call('POST', '/api/keys', { ...key, tenant: String(other.tenant['name']) }, as);
    const absent = await call('POST', '/api/keys', { ...key, tenant: 'no-such-tenant' }, as);
    expect([refused.status, absent.status]).toEqual([422, 422]);
    expect(refused.body['detail']).toBe(`tenant: there is no tenant ${String(other.tenant['name'])}`);
    expect(absent.body['detail']).toBe('tenant: there is no tenant no-such-tenant');
    expect((await call('POST', '/api/keys', { ...key, tier: 'internal' }, as)).status).toBe(422);
    expect((await call('POST', '/api/tenants', { name: 'mine' }, as)).status).toBe(403);
    expect((await call('GET', '/api/models', undefined, as)).status).toBe(403);
  });

  it('a suspended tenant, project, person or service account is let in no more, and again when it is active', async () => {
    const { tenant } = await tenantWithAdmin();
    const { body: project } = await call('POST', '/api/projects', { name: 'p', tenantId: tenant.id });
    const { body: person } = await call('POST', '/api/people', { name: 'Ada', tenantId: tenant.id });
    const { body: robot } = await call('POST', '/api/service-accounts', { name: 'robot', projectId: project.id });
    const make = async (owner: object): Promise<string> =>
      (await call('POST', '/api/keys', { name: 'x', role: 'caller', tenant: tenant.id, ...owner })).body.key;
    const cases: [string, string, string][] = [
      ['tenants', tenant.id, await make({})],
      ['projects', project.id, await make({ project: 'p' })],
      ['people', person.id, await make({ person: person.id })],
      ['service-accounts', robot.id, await make({ serviceAccount: 'robot' })],
    ];
    const status = async (key: string): Promise<number> =>
      (await call('GET', '/openapi.json', undefined, bearer(key))).status;
    for (const [path, id, key] of cases) {
      expect([path, await status(key)]).toEqual([path, 200]);
      await call('PATCH', `/api/${path}/${id}`, { state: 'suspended' });
      expect([path, await status(key)]).toEqual([path, 401]);
      await call('PATCH', `/api/${path}/${id}`, { state: 'active' });
      expect([path, await status(key)]).toEqual([path, 200]);
    }
  });
});

describe('the bounds of a key', () => {
  it('lets it in from its networks alone, whatever X-Forwarded-For says', async () => {
    const networks = ['10.1.0.0/16', '2001:db8::/32'];
    const { body } = await call('POST', '/api/keys', { name: 'x', role: 'caller', networks });
    expect(body['networks']).toEqual(networks);
    const from = async (address: string, forwarded?: string): Promise<number> => {
      const headers = { ...bearer(body.key), ...(forwarded && { 'x-forwarded-for': forwarded }) };
      return (await call('GET', '/openapi.json', undefined, headers, address)).status;
    };
    expect(await Promise.all([from('10.1.2.3'), from('2001:db8::9'), from('::ffff:10.1.0.1')])).toEqual([
      200, 200, 200,
    ]);
    expect(await Promise.all([from('10.2.0.1'), from('10.2.0.1', '10.1.2.3'), from('::1')])).toEqual([403, 403, 403]);
  });

  it('refuses a network that could mean two things, and says which', async () => {
    const { status, body } = await call('POST', '/api/keys', { name: 'x', role: 'caller', networks: ['10.1.2.3/8'] });
    expect([status, body['detail']]).toEqual([
      422,
      'networks[0]: has bits behind its prefix: write 10.0.0.0/8 for the network, or a single address without a /',
    ]);
  });

  it('are refused where they say nothing sensible', async () => {
    const { body: person } = await call('POST', '/api/people', { name: 'Ada' });
    for (const more of [
      { endpoints: [] },
      { endpoints: ['No'] },
      { networks: ['example.com'] },
      { tier: 'No' },
      { person: randomUUID() },
      { person: person.id, serviceAccount: 'x' },
      { serviceAccount: 'nobody' },
      { project: 'nobody' },
    ])
      expect([more, (await call('POST', '/api/keys', { name: 'x', role: 'caller', ...more })).status]).toEqual([
        more,
        422,
      ]);
  });
});

describe('rotation', () => {
  it('makes a key with the same bounds, and the earlier one stays good for the overlap and no longer', async () => {
    const wish = {
      name: 'x',
      roles: ['caller', 'analyst'],
      networks: ['127.0.0.0/8'],
      expiresAt: '2999-01-01T00:00:00.000Z',
    };
    const { body: old } = await call('POST', '/api/keys', wish);
    const { status, body: next } = await call('POST', `/api/keys/${old.id}/rotate`, { overlapSeconds: 3_600 });
    expect([status, next]).toMatchObject([201, { ...wish, replaces: old.id, tenantId: old['tenantId'] }]);
    const alive = async (key: string): Promise<number> =>
      (await call('GET', '/openapi.json', undefined, bearer(key))).status;
    expect([await alive(old.key), await alive(next.key)]).toEqual([200, 200]);
    const { keys } = (await call('GET', '/api/keys')).body as unknown as { keys: { id: string; expiresAt: string }[] };
    const left = Date.parse(keys.find(({ id }) => id === old.id)!.expiresAt) - Date.now();
    expect(left).toBeGreaterThan(3_500_000);
    expect(left).toBeLessThanOrEqual(3_600_000);
    const atOnce = await call('POST', `/api/keys/${next.id}/rotate`, { overlapSeconds: 0 });
    expect([await alive(next.key), await alive(atOnce.body.key)]).toEqual([401, 200]);
  });

  it('refuses a key that has ended or has a successor, and makes one successor only when two ask at once', async () => {
    const { body: old } = await call('POST', '/api/keys', { name: 'x', role: 'caller' });
    const both = await Promise.all([1, 2].map(() => call('POST', `/api/keys/${old.id}/rotate`, {})));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
    await call('DELETE', `/api/keys/${old.id}`);
    expect((await call('POST', `/api/keys/${old.id}/rotate`)).body).toMatchObject({
      status: 409,
      detail: `API key ${old.id} is revoked`,
    });
  });

  it('lets a key of a person renew itself, and no other key of that person', async () => {
    const { body: person } = await call('POST', '/api/people', { name: 'Ada' });
    const wish = { name: 'x', role: 'analyst', person: person.id };
    const { body: one } = await call('POST', '/api/keys', wish);
    const { body: admin } = await call('POST', '/api/keys', { ...wish, role: 'admin' });
    const list = (await call('GET', '/api/keys', undefined, bearer(one.key))).body as unknown as {
      keys: { id: string }[];
    };
    expect(list.keys.map(({ id }) => id).sort()).toEqual([one.id, admin.id].sort());
    expect((await call('POST', `/api/keys/${admin.id}/rotate`, {}, bearer(one.key))).status).toBe(403);
    expect((await call('POST', `/api/keys/${one.id}/rotate`, {}, bearer(one.key))).status).toBe(201);
  });
});
