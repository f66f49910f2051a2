import { latencyTotal } from '#libs/kernel';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { OutcomeCounters, quantileOf } from './outcome-counters.js';
import { servedVersion, type LiveArm } from '../routes/route-table.js';

const log = pino({ level: 'silent' });
const manifest = {
  schemaVersion: 1 as const,
  name: 'tone',
  version: '2',
  format: 'onnx' as const,
  files: [],
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
};
const arm = (revision = 4, name = 'candidate'): LiveArm => ({
  endpoint: 'tone',
  revision,
  name,
  weight: 5,
  version: servedVersion(manifest, ''),
  bucketEnd: 500,
});
const startSecond = 1_800_000_000;

function setUp(database: ConstructorParameters<typeof OutcomeCounters>[0]['database']) {
  const time = { second: startSecond };
  const counters = new OutcomeCounters({ database, log, nowMs: () => time.second * 1_000 });
  return { counters, time };
}

interface Row {
  revision: number;
  arm: string;
  second: Date;
  requests: number;
  errors: number;
  latency: Record<string, number>;
}
const select =
  'SELECT revision, arm, second, requests, errors, latency FROM outcome_counters ORDER BY second, revision, arm';

it('writes each second once it is complete, as absolute numbers that a second write leaves alone', async () => {
  await using db = await freshDatabase();
  const { counters, time } = setUp(db.database);
  await using _owner = counters;
  const counter = counters.counterOf(arm());
  counter.count('ok', 1, time.second);
  counter.count('ok', 1, time.second);
  counter.count('model', 30, time.second);
  await counters.flush();
  expect(await db.database.query(select)).toEqual([]);
  time.second += 1;
  counter.count('ok', 2, time.second);
  await counters.flush();
  await counters.flush();
  const [row, ...others] = await db.database.query<Row>(select);
  expect(others).toEqual([]);
  expect(row).toMatchObject({
    revision: 4,
    arm: 'candidate',
    second: new Date(startSecond * 1_000),
    requests: 3,
    errors: 1,
  });
  expect(latencyTotal(row!.latency)).toBe(3);
});

it('leaves callers mistakes and overload out of the evidence about an arm, but in the totals', async () => {
  await using db = await freshDatabase();
  const { counters, time } = setUp(db.database);
  await using _owner = counters;
  const counter = counters.counterOf(arm());
  counter.count('caller', 1, time.second);
  counter.count('overload', 1, time.second);
  time.second += 1;
  await counters.flush();
  expect(await db.database.query(select)).toEqual([]);
  expect([...counters.totals][0]?.outcomes).toEqual({ ok: 0, cached: 0, caller: 1, model: 0, overload: 1 });
});

it('keeps seconds while PostgreSQL is away and writes them later, each to its own second', async () => {
  await using db = await freshDatabase();
  const { counters, time } = setUp(db.database);
  await using _owner = counters;
  const counter = counters.counterOf(arm());
  await db.takeAway();
  for (let index = 0; index < 3; index += 1, time.second += 1) {
    for (let count = 0; count <= index; count += 1) counter.count('ok', 1, time.second);
    await counters.flush();
  }
  await db.giveBack();
  await counters.flush();
  const rows = await vi.waitFor(async () => db.database.query<Row>(select));
  expect(rows.map((row) => row.requests)).toEqual([1, 2, 3]);
});

it('does not keep more than 15 minutes', async () => {
  await using db = await freshDatabase();
  const { counters, time } = setUp(db.database);
  await using _owner = counters;
  const counter = counters.counterOf(arm());
  counter.count('ok', 1, time.second);
  time.second += 1_000;
  counter.count('ok', 1, time.second);
  time.second += 1;
  await counters.flush();
  expect(await db.database.query<Row>(select)).toHaveLength(1);
});

it('writes also the running second when it ends, and never mixes processes', async () => {
  await using db = await freshDatabase();
  for (const requests of [1, 2]) {
    const { counters, time } = setUp(db.database);
    for (let count = 0; count < requests; count += 1) counters.counterOf(arm()).count('ok', 1, time.second);
    await counters[Symbol.asyncDispose]();
  }
  const rows = await db.database.query<{ requests: number; processes: number }>(
    'SELECT sum(requests)::int AS requests, count(DISTINCT process)::int AS processes FROM outcome_counters',
  );
  expect(rows).toEqual([{ requests: 3, processes: 2 }]);
});

it('has one counter per arm and revision, however often the arm is read anew, and one total over revisions', async () => {
  await using db = await freshDatabase();
  const { counters, time } = setUp(db.database);
  await using _owner = counters;
  expect(counters.counterOf(arm())).toBe(counters.counterOf(arm()));
  counters.counterOf(arm(4)).count('ok', 10, time.second);
  counters.counterOf(arm(5)).count('ok', 10, time.second);
  const totals = [...counters.totals];
  expect(totals).toHaveLength(1);
  expect(totals[0]?.outcomes.ok).toBe(2);
  expect(quantileOf(totals[0]!.latency, 0.5)! / 10).toBeCloseTo(1, 1);
});

it('forgets what is older than a day', async () => {
  await using db = await freshDatabase();
  await db.database.query(
    `INSERT INTO outcome_counters SELECT gen_random_uuid(), 'tone', 1, 'stable', '1', now() - interval '25 hours', 1, 0, '{}'`,
  );
  const { counters } = setUp(db.database);
  await using _owner = counters;
  await counters.flush();
  expect(await db.database.query(select)).toEqual([]);
});
