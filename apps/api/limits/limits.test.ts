import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

let api: ManagementApi;
beforeEach(async () => {
  api = await managementApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const call = (method: 'GET' | 'PUT' | 'DELETE', url: string, payload?: object) =>
  api.app.inject({ method, url, headers: api.as.admin, ...(payload !== undefined && { payload }) });
const tenant = '00000000-0000-4000-8000-000000000001';
const infer = (endpoint = 'sample') =>
  api.app.inject({
    method: 'POST',
    url: `/v2/models/${endpoint}/infer`,
    headers: api.as.caller,
    payload: { inputs: [] },
  });
const rate = { perSecond: 1, burst: 1 };

describe('tiers', () => {
  it('are there from the start, are changed for everybody at once, and leave proof', async () => {
    const names = (await call('GET', '/api/tiers')).json<{ tiers: { name: string }[] }>().tiers.map(({ name }) => name);
    expect(names).toEqual(['free', 'internal', 'premium', 'standard']);
    const put = await call('PUT', '/api/tiers/internal', {
      key: { requestsPerDay: 1 },
      management: { ...rate, burst: 90 },
    });
    expect([put.statusCode, put.json<{ revision: number }>().revision]).toEqual([200, 2]);
    await infer();
    expect((await infer()).json()).toEqual({
      error: expect.stringContaining('requests-per-day of this key') as string,
    });
    const rows = await api.db.database.query(`SELECT resource FROM audit_events WHERE action = 'tier.write'`);
    expect(rows).toEqual([{ resource: 'tier:internal' }]);
  });

  it('are refused by the field that is wrong, and when somebody else was faster', async () => {
    const bad = await call('PUT', '/api/tiers/mine', {
      key: { requestsPerSecond: { perSecond: 0, burst: 1 } },
      management: rate,
    });
    expect(bad.json<{ problems: { field: string }[] }>().problems[0]?.field).toBe('key.requestsPerSecond.perSecond');
    expect((await call('PUT', '/api/tiers/No!', { management: rate })).json()).toMatchObject({
      code: 'SLU_REQUEST_INVALID',
    });
    const stale = await call('PUT', '/api/tiers/free', { management: rate, expectedRevision: 7 });
    expect(stale.json()).toMatchObject({ status: 409, code: 'SLU_ACCESS_LIMITS_STALE' });
  });

  it('throttle management calls of their own keys, with the standard headers', async () => {
    await call('PUT', '/api/tiers/internal', { management: { perSecond: 0.1, burst: 2 } });
    const first = await call('GET', '/api/tiers');
    expect(first.headers['ratelimit']).toMatch(/^"management-internal";r=1;t=\d+$/);
    await call('GET', '/api/tiers');
    const third = await call('GET', '/api/tiers');
    expect([third.statusCode, third.headers['retry-after']]).toEqual([429, '10']);
    expect(third.json()).toMatchObject({ code: 'SLU_ACCESS_LIMIT_REACHED' });
  });
});

describe('limits that are set', () => {
  it('count instead of the tier’s, are read, and are taken back', async () => {
    expect((await call('PUT', `/api/limits/tenant/${tenant}`, { requestsPerDay: 0 })).statusCode).toBe(200);
    const refused = await infer();
    expect([refused.statusCode, refused.headers['sluice-error-code']]).toEqual([400, 'SLU_ACCESS_LIMIT_NEVER']);
    expect((await call('GET', '/api/limits?scope=tenant')).json<{ limits: unknown[] }>().limits).toHaveLength(1);
    expect((await call('DELETE', `/api/limits/tenant/${tenant}`)).statusCode).toBe(204);
    expect((await call('GET', `/api/limits/tenant/${tenant}`)).json()).toMatchObject({
      code: 'SLU_ACCESS_LIMITS_UNKNOWN',
    });
    expect((await infer()).statusCode).not.toBe(429);
  });

  it('are set for what there is', async () => {
    for (const path of ['endpoint/nothing', 'key/nobody', `project/${tenant.replace('1', '2')}`])
      expect((await call('PUT', `/api/limits/${path}`, {})).json()).toMatchObject({ code: 'SLU_ACCESS_LIMIT_SUBJECT' });
    expect((await call('PUT', '/api/limits/planet/x', {})).json()).toMatchObject({ code: 'SLU_REQUEST_INVALID' });
  });

  it('are a refusal that says which limit it is and when it frees, and leaves proof', async () => {
    await call('PUT', `/api/limits/project/${tenant}`, { requestsPerSecond: { perSecond: 0.01, burst: 1 } });
    const first = await infer();
    expect(first.headers['ratelimit-policy']).toBe(
      '"key-requests-per-second";q=100000;w=1, "project-requests-per-second";q=1;w=100',
    );
    expect(first.headers['ratelimit']).toBe('"project-requests-per-second";r=0;t=100');
    const { statusCode, headers } = await infer();
    expect([statusCode, headers['retry-after'], headers['ratelimit']]).toEqual([
      429,
      '100',
      '"project-requests-per-second";r=0;t=100',
    ]);
    await api.refusals.flush();
    const rows = await api.db.database.query(`SELECT resource FROM audit_events WHERE action = 'access.refuse'`);
    expect(rows).toEqual([{ resource: 'limit:project/requests-per-second' }]);
  });
});
