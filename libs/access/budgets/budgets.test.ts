import { randomUUID } from 'node:crypto';
import { isSluiceError } from '#libs/kernel';
import { createLogger } from '#libs/platform';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { defaultTenantId, madeBudget, periodOf } from '../../../test/support/budgets.js';
import { Budgets, type BudgetsSettings } from './budgets.js';
import type { Payer } from './budget.js';
import { LeaseLedger } from './lease-ledger.js';
import { BudgetReaders } from './budget-readers.js';
import { BudgetRegister } from './budget-register.js';
import { SecretSeal } from '../secret-seal.js';
import { PriceList } from './price-list.js';
import type { WorstCase } from './request-meter.js';
import { Usage } from './usage.js';

const log = createLogger({ service: 'test', level: 'silent' });
const freePrices = {
  requestMicros: 0,
  thousandTokensInMicros: 0,
  thousandTokensOutMicros: 0,
  replicaSecondMicros: 0,
  rowMicros: 0,
  failedRequestMicros: 0,
};

let db: FreshDatabase;
let stack: AsyncDisposableStack;
let payer: Payer;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  db = stack.use(await freshDatabase());
  const id = randomUUID();
  payer = { kind: 'key', id, keyId: id, projectId: randomUUID(), tenantId: randomUUID() };
});
afterEach(() => stack.disposeAsync());

async function started(settings: Partial<BudgetsSettings> = {}): Promise<Budgets> {
  const budgets = new Budgets({ database: db.database, log, settleEveryMs: 20, ...settings });
  stack.use(budgets);
  await budgets.start();
  return budgets;
}

const worst = (tokens: number): WorstCase => ({
  endpoint: 'chat',
  model: 'smol',
  version: '1',
  tokensIn: tokens,
  tokensOut: 0,
  hasTokenLimit: true,
  replicaMs: 0,
  rows: 0,
});
const used = (tokensIn: number, isFailed = false) => ({ tokensIn, tokensOut: 0, replicaMs: 0, rows: 1, isFailed });
const subject = () => ({ kind: 'key' as const, id: payer.keyId });

/** What is idle is given back after a second. */
const soon = { timeout: 10_000, interval: 50 };

const codeOf = (failure: unknown): string => (isSluiceError(failure) ? failure.code : String(failure));

it('spends a hard budget to its last unit over four processes, and not one more', async () => {
  const budgetId = await madeBudget(db.database, { limit: 1_000, subject: subject() });
  const processes = await Promise.all([started(), started(), started(), started()]);
  const [first] = processes;
  let spent = 0;
  const client = async (index: number): Promise<void> => {
    const budgets = processes[index % 4]!;
    for (;;) {
      try {
        const reservation = await budgets.reserve(payer, worst(3), 'r');
        await Promise.resolve();
        reservation.settle(used(1 + (spent % 3)));
        spent += 1 + (spent % 3);
      } catch (failure) {
        expect(codeOf(failure)).toBe('SLU_BUDGET_EXHAUSTED');
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: 200 }, (_each, index) => client(index)));
  // What the others hold comes back once it is idle, and can then be spent down to the last unit.
  await vi.waitFor(async () => expect((await periodOf(db.database, budgetId)).held).toBe(0), soon);
  for (;;) {
    try {
      (await first.reserve(payer, worst(1), 'r')).settle(used(1));
      spent += 1;
    } catch (failure) {
      expect(codeOf(failure)).toBe('SLU_BUDGET_EXHAUSTED');
      break;
    }
  }
  for (const budgets of processes) await budgets.flush();
  expect(spent).toBe(1_000);
  expect(await periodOf(db.database, budgetId)).toEqual({ spent: 1_000, held: 0, writtenOff: 0, overrun: 0 });
});

it('asks the database once for many requests while a budget is far from its end', async () => {
  await madeBudget(db.database, { limit: 1_000_000, subject: subject() });
  const budgets = await started({ settleEveryMs: 60_000 });
  const ask = vi.spyOn(db.database, 'run');
  for (let round = 0; round < 300; round += 1) {
    (await budgets.reserve(payer, worst(10), 'r')).settle(used(10));
    if (round % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 260));
  }
  expect(ask.mock.calls.length).toBeLessThan(60);
});

it('serves a steady crowd from memory once it knows how fast it spends, and holds two seconds of it at most', async () => {
  const budgetId = await madeBudget(db.database, { limit: 1_000_000_000, subject: subject() });
  const budgets = await started();
  const grants = vi.spyOn(LeaseLedger.prototype, 'grant');
  stack.defer(() => grants.mockRestore());
  let done = 0;
  const endsMs = performance.now() + 600;
  const one = async (): Promise<void> => {
    while (performance.now() < endsMs) {
      (await budgets.reserve(payer, worst(1), randomUUID())).settle(used(1));
      done += 1;
      // As a model does it: others get their turn before the answer.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: 32 }, one));
  // Before: each grant left some waiting, and so every request went by the database, with ever more held in advance.
  expect(grants.mock.calls.length).toBeLessThan(done / 32);
  const { held } = await periodOf(db.database, budgetId);
  expect(held).toBeLessThan(done * 20);
});

it('charges a failed request nothing, and a request twice settled once', async () => {
  const budgetId = await madeBudget(db.database, { limit: 100, subject: subject() });
  const budgets = await started();
  (await budgets.reserve(payer, worst(50), 'r')).settle(used(50, true));
  const reservation = await budgets.reserve(payer, worst(50), 'r');
  reservation.settle(used(20));
  reservation.settle(used(50));
  reservation.release();
  await vi.waitFor(async () => expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: 20 }), soon);
});

it('writes each settlement once and loses none, however many ask for it at the same time', async () => {
  const budgetId = await madeBudget(db.database, { limit: 1_000, subject: subject() });
  const budgets = await started({ settleEveryMs: 1 });
  for (let round = 1; round <= 50; round += 1) {
    (await budgets.reserve(payer, worst(1), 'r')).settle(used(1));
    await Promise.all([budgets.flush(), budgets.flush(), budgets.flush()]);
    expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: round });
  }
  const { usage } = await new Usage(db.database).find({ groupBy: [], asked: {}, allowed: {} });
  expect(usage[0]).toMatchObject({ requests: 50, tokensIn: 50 });
});

it('answers a new budget when every process that lives goes by it', async () => {
  const patient = { patienceMs: 60_000 };
  const [here, there] = [await started(patient), await started(patient)];
  const seal = new SecretSeal(Buffer.alloc(32, 1));
  const register = new BudgetRegister(db.database, seal, (change) => here.spread(change));
  const wish = { unit: 'tokens', limit: 5, period: 'total', timeZone: 'UTC', isHard: true, thresholds: [] } as const;
  const tenant = { kind: 'tenant', id: defaultTenantId } as const;
  let isAnswered = false;
  const adding = register
    .add({ name: 'new', subject: tenant, ...wish }, { actor: 'system', requestId: 'r', tenantId: undefined })
    .then(() => (isAnswered = true));
  // Nobody tells the other process for now.
  await vi.waitFor(async () => expect(await db.database.query('SELECT 1 FROM budgets')).toHaveLength(1), soon);
  await here.settled();
  expect(isAnswered).toBe(false);
  there.onChange({ table: 'budgets', key: 'new' });
  await adding;
  await expect(there.reserve({ ...payer, tenantId: tenant.id }, worst(6), 'r')).rejects.toThrow('has 5 tokens left');
});

it('waits with a change of budgets for a process that is behind only so long, and for a dead one not at all', async () => {
  const here = await started();
  const behind = `INSERT INTO budget_processes (id, state, seen_at, read_as_of)
    VALUES (gen_random_uuid(), 'live', now() + interval '1 hour', '1:1:') RETURNING pg_current_xact_id()::text AS change`;
  const [row] = await db.database.query<{ change: string }>(behind);
  await here.refresh();
  const readers = new BudgetReaders(db.database, 50);
  expect(await readers.untilAllKnow(row!.change)).toBe(false);
  await db.database.query(`UPDATE budget_processes SET seen_at = seen_at - interval '2 hours' WHERE seen_at > now()`);
  expect(await readers.untilAllKnow(row!.change)).toBe(true);
});

it('refuses what does not fit, naming the budget and what would', async () => {
  await madeBudget(db.database, { limit: 100, subject: subject() });
  const refusals: string[] = [];
  const budgets = await started({ onRefused: ({ requestId }) => void refusals.push(requestId) });
  const asked = { ...worst(30), tokensOut: 500, hasTokenLimit: false };
  const failure = await Promise.resolve(budgets.reserve(payer, asked, 'r7')).catch((error: unknown) => error);
  expect(codeOf(failure)).toBe('SLU_BUDGET_EXHAUSTED');
  expect((failure as Error).message).toMatch(
    /^budget b-[0-9a-f]{8} has 100 tokens left of 100 tokens, and this request may cost up to 530 tokens: set max_tokens to at most 70$/,
  );
  expect(refusals).toEqual(['r7']);
});

it('holds nothing of one budget when another one has no room', async () => {
  const wide = await madeBudget(db.database, { limit: 1_000, subject: subject() });
  await madeBudget(db.database, { limit: 5, subject: { kind: 'tenant', id: payer.tenantId } });
  const budgets = await started();
  await expect(budgets.reserve(payer, worst(10), 'r')).rejects.toThrow('has 5 tokens left');
  await vi.waitFor(async () => expect(await periodOf(db.database, wide)).toMatchObject({ spent: 0, held: 0 }), soon);
});

it('spends only what it holds while the database is away, and then refuses with 503', async () => {
  const budgetId = await madeBudget(db.database, { limit: 1_000, subject: subject() });
  const budgets = await started();
  (await budgets.reserve(payer, worst(1), 'r')).settle(used(1));
  await db.takeAway();
  let spent = 1;
  let refusal: unknown;
  for (let tries = 0; tries < 1_001 && refusal === undefined; tries += 1) {
    try {
      (await budgets.reserve(payer, worst(1), 'r')).settle(used(1));
      spent += 1;
    } catch (failure) {
      refusal = failure;
    }
  }
  expect(codeOf(refusal)).toBe('SLU_BUDGET_UNAVAILABLE');
  await db.giveBack();
  await vi.waitFor(async () => expect(await periodOf(db.database, budgetId)).toMatchObject({ spent }), soon);
});

it('counts everything that a lost process held as spent, and takes the rest back when it returns', async () => {
  const budgetId = await madeBudget(db.database, { limit: 100, subject: subject() });
  const sleeping = await started({ settleEveryMs: 3_600_000 });
  const reservation = await sleeping.reserve(payer, worst(40), 'r');
  await db.database.query(`UPDATE budget_processes SET seen_at = now() - interval '1 hour'`);
  await started({ lostAfterSeconds: 0.2 });
  await vi.waitFor(
    async () => expect((await periodOf(db.database, budgetId)).writtenOff).toBeGreaterThanOrEqual(40),
    soon,
  );
  expect((await periodOf(db.database, budgetId)).held).toBe(0);
  reservation.settle(used(15));
  await sleeping.flush();
  expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: 15, writtenOff: 0 });
  const actions = await db.database.query<{ action: string }>('SELECT action FROM audit_events ORDER BY at');
  expect(actions.map(({ action }) => action)).toEqual(['budget.write-off', 'budget.take-back']);
});

it('never charges beyond the limit what a model server used beyond the worst case, and writes it down as overrun', async () => {
  const budgetId = await madeBudget(db.database, { limit: 50, subject: subject() });
  const budgets = await started();
  (await budgets.reserve(payer, worst(40), 'r')).settle(used(70));
  await vi.waitFor(
    async () =>
      expect(await periodOf(db.database, budgetId)).toEqual({ spent: 40, held: 0, writtenOff: 0, overrun: 30 }),
    soon,
  );
  (await budgets.reserve(payer, worst(10), 'r')).settle(used(10));
  await budgets.flush();
  expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: 50 });
});

it('lets everything through a soft budget and counts it', async () => {
  const budgetId = await madeBudget(db.database, { limit: 10, isHard: false, period: 'month', subject: subject() });
  const budgets = await started();
  for (let round = 0; round < 5; round += 1) (await budgets.reserve(payer, worst(9), 'r')).settle(used(9));
  await budgets.flush();
  expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: 45, held: 0 });
});

it('prices a request by what was in force when it came, and sums it up once', async () => {
  const budgetId = await madeBudget(db.database, { limit: 1_000_000, unit: 'money', subject: subject() });
  const budgets = await started();
  const prices = new PriceList(db.database, () => budgets.refresh());
  const by = { actor: 'system', requestId: randomUUID() };
  await prices.add({ scope: { kind: 'all' }, price: { ...freePrices, thousandTokensInMicros: 2_000 }, ...by });
  const earlier = await budgets.reserve(payer, worst(500), 'r');
  const scope = { kind: 'version', model: 'smol', version: '1' } as const;
  await prices.add({ scope, price: { ...freePrices, thousandTokensInMicros: 10_000 }, ...by });
  const later = await budgets.reserve(payer, worst(500), 'r');
  earlier.settle(used(500));
  later.settle(used(500));
  await budgets.flush();
  expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: 1_000 + 5_000 });
  const usage = new Usage(db.database, () => budgets.flush());
  const found = await usage.find({ groupBy: ['key', 'model'], asked: {}, allowed: { tenantId: payer.tenantId } });
  expect(found.usage).toEqual([
    {
      keyId: payer.keyId,
      model: 'smol',
      version: '1',
      requests: 2,
      failures: 0,
      tokensIn: 1_000,
      tokensOut: 0,
      replicaMs: 0,
      rows: 2,
      costMicros: 6_000,
    },
  ]);
  const foreign = { asked: { keyId: payer.keyId }, allowed: { keyId: randomUUID() } };
  expect((await usage.find({ groupBy: ['key'], ...foreign })).usage).toEqual([]);
});

it('settles a request that ended while it still waited for its reservation', async () => {
  const budgetId = await madeBudget(db.database, { limit: 100, subject: subject() });
  const budgets = await started();
  const meter = budgets.meter(payer, 'r');
  const reserving = meter.reserve(worst(60));
  meter.settle(used(0, true));
  await reserving;
  await vi.waitFor(
    async () => expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: 0, held: 0 }),
    soon,
  );
});
