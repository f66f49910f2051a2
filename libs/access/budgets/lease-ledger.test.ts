import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { madeBudget, periodOf } from '../../../test/support/budgets.js';
import { LeaseLedger } from './lease-ledger.js';
import { giveUpLostProcesses } from './lost-processes.js';
import type { Settlement } from './settlement.js';

let db: FreshDatabase;
beforeAll(async () => void (db = await freshDatabase()));
afterAll(() => db[Symbol.asyncDispose]());

interface ModelProcess {
  id: string;
  sequence: number;
  granted: number;
  settled: number;
  returned: number;
  last: Settlement | undefined;
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('grant' as const), by: fc.nat(2), wish: fc.nat(60) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      by: fc.nat(2),
      spend: fc.nat(100),
      giveBack: fc.nat(100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), by: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), by: fc.nat(2) }) },
);

it('keeps spent and held within the limit, and exactly what was said, whatever the processes do', async () => {
  const ledger = new LeaseLedger(db.database);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 300 }), async (steps, limit) => {
      const budgetId = await madeBudget(db.database, { limit });
      const processes: ModelProcess[] = [0, 1, 2].map(() => ({
        id: randomUUID(),
        sequence: 0,
        granted: 0,
        settled: 0,
        returned: 0,
        last: undefined,
      }));
      for (const { id } of processes) await ledger.register(id);
      const lost = new Set<string>();
      for (const taken of steps) {
        const process = processes[taken.by]!;
        const spare = process.granted - process.settled - process.returned;
        switch (taken.kind) {
          case 'grant': {
            const grant = await ledger.grant({
              processId: process.id,
              budgetId,
              wishes: [taken.wish],
              perSecond: 5,
              lease: { startsAtMs: 0, granted: process.granted, spare },
            });
            expect(grant!.granted[0]).toBe(taken.wish <= grant!.left + spare);
            process.granted = grant!.leaseGranted;
            lost.delete(process.id);
            break;
          }
          case 'settle': {
            const settled = Math.min(taken.spend, spare);
            const returned = Math.min(taken.giveBack, spare - settled);
            process.sequence += 1;
            const line = { budgetId, startsAtMs: 0, settled, returned, overrun: 0 };
            process.last = { processId: process.id, sequence: process.sequence, leases: [line], soft: [], usage: [] };
            // A process that holds nothing has nothing to settle.
            if (process.granted === 0) process.last = { ...process.last, leases: [] };
            await ledger.settle(process.last);
            process.settled += settled;
            process.returned += returned;
            lost.delete(process.id);
            break;
          }
          case 'repeat':
            if (process.last === undefined) break;
            await ledger.settle(process.last);
            lost.delete(process.id);
            break;
          case 'lose':
            await db.database.query(`UPDATE budget_processes SET seen_at = now() - interval '1 hour' WHERE id = $1`, [
              process.id,
            ]);
            if ((await giveUpLostProcesses(db.database, 600)).includes(process.id)) lost.add(process.id);
            break;
        }
        const rest = (of: ModelProcess): number => of.granted - of.settled - of.returned;
        const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0);
        const writtenOff = sum(processes.filter(({ id }) => lost.has(id)).map(rest));
        const spent = sum(processes.map(({ settled }) => settled)) + writtenOff;
        const held = sum(processes.filter(({ id }) => !lost.has(id)).map(rest));
        const period = await periodOf(db.database, budgetId);
        expect(period).toMatchObject({ spent, held, writtenOff });
        expect(spent + held).toBeLessThanOrEqual(limit);
      }
      for (const { id } of processes) await ledger.end(id);
      const period = await periodOf(db.database, budgetId);
      expect(period).toMatchObject({ spent: processes.reduce((total, { settled }) => total + settled, 0), held: 0 });
    }),
    { numRuns: 25 },
  );
});

it('gives out no unit twice when four processes ask at the same time', async () => {
  const ledger = new LeaseLedger(db.database);
  const budgetId = await madeBudget(db.database, { limit: 100 });
  const ids = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  for (const id of ids) await ledger.register(id);
  const grants = await Promise.all(
    ids.flatMap((processId) =>
      Array.from({ length: 8 }, () =>
        ledger.grant({
          processId,
          budgetId,
          wishes: [7],
          perSecond: 0,
          lease: { startsAtMs: 0, granted: 0, spare: 0 },
        }),
      ),
    ),
  );
  // Each process says that it knows of nothing, so what it was granted before is spare for the next.
  expect(grants.every((grant) => grant!.granted[0])).toBe(true);
  expect(await periodOf(db.database, budgetId)).toMatchObject({ held: 28 });
});

it('frees the grant whose answer was lost for the next wish of the same process', async () => {
  const ledger = new LeaseLedger(db.database);
  const budgetId = await madeBudget(db.database, { limit: 10 });
  const processId = randomUUID();
  await ledger.register(processId);
  const lease = { startsAtMs: 0, granted: 0, spare: 0 };
  await ledger.grant({ processId, budgetId, wishes: [10], perSecond: 0, lease });
  const again = await ledger.grant({ processId, budgetId, wishes: [10], perSecond: 0, lease });
  expect(again).toMatchObject({ granted: [true], leaseGranted: 10 });
});

it('charges a settlement that comes after the period to the period of its reservation', async () => {
  const ledger = new LeaseLedger(db.database);
  const budgetId = await madeBudget(db.database, { limit: 100, period: 'day', timeZone: 'Asia/Kathmandu' });
  const processId = randomUUID();
  await ledger.register(processId);
  const grant = await ledger.grant({ processId, budgetId, wishes: [10], perSecond: 0, lease: undefined });
  // Midnight in Kathmandu is at a quarter past six in the evening, UTC.
  expect(new Date(grant!.startsAtMs).toISOString()).toMatch(/T18:15:00.000Z$/);
  const earlier = grant!.startsAtMs - 86_400_000;
  await db.database.query(`INSERT INTO budget_periods (budget_id, starts_at, ends_at, held) VALUES ($1, $2, $3, 5)`, [
    budgetId,
    new Date(earlier),
    new Date(grant!.startsAtMs),
  ]);
  await db.database.query(
    'INSERT INTO budget_leases (process_id, budget_id, starts_at, granted) VALUES ($1, $2, $3, 5)',
    [processId, budgetId, new Date(earlier)],
  );
  const line = { budgetId, startsAtMs: earlier, settled: 4, returned: 1, overrun: 0 };
  await ledger.settle({ processId, sequence: 1, leases: [line], soft: [], usage: [] });
  expect(await periodOf(db.database, budgetId, new Date(earlier))).toMatchObject({ spent: 4, held: 0 });
  expect(await periodOf(db.database, budgetId, new Date(grant!.startsAtMs))).toMatchObject({ spent: 0, held: 10 });
});

it('warns once for each threshold, with an audit row in the same transaction', async () => {
  const ledger = new LeaseLedger(db.database);
  const budgetId = await madeBudget(db.database, { limit: 100, isHard: false, thresholds: [50, 100] });
  const processId = randomUUID();
  await ledger.register(processId);
  for (const [index, amount] of [40, 20, 5, 200].entries())
    await ledger.settle({
      processId,
      sequence: index + 1,
      leases: [],
      soft: [{ budgetId, atMs: Date.now(), amount }],
      usage: [],
    });
  const rows = await db.database.query<{ detail: { threshold: number; spent: number } }>(
    `SELECT detail FROM audit_events WHERE action = 'budget.threshold' AND resource = $1 ORDER BY (detail->>'threshold')::int`,
    [`budget:${budgetId}`],
  );
  expect(rows.map(({ detail }) => [detail.threshold, detail.spent])).toEqual([
    [50, 60],
    [100, 265],
  ]);
});
