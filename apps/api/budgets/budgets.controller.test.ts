import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';
import { cellOf, usageCsv } from './usage-csv.js';

let api: ManagementApi;
beforeAll(async () => void (api = await managementApi()));
afterAll(() => api[Symbol.asyncDispose]());

type Role = keyof ManagementApi['as'];
async function call(
  role: Role,
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  url: string,
  payload?: object,
  headers = {},
) {
  const answer = await api.app.inject({
    method,
    url,
    headers: { ...api.as[role], ...headers },
    ...(payload && { payload }),
  });
  const isJson = String(answer.headers['content-type']).includes('json');
  return { status: answer.statusCode, body: isJson ? answer.json() : answer.body, headers: answer.headers };
}

const tenantId = '00000000-0000-4000-8000-000000000001';
const wish = {
  name: 'Team A',
  subject: { kind: 'tenant', id: tenantId },
  unit: 'money',
  limit: 5_000_000,
  period: 'month',
  timeZone: 'Europe/Berlin',
  isHard: true,
};

it('sets a budget, shows how it stands, changes it and ends it, each with its audit row', async () => {
  const made = await call('admin', 'POST', '/api/budgets', { ...wish, webhookUrl: 'https://hooks.example.org/b' });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ ...wish, thresholds: [80, 100], state: { spent: 0, held: 0, left: 5_000_000 } });
  expect(made.body.webhookSecret).toMatch(/^whsec_/);
  const { id } = made.body;
  const found = await call('operator', 'GET', `/api/budgets/${id}`);
  expect(found.body.webhookSecret).toBeUndefined();
  expect(found.body.state.periodEndsAt).toMatch(/T2[23]:00:00.000Z$/);
  expect((await call('admin', 'PATCH', `/api/budgets/${id}`, { limit: 7, thresholds: [50] })).body).toMatchObject({
    limit: 7,
    thresholds: [50],
  });
  expect((await call('operator', 'GET', '/api/budgets')).body).toMatchObject({ currency: 'EUR', budgets: [{ id }] });
  expect((await call('admin', 'DELETE', `/api/budgets/${id}`)).body.endedAt).not.toBeNull();
  expect((await call('admin', 'PATCH', `/api/budgets/${id}`, { limit: 8 })).status).toBe(409);
  const rows = await api.db.database.query<{ action: string; detail: object }>(
    `SELECT action FROM audit_events WHERE resource = $1 ORDER BY at`,
    [`budget:${id}`],
  );
  expect(rows.map(({ action }) => action)).toEqual(['budget.add', 'budget.change', 'budget.end']);
});

it.each([
  ['limit', { limit: 1.5 }],
  ['period', { period: 'year' }],
  ['timeZone', { timeZone: 'Mars/Olympus' }],
  ['subject.id', { subject: { kind: 'project', id: randomUUID() } }],
  ['thresholds[0]', { thresholds: [0] }],
  ['webhookUrl', { webhookUrl: 'ftp://here' }],
])('refuses a budget with a bad %s and names the field', async (field, change) => {
  const { status, body } = await call('admin', 'POST', '/api/budgets', { ...wish, ...change });
  expect([status, body.detail]).toEqual([422, expect.stringContaining(`${field}: `)]);
});

it('sets prices from a moment on, never in the past, and takes back only what is not in force', async () => {
  const now = await call('admin', 'POST', '/api/prices', { endpoint: 'chat', thousandTokensInMicros: 150 });
  expect(now).toMatchObject({ status: 201, body: { scope: { kind: 'endpoint', endpoint: 'chat' }, requestMicros: 0 } });
  const validFrom = new Date(Date.now() + 3_600_000).toISOString();
  const later = await call('admin', 'POST', '/api/prices', { model: 'smol', version: '1', validFrom, rowMicros: 2 });
  expect(later.status).toBe(201);
  const again = await call('admin', 'POST', '/api/prices', { model: 'smol', version: '1', validFrom });
  expect([again.status, again.body.code]).toEqual([409, 'SLU_PRICE_CONFLICT']);
  const past = await call('admin', 'POST', '/api/prices', { validFrom: '2020-01-01T00:00:00Z' });
  expect([past.status, past.body.detail]).toEqual([422, expect.stringMatching(/^validFrom: lies in the past/)]);
  expect((await call('admin', 'POST', '/api/prices', { model: 'smol' })).body.detail).toMatch(/^version: is missing/);
  expect((await call('admin', 'DELETE', `/api/prices/${now.body.id}`)).status).toBe(409);
  expect((await call('admin', 'DELETE', `/api/prices/${later.body.id}`)).status).toBe(200);
  expect((await call('caller', 'GET', '/api/prices')).body.prices).toHaveLength(1);
});

it('lets only those read and write who may', async () => {
  expect((await call('operator', 'POST', '/api/budgets', wish)).status).toBe(403);
  expect((await call('caller', 'GET', '/api/budgets')).status).toBe(403);
  expect((await call('operator', 'POST', '/api/prices', {})).status).toBe(403);
  expect((await call('admin', 'GET', `/api/budgets/${randomUUID()}`)).status).toBe(404);
  expect((await call('admin', 'GET', '/api/budgets/none')).status).toBe(404);
});

it('tells usage as JSON and CSV, and a caller only their own', async () => {
  const [caller] = await api.db.database.query<{ id: string }>(`SELECT id FROM api_keys WHERE name = 'caller'`);
  for (const keyId of [caller!.id, randomUUID()])
    await api.db.database.query(
      `INSERT INTO usage_days VALUES ('2026-03-04', $1, $1, $2, 'chat', 'smol', '1', 3, 1, 100, 20, 5, 3, 77)`,
      [tenantId, keyId],
    );
  const range = 'from=2026-03-01&to=2026-03-31';
  const all = await call('operator', 'GET', `/api/usage?${range}&groupBy=day`);
  expect(all).toMatchObject({
    status: 200,
    body: { currency: 'EUR', isComplete: true, usage: [{ day: '2026-03-04', requests: 6, costMicros: 154 }] },
  });
  const own = await call('caller', 'GET', `/api/usage?${range}&groupBy=key`);
  expect(own.body.usage).toEqual([expect.objectContaining({ keyId: caller!.id, requests: 3 })]);
  expect((await call('caller', 'GET', `/api/usage?${range}&keyId=${randomUUID()}`)).body.usage).toEqual([]);
  const csv = await call('operator', 'GET', `/api/usage?${range}&groupBy=day,model`, undefined, { accept: 'text/csv' });
  expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8');
  expect(csv.body).toBe(
    'day,model,version,requests,failures,tokensIn,tokensOut,replicaMs,rows,costMicros\r\n2026-03-04,smol,1,6,2,200,40,10,6,154\r\n',
  );
  const bad = await call('operator', 'GET', '/api/usage?groupBy=colour');
  expect([bad.status, bad.body.detail]).toEqual([422, expect.stringMatching(/^groupBy: must be some of day/)]);
  expect((await call('operator', 'GET', '/api/usage?from=2026-02-02&to=2026-02-01')).body.detail).toMatch(/^to: /);
});

it('writes no cell that a spreadsheet would take for a formula', () => {
  expect(['=1+1', '+1', '-1', '@a', '\tx'].map(cellOf)).toEqual(["'=1+1", "'+1", "'-1", "'@a", "'\tx"]);
  expect(cellOf('a,"b"')).toBe('"a,""b"""');
  expect(cellOf(-5)).toBe('-5');
  expect(usageCsv([], new Set(['day']))).toBe('day,requests,failures,tokensIn,tokensOut,replicaMs,rows,costMicros\r\n');
});
