import { afterEach, beforeEach, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

let api: ManagementApi;
beforeEach(async () => {
  api = await managementApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const digest = 'ab'.repeat(32);
const ended = 'cd'.repeat(32);
const call = (method: 'GET' | 'DELETE', url: string, headers = api.as.operator) =>
  api.app.inject({ method, url, headers });

async function quarantine(of: string, expires: string): Promise<void> {
  await api.db.database.query(
    `INSERT INTO quarantined_inputs (digest, model, version, deaths, quarantined_at, expires_at)
     VALUES ($1, 'm', '1', 2, now(), now() + $2::interval)`,
    [of, expires],
  );
}

it('lists what is refused and lets it in again, with an audit row that says who did it', async () => {
  await quarantine(digest, '1 hour');
  await quarantine(ended, '-1 hour');
  const listed = (await call('GET', '/api/quarantine')).json<{ inputs: object[] }>();
  expect(listed.inputs).toMatchObject([{ digest, model: 'm', version: '1', deaths: 2 }]);
  const lifted = await call('DELETE', `/api/quarantine/${digest}`);
  expect([lifted.statusCode, lifted.json()]).toMatchObject([200, { digest }]);
  expect((await call('GET', '/api/quarantine')).json()).toEqual({ inputs: [] });
  const rows = await api.db.database.query<{ actor: string; request_id: string }>(
    `SELECT actor, request_id FROM audit_events WHERE action = 'quarantine.lift' AND resource = $1`,
    [`quarantine:${digest}`],
  );
  expect(rows).toEqual([{ actor: expect.stringMatching(/^key:/), request_id: lifted.headers['sluice-request-id'] }]);
});

it.each([digest, ended, 'no-digest', `${'a'.repeat(63)}%00`])(
  'answers 404 for what is not refused: %s',
  async (path) => {
    await quarantine(ended, '-1 hour');
    const answer = await call('DELETE', `/api/quarantine/${path}`);
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([404, 'SLU_QUARANTINE_UNKNOWN']);
  },
);

it('is no business of callers', async () => {
  expect((await call('GET', '/api/quarantine', api.as.caller)).statusCode).toBe(403);
  expect((await call('DELETE', `/api/quarantine/${digest}`, api.as.caller)).statusCode).toBe(403);
});
