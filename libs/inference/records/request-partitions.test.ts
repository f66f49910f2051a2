import { days } from '#libs/kernel';
import { createLogger } from '#libs/platform';
import { Database } from '#libs/store';
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { RequestPartitions } from './request-partitions.js';

const log = createLogger({ service: 'test', level: 'silent' });
const keep = (database: Database, retentionSeconds = days(30)) =>
  new RequestPartitions({ database, log, retentionSeconds }).keep();

const insert = (database: Database, at: string, id = randomUUID()): Promise<unknown[]> =>
  database.query(
    `INSERT INTO request_records (request_id, at, endpoint, model, version, arm, revision, status, rows, bytes_in,
       bytes_out, queue_ms, model_ms, total_ms)
     VALUES ($1, ${at}, 'tone', 'tone', '1', 'stable', 1, 200, 1, 1, 1, 0, 0, 0)`,
    [id],
  );

const placesOf = async (database: Database): Promise<string[]> =>
  (
    await database.query<{ place: string }>(
      'SELECT DISTINCT tableoid::regclass::text AS place FROM request_records ORDER BY 1',
    )
  ).map(({ place }) => place);

const dayName = async (database: Database, at: string): Promise<string> =>
  (
    await database.query<{ name: string }>(
      `SELECT 'request_records_d' || to_char((${at}) AT TIME ZONE 'UTC', 'YYYYMMDD') AS name`,
    )
  )[0]!.name;

it('makes the days to come once, and puts each record into the place of its day', async () => {
  await using db = await freshDatabase();
  expect((await keep(db.database)).made).toHaveLength(3);
  expect((await keep(db.database)).made).toEqual([]);
  await insert(db.database, `now() + interval '2 days'`);
  expect(await placesOf(db.database)).toEqual([await dayName(db.database, `now() + interval '2 days'`)]);
});

it('loses nothing of a day that has no place, and moves it there when it has one', async () => {
  await using db = await freshDatabase();
  await insert(db.database, `now() + interval '3 days'`);
  await insert(db.database, `now() + interval '40 days'`);
  expect(await placesOf(db.database)).toEqual(['request_records_rest']);
  await keep(db.database);
  const day = await dayName(db.database, `now() + interval '3 days'`);
  expect(await placesOf(db.database)).toEqual([day, 'request_records_rest']);
});

it('drops a day whole when its last moment is past the retention, and not before', async () => {
  await using db = await freshDatabase();
  await keep(db.database);
  await db.database.query(
    `ALTER TABLE request_records DETACH PARTITION request_records_before; DROP TABLE request_records_before`,
  );
  for (const age of [2, 3]) {
    const name = await dayName(db.database, `now() - interval '${age} days'`);
    await db.database.query(
      `CREATE TABLE ${name} PARTITION OF request_records
       FOR VALUES FROM ('${utcDay(age)} 00:00:00+00') TO ('${utcDay(age - 1)} 00:00:00+00')`,
    );
    await insert(db.database, `now() - interval '${age} days'`);
  }
  const [young, old] = await Promise.all([2, 3].map((age) => dayName(db.database, `now() - interval '${age} days'`)));
  const { dropped } = await keep(db.database, days(2));
  expect(dropped).toEqual([old]);
  expect(await placesOf(db.database)).toEqual([young]);
});

it('takes the table of before in as it is, and deletes what is too old there row by row', async () => {
  await using db = await freshDatabase();
  await insert(db.database, `now() - interval '29 days'`);
  await insert(db.database, `now() - interval '31 days'`);
  expect(await placesOf(db.database)).toEqual(['request_records_before']);
  expect((await keep(db.database)).dropped).toEqual([]);
  const [row] = await db.database.query<{ count: string }>('SELECT count(*) FROM request_records');
  expect(row!.count).toBe('1');
});

it('makes places and lets old records go as the application too, which owns none of them', async () => {
  await using db = await freshDatabase();
  const url = await db.applicationUrl();
  await using application = await Database.connect({ url, applicationName: 'test', isRestricted: true });
  expect((await keep(application)).made).toHaveLength(3);
  await insert(application, `now() - interval '29 days'`);
  await insert(application, `now() - interval '31 days'`);
  const far = `now() - interval '60 days'`;
  await db.database.query('ALTER TABLE request_records DETACH PARTITION request_records_before');
  await db.database.query(
    `CREATE TABLE ${await dayName(db.database, far)} PARTITION OF request_records
     FOR VALUES FROM ('${utcDay(60)} 00:00:00+00') TO ('${utcDay(59)} 00:00:00+00')`,
  );
  await insert(application, far);
  await insert(application, `now() - interval '40 days'`);
  expect((await keep(application)).dropped).toEqual([await dayName(db.database, far)]);
  // What fitted in no day goes row by row.
  expect(await application.query('SELECT 1 FROM request_records')).toEqual([]);
});

it('lets one process work at a time', async () => {
  await using db = await freshDatabase();
  const rounds = await Promise.all([1, 2, 3, 4].map(() => keep(db.database)));
  await keep(db.database);
  expect(rounds.flatMap(({ made }) => made).length).toBeLessThanOrEqual(3);
  const [row] = await db.database.query<{ count: string }>(
    `SELECT count(*) FROM pg_inherits WHERE inhparent = 'request_records'::regclass`,
  );
  expect(Number(row!.count)).toBe(5);
});

const utcDay = (daysAgo: number): string => new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10);
