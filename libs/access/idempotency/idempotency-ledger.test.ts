import { commitCondition } from '#libs/store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { SecretSeal } from '../secret-seal.js';
import { IdempotencyLedger, type IdempotencyClaim, type KeptAnswer } from './idempotency-ledger.js';
import type { IdempotentRequest } from './idempotent-request.js';

let db: FreshDatabase;
let ledger: IdempotencyLedger;
let other: IdempotencyLedger;
const masterKey = Buffer.alloc(32, 7);
const answer: KeptAnswer = { status: 201, headers: { location: '/x' }, body: '{"key":"slu_shown_once"}' };
const good = { answer, isPassing: false, isUndone: false };
let count = 0;
const ask = (change: Partial<IdempotentRequest> = {}): IdempotentRequest => ({
  actor: 'key:a',
  key: `request-${count}`,
  method: 'POST',
  path: '/api/things',
  body: { name: 'n', size: 1 },
  ...change,
});

beforeAll(async () => {
  db = await freshDatabase();
  await db.database.query('CREATE TABLE things (id serial)');
  ledger = open();
  other = open();
});
afterAll(async () => {
  await ledger[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

function open(leaseSeconds?: number): IdempotencyLedger {
  const settings = { database: db.database, seal: new SecretSeal(masterKey), masterKey };
  return new IdempotencyLedger({ ...settings, ...(leaseSeconds !== undefined && { leaseSeconds }) });
}

async function first(by = ledger, request = ask({ key: `request-${++count}` })): Promise<IdempotencyClaim> {
  const admitted = await by.admit(request);
  if (admitted.kind !== 'first') throw new Error('it was answered before');
  return admitted.claim;
}

const change = (claim: IdempotencyClaim, answered?: KeptAnswer): Promise<unknown> =>
  commitCondition.run(
    (tx) => claim.confirm(tx, answered),
    () => db.database.run((tx) => tx.query('INSERT INTO things DEFAULT VALUES')),
  );
const things = async (): Promise<number> => (await db.database.query('SELECT 1 FROM things')).length;

it('gives the same answer again, to whatever process asks, whatever the order of the members', async () => {
  await (await first()).settle(good);
  expect(await other.admit(ask({ body: { size: 1, name: 'n' } }))).toEqual({ kind: 'replay', answer });
});

it.each<Partial<IdempotentRequest>>([
  { body: { name: 'n', size: 2 } },
  { body: undefined },
  { path: '/api/others' },
  { path: '/api/things?dry=1' },
  { method: 'PUT' },
])('refuses another request under the same key: %j', async (difference) => {
  await (await first()).settle(good);
  await expect(other.admit(ask(difference))).rejects.toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_OTHER' });
});

it("does not know another's key, and keeps no word of what it keeps in the clear", async () => {
  await (await first()).settle(good);
  const stranger = await first(ledger, ask({ actor: 'key:b' }));
  await stranger.settle({ ...good, answer: { ...answer, body: 'mine' } });
  expect(await ledger.admit(ask())).toMatchObject({ answer: { body: answer.body } });
  const rows = await db.database.query<object>('SELECT *, sealed_answer::text, key_digest::text FROM idempotency_keys');
  const shown = `${JSON.stringify(rows)} ${rows.map((row) => Object.values(row).map(String).join(' ')).join(' ')}`;
  for (const word of ['slu_shown_once', 'mine', ask().key, Buffer.from('slu_shown_once').toString('hex')])
    expect(shown).not.toContain(word);
});

it('does not open an answer that was copied to another row', async () => {
  await (await first()).settle(good);
  const victim = ask();
  await (await first()).settle({ ...good, answer: { ...answer, body: 'theirs' } });
  await db.database.query(
    `UPDATE idempotency_keys SET sealed_answer = (SELECT sealed_answer FROM idempotency_keys WHERE key_digest = sha256($1))
      WHERE key_digest = sha256($2)`,
    [Buffer.from(victim.key), Buffer.from(ask().key)],
  );
  await expect(ledger.admit(ask())).rejects.toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_LOST' });
});

it('lets one of fifty through, over two processes, and the others wait', async () => {
  count += 1;
  const asked = await Promise.allSettled(
    Array.from({ length: 50 }, (_each, at) => (at % 2 ? ledger : other).admit(ask())),
  );
  const admitted = asked.filter((each) => each.status === 'fulfilled');
  expect(admitted.map(({ value }) => value.kind)).toEqual(['first']);
  for (const each of asked)
    if (each.status === 'rejected')
      expect(each.reason).toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_RUNNING', retryAfterSeconds: 1 });
});

it('gives the key back when nothing was done, and keeps a failure that came after a change', async () => {
  const failure = { answer: { ...answer, status: 500 }, isPassing: true, isUndone: false };
  await (await first()).settle(failure);
  const claim = await first(other, ask());
  await change(claim);
  await claim.settle(failure);
  expect(await ledger.admit(ask())).toMatchObject({ kind: 'replay', answer: { status: 500 } });
});

it('gives the key back after a change that was taken back, and not after one that says: try again', async () => {
  const down = { answer: { ...answer, status: 503 }, isPassing: true, isUndone: true };
  const taken = await first();
  await change(taken);
  await taken.settle(down);
  const claim = await first(other, ask());
  await change(claim);
  await claim.settle({ ...down, isUndone: false });
  await expect(ledger.admit(ask())).rejects.toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_LOST' });
});

it('lets another take over from a process that died before its change, and only then', async () => {
  const dying = open(1);
  await first(dying);
  await dying[Symbol.asyncDispose]();
  await expect(other.admit(ask())).rejects.toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_RUNNING' });
  await expect.poll(() => other.admit(ask()).then(({ kind }) => kind, String), { timeout: 5_000 }).toBe('first');
});

it('never makes the change twice: neither when the process dies after it, nor when one that was slow wakes up', async () => {
  const before = await things();
  const dying = open(1);
  await change(await first(dying));
  await dying[Symbol.asyncDispose]();
  await expect
    .poll(() => other.admit(ask()).catch((failure: { code: string }) => failure.code), { timeout: 5_000 })
    .toBe('SLU_REQUEST_IDEMPOTENCY_LOST');

  const stalled = open(1);
  const slow = await first(stalled);
  await stalled[Symbol.asyncDispose]();
  await expect.poll(() => other.admit(ask()).then(() => 'taken over', String), { timeout: 5_000 }).toBe('taken over');
  await expect(change(slow)).rejects.toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_RUNNING' });
  expect(await things()).toBe(before + 1);
});

it('gives the answer that was kept with the change when its process dies after it, or fails after it', async () => {
  const dying = open();
  await change(await first(dying), answer);
  await dying[Symbol.asyncDispose]();
  expect(await other.admit(ask())).toEqual({ kind: 'replay', answer });
  const failing = await first();
  await change(failing, answer);
  await failing.settle({ answer: { ...answer, status: 500 }, isPassing: true, isUndone: false });
  expect(await other.admit(ask())).toEqual({ kind: 'replay', answer });
});

it('keeps no answer with a change that is not the only one of its request, or that is taken back', async () => {
  const dying = open(1);
  const claim = await first(dying);
  await change(claim, answer);
  await change(claim, answer);
  await dying[Symbol.asyncDispose]();
  await expect
    .poll(() => other.admit(ask()).catch((failure: { code: string }) => failure.code), { timeout: 5_000 })
    .toBe('SLU_REQUEST_IDEMPOTENCY_LOST');
  const taken = await first();
  await change(taken, answer);
  await taken.settle({ answer: { ...answer, status: 503 }, isPassing: true, isUndone: true });
  expect((await other.admit(ask())).kind).toBe('first');
});

it('renews what it holds for as long as it works on it', async () => {
  const patient = open(1);
  const claim = await first(patient);
  const lease = async (): Promise<number> => {
    const [row] = await db.database.query<{ at: number }>(
      `SELECT extract(epoch FROM lease_until - created_at)::float8 AS at FROM idempotency_keys WHERE key_digest = sha256($1)`,
      [Buffer.from(ask().key)],
    );
    return row!.at;
  };
  await expect.poll(lease, { timeout: 10_000 }).toBeGreaterThan(2);
  await expect(other.admit(ask())).rejects.toMatchObject({ code: 'SLU_REQUEST_IDEMPOTENCY_RUNNING' });
  await claim.settle(good);
  await patient[Symbol.asyncDispose]();
});

it('forgets after a day', async () => {
  await (await first()).settle(good);
  const [row] = await db.database.query<{ hours: number }>(
    `SELECT extract(epoch FROM expires_at - created_at)::float8 / 3600 AS hours FROM idempotency_keys LIMIT 1`,
  );
  expect(row!.hours).toBe(24);
  await db.database.query(`UPDATE idempotency_keys SET expires_at = now() WHERE key_digest = sha256($1)`, [
    Buffer.from(ask().key),
  ]);
  await (await first(ledger, ask({ body: 'other' }))).settle(good);
  await db.database.query(`UPDATE idempotency_keys SET expires_at = now()`);
  expect(await ledger.sweep()).toBeGreaterThan(1);
  expect(await ledger.sweep()).toBe(0);
});
