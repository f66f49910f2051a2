import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

interface Row {
  actor: string;
  action: string;
  resource: string;
  outcome: string;
  tenantId: string | null;
  detail: Record<string, unknown>;
}
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Headers = Record<string, string>;

let api: ManagementApi;
beforeAll(async () => {
  api = await managementApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const call = (method: Method, url: string, headers: Headers = api.as.admin, payload?: object) =>
  api.app.inject({ method, url, headers, ...(payload && { payload }) });
async function trail(headers: Headers, query = ''): Promise<Row[]> {
  await api.refusals.flush();
  const answer = await call('GET', `/api/audit?limit=1000${query}`, headers);
  expect(answer.statusCode).toBe(200);
  return answer.json<{ rows: Row[] }>().rows;
}

/** A tenant with an admin and an auditor of its own. */
async function tenant() {
  const name = `t-${randomUUID().slice(0, 8)}`;
  const { id } = (await call('POST', '/api/tenants', api.as.admin, { name, tier: 'free' })).json<{ id: string }>();
  const keyOf = async (role: string) => {
    const made = await call('POST', '/api/keys', api.as.admin, { name: role, role, tenant: name });
    const { id: keyId, key } = made.json<{ id: string; key: string }>();
    return { keyId, as: { authorization: `Bearer ${key}` } };
  };
  return { id, name, admin: await keyOf('admin'), auditor: await keyOf('auditor') };
}

describe('an auditor of a tenant', () => {
  it('sees every row that concerns the tenant, whoever acted, and none of another', async () => {
    const [one, other] = [await tenant(), await tenant()];
    // Their own act, an act of whoever runs the platform upon something of theirs, and a refusal.
    const made = await call('POST', '/api/projects', one.admin.as, { name: 'lab' });
    const project = made.json<{ id: string }>().id;
    await call('PATCH', `/api/projects/${project}`, api.as.admin, { name: 'laboratory' });
    await call('PUT', `/api/limits/tenant/${one.id}`, api.as.admin, { requestsPerDay: 5 });
    const budget = { name: 'b', unit: 'tokens', limit: 10, period: 'month', isHard: false };
    const subject = { kind: 'project', id: project };
    await call('POST', '/api/budgets', api.as.admin, { ...budget, subject });
    await call('DELETE', `/api/keys/${one.admin.keyId}`, api.as.admin);
    await call('POST', '/api/tenants', one.auditor.as, { name: 'not mine', tier: 'free' });
    await call('POST', '/api/projects', other.admin.as, { name: 'elsewhere' });

    const rows = await trail(one.auditor.as);
    expect(new Set(rows.map(({ tenantId }) => tenantId))).toEqual(new Set([one.id]));
    const seen = rows.map(({ action, resource }) => `${action} ${resource}`);
    expect(seen).toEqual(
      expect.arrayContaining([
        `tenant.create tenant:${one.id}`,
        `key.create key:${one.admin.keyId}`,
        `project.create project:${project}`,
        `project.change project:${project}`,
        `limit.write limit:tenant/${one.id}`,
        `key.revoke key:${one.admin.keyId}`,
        expect.stringMatching(/^budget\.add budget:/),
        'access.refuse action:tenant.write',
      ]),
    );
    // The same rows as whoever runs the platform finds under that tenant, and asking for another one changes nothing.
    const all = (await trail(api.as.auditor, `&tenantId=${one.id}`)).map(
      ({ action, resource }) => `${action} ${resource}`,
    );
    const asked = (await trail(one.auditor.as, `&tenantId=${other.id}`)).filter(
      ({ action }) => action !== 'audit.read',
    );
    expect(all.filter((row) => !row.startsWith('audit.read'))).toEqual(
      seen.filter((row) => !row.startsWith('audit.read')),
    );
    expect(new Set(asked.map(({ tenantId }) => tenantId))).toEqual(new Set([one.id]));
  });

  it('finds an act of whoever runs the platform under no other tenant than theirs', async () => {
    await call('PUT', '/api/tiers/bronze', api.as.admin, { management: { perSecond: 5, burst: 5 } });
    const [row] = await trail(api.as.auditor, '&action=tier.write');
    expect(row?.tenantId).toBe('00000000-0000-4000-8000-000000000001');
  });
});

describe('an act that is permitted and cannot be done', () => {
  const secret = 'do-not-repeat-me';
  const refused: [method: Method, url: string, body: object, code: string, route: string][] = [
    ['POST', '/api/tenants', { name: 'twice', tier: 'free' }, 'SLU_ACCESS_OWNER_CONFLICT', '/api/tenants'],
    ['POST', '/api/tenants', { name: 7, secret }, 'SLU_REQUEST_INVALID', '/api/tenants'],
    ['POST', '/api/keys', { name: secret, role: 'emperor' }, 'SLU_REQUEST_INVALID', '/api/keys'],
    ['POST', '/api/budgets', { name: secret }, 'SLU_REQUEST_INVALID', '/api/budgets'],
    ['POST', '/api/endpoints', { secret }, 'SLU_REQUEST_INVALID', '/api/endpoints'],
    ['POST', '/api/rollouts', { secret }, 'SLU_R', '/api/rollouts'],
    ['POST', '/api/audit/holds', { secret }, 'SLU_REQUEST_INVALID', '/api/audit/holds'],
    ['PUT', '/api/limits/tenant/:subject', { secret }, 'SLU_REQUEST_INVALID', '/api/limits/'],
  ];

  it.each(refused)(
    'is a row with its code and nothing of what was written: %s %s %j',
    async (method, url, body, code, route) => {
      if (code === 'SLU_ACCESS_OWNER_CONFLICT') await call(method, url, api.as.admin, body);
      const before = (await trail(api.as.admin, '&action=act.refuse')).length;
      const answer = await call(method, url.replace(':subject', randomUUID()), api.as.admin, body);
      expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([
        expect.toSatisfy((status: number) => status === 409 || status === 422),
        expect.stringContaining(code),
      ]);
      const rows = await trail(api.as.admin, '&action=act.refuse');
      expect(rows.length).toBe(before + 1);
      expect(rows[0]).toMatchObject({
        actor: expect.stringMatching(/^key:/),
        outcome: 'refused',
        resource: expect.stringContaining(`route:${method} ${route}`),
        tenantId: '00000000-0000-4000-8000-000000000001',
        detail: { code: answer.json<{ code: string }>().code, count: 1 },
      });
      expect(JSON.stringify(rows[0])).not.toContain(secret);
    },
  );

  it('is no such row where the permit was missing, where it only reads, or where it is done', async () => {
    const before = (await trail(api.as.admin, '&action=act.refuse')).length;
    await call('POST', '/api/tenants', api.as.caller, { name: 7 });
    await call('GET', '/api/audit?limit=none', api.as.admin);
    await call('POST', '/api/tenants', api.as.admin, { name: `done-${randomUUID()}`, tier: 'free' });
    expect((await trail(api.as.admin, '&action=act.refuse')).length).toBe(before);
  });
});
