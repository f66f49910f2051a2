import type { PayloadEntry, PayloadWindow } from '#libs/audit';
import { defaultTenantId } from '#libs/access';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

let api: ManagementApi;
beforeEach(async () => {
  api = await managementApi();
  await api.db.database.query(
    `INSERT INTO endpoints (name, model, revision, created_by) VALUES ('tone', 'tone', 1, 'test')`,
  );
});
afterEach(() => api[Symbol.asyncDispose]());

type As = keyof ManagementApi['as'];
const call = (as: As, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
  api.app.inject({ method, url, headers: api.as[as], ...(payload !== undefined && { payload }) });
const path = '/api/endpoints/tone/payload-log';
const why = { seconds: 600, reason: 'answers look wrong since noon' };

const audits = (action: string) =>
  api.db.database.query<{ actor: string; resource: string; purpose: string | null; detail: Record<string, string> }>(
    'SELECT actor, resource, purpose, detail FROM audit_events WHERE action = $1',
    [action],
  );

/** One payload of a subject, as the hot path hands it over. */
async function log(subjectName: string | undefined, content: unknown): Promise<PayloadEntry> {
  const { payloads, openWindows, parts } = api.privacy;
  await openWindows.load();
  expect(payloads.isOpen('tone')).toBe(true);
  const subject = subjectName === undefined ? undefined : parts.pseudonyms.of(defaultTenantId, subjectName);
  const requestId = crypto.randomUUID();
  const rest = { endpoint: 'tone', version: '1', tenantId: defaultTenantId, bytes: 100, atMs: Date.now() };
  payloads.take({ requestId, subject, ...rest, content: () => content });
  await payloads.flush();
  const { payloads: held } = (await call('operator', 'GET', path)).json<{ payloads: PayloadEntry[] }>();
  return held.find((entry) => entry.requestId === requestId)!;
}

it('is off until an operator says why and for how long, is told of once, and ends when it is ended', async () => {
  expect((await call('operator', 'GET', path)).json()).toEqual({ open: null, payloads: [] });
  const opened = await call('on-call', 'POST', path, why);
  expect(opened.statusCode).toBe(201);
  expect(Date.parse(opened.json<PayloadWindow>().endsAt as never) - Date.now()).toBeGreaterThan(590_000);
  const again = await call('operator', 'POST', path, why);
  expect([again.statusCode, again.json<{ code: string }>().code]).toEqual([409, 'SLU_PRIVACY_LOG_OPEN']);
  expect((await call('operator', 'DELETE', path)).statusCode).toBe(200);
  expect((await call('operator', 'DELETE', path)).statusCode).toBe(404);
  expect(await audits('payload-log.open')).toMatchObject([
    { actor: expect.stringMatching(/^key:/) as string, resource: 'endpoint:tone', detail: { reason: why.reason } },
  ]);
  expect(await audits('payload-log.close')).toHaveLength(1);
});

it.each([
  [{ ...why, seconds: 86_401 }, 'seconds'],
  [{ ...why, seconds: 59 }, 'seconds'],
  [{ ...why, reason: 'because' }, 'reason'],
  [{ seconds: 600 }, 'reason'],
])('refuses to log without a time of at most a day and a reason: %o', async (body, field) => {
  const answer = await call('operator', 'POST', path, body);
  expect([answer.statusCode, answer.json<{ problems: { field: string }[] }>().problems[0]?.field]).toEqual([
    422,
    field,
  ]);
});

it('ends by itself by the clock of the database, whatever a process believes', async () => {
  await call('operator', 'POST', path, why);
  await api.privacy.openWindows.load();
  await api.db.database.query(`UPDATE payload_windows SET opened_at = opened_at - interval '1 hour', ends_at = now()`);
  // This process has not heard of it and goes on for a moment: nothing of that is written.
  const { payloads } = api.privacy;
  expect(payloads.isOpen('tone')).toBe(true);
  const rest = { requestId: crypto.randomUUID(), endpoint: 'tone', version: '1', tenantId: defaultTenantId };
  payloads.take({ ...rest, subject: undefined, bytes: 1, atMs: Date.now(), content: () => ({ text: 'late' }) });
  await payloads.flush();
  expect((await call('operator', 'GET', path)).json()).toEqual({ open: null, payloads: [] });
  await api.privacy.openWindows.load();
  expect(payloads.isOpen('tone')).toBe(false);
  expect((await call('operator', 'POST', path, why)).statusCode).toBe(201);
});

it('shows a payload only to who says why, redacted, and keeps proof of each reading', async () => {
  await call('operator', 'POST', path, why);
  const entry = await log('client-7', { text: 'I am jane@example.com, card 4111 1111 1111 1111' });
  expect(entry.redactions).toEqual({ email: 1, credit_card: 1 });
  const url = `/api/payloads/${entry.id}/read`;
  const reading = { purpose: 'incident', reason: 'a wrong answer was reported' };
  for (const role of ['admin', 'operator', 'analyst', 'caller'] as const)
    expect((await call(role, 'POST', url, reading)).statusCode).toBe(403);
  expect((await call('auditor', 'POST', url, { purpose: 'incident' })).statusCode).toBe(422);
  expect(await audits('payload.read')).toEqual([]);
  const read = await call('on-call', 'POST', url, reading);
  expect(read.json()).toMatchObject({ id: entry.id, content: { text: 'I am [EMAIL], card [CREDIT_CARD]' } });
  expect(await audits('payload.read')).toMatchObject([
    {
      resource: `payload:${entry.id}`,
      purpose: 'incident',
      detail: { reason: reading.reason, subject: entry.subject, endpoint: 'tone' },
    },
  ]);
});

it('cannot be read when it was moved to another row or another subject, or changed', async () => {
  await call('operator', 'POST', path, why);
  const [one, other] = [await log('client-7', { text: 'one' }), await log('client-7', { text: 'other' })];
  const readable = async (id: string): Promise<number> =>
    (await call('auditor', 'POST', `/api/payloads/${id}/read`, { purpose: 'audit', reason: 'a check of the log' }))
      .statusCode;
  const { database } = api.db;
  await database.query(
    'UPDATE payload_records SET sealed = (SELECT sealed FROM payload_records WHERE id = $2) WHERE id = $1',
    [one.id, other.id],
  );
  expect(await readable(one.id)).toBe(410);
  expect(await readable(other.id)).toBe(200);
  await database.query('UPDATE payload_records SET subject = gen_random_uuid() WHERE id = $1', [other.id]);
  expect(await readable(other.id)).toBe(410);
});

it('drops what is too much, counts it and says so', async () => {
  await call('operator', 'POST', path, why);
  await api.privacy.openWindows.load();
  const { payloads } = api.privacy;
  for (let index = 0; index < 300; index += 1) {
    const rest = { requestId: crypto.randomUUID(), endpoint: 'tone', version: '1', tenantId: defaultTenantId };
    payloads.take({ ...rest, subject: undefined, bytes: 1, atMs: Date.now(), content: () => ({ index }) });
  }
  await payloads.flush();
  expect(payloads.droppedPayloads).toBe(44);
  const { open } = (await call('operator', 'GET', path)).json<{ open: PayloadWindow }>();
  expect(open.dropped).toBe(44);
});
