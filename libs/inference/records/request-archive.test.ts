import { createLogger } from '#libs/platform';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { RecordSpool } from './record-spool.js';
import { RequestArchive, type RequestScope } from './request-archive.js';
import type { RequestRecord } from './request-record.js';
import { RequestRecorder } from './request-recorder.js';

const log = createLogger({ service: 'test', level: 'silent' });
const [tenantA, tenantB, keyA] = [randomUUID(), randomUUID(), randomUUID()];
const nowMs = Date.now();

let db: FreshDatabase;
let archive: RequestArchive;
let records: RequestRecord[];

/** The id that a request gets at that time. */
const idAt = (atMs: number): string => {
  const time = atMs.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
};

beforeAll(async () => {
  db = await freshDatabase();
  archive = new RequestArchive(db.database);
  // Many in one millisecond: a page must not lose one of them.
  records = Array.from({ length: 50 }, (_, index) => {
    const atMs = nowMs - Math.floor(index / 10) * 1_000;
    return {
      requestId: idAt(atMs),
      atMs,
      keyId: index % 5 === 0 ? keyA : randomUUID(),
      tenantId: index % 2 === 0 ? tenantA : tenantB,
      projectId: randomUUID(),
      subject: index === 7 ? randomUUID() : undefined,
      endpoint: index % 3 === 0 ? 'tone' : 'chat',
      model: 'm',
      version: '1',
      arm: 'stable',
      revision: 1,
      status: index === 3 ? 504 : 200,
      errorCode: index === 3 ? 'SLU_INFERENCE_TIMEOUT' : undefined,
      rows: 1,
      bytesIn: 1,
      bytesOut: 1,
      queueMs: 0,
      modelMs: 1,
      totalMs: 2,
      traceId: undefined,
      outcome: index === 3 ? 'model' : 'ok',
    } satisfies RequestRecord;
  });
  const folder = await mkdtemp(join(tmpdir(), 'sluice-archive-'));
  const spool = await RecordSpool.open({ folder, log });
  await using recorder = new RequestRecorder({ database: db.database, spool, log });
  for (const record of records) recorder.record(record);
  await recorder.flush();
  await rm(folder, { recursive: true });
});
afterAll(() => db[Symbol.asyncDispose]());

async function all(filter: object, scope: RequestScope = {}): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await archive.page(filter, scope, 7, cursor);
    expect(page.requests.length).toBeLessThanOrEqual(7);
    ids.push(...page.requests.map(({ requestId }) => requestId));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return ids;
}

const idsOf = (isWanted: (record: RequestRecord) => boolean): string[] =>
  records.filter(isWanted).map(({ requestId }) => requestId);

it('gives each record once over all pages, the newest first', async () => {
  const ids = await all({});
  expect(new Set(ids)).toEqual(new Set(idsOf(() => true)));
  expect(ids).toHaveLength(records.length);
  const times = ids.map((id) => records.find(({ requestId }) => requestId === id)!.atMs);
  expect(times).toEqual([...times].sort((one, other) => other - one));
});

it('narrows by each filter', async () => {
  const subject = records[7]!.subject;
  const cases: [object, (record: RequestRecord) => boolean][] = [
    [{ endpoint: 'tone' }, (each) => each.endpoint === 'tone'],
    [{ keyId: keyA }, (each) => each.keyId === keyA],
    [{ subject }, (each) => each.subject === subject],
    [{ outcome: 'model', status: 504, errorCode: 'SLU_INFERENCE_TIMEOUT' }, (each) => each.status === 504],
    [{ since: new Date(nowMs - 1_000), until: new Date(nowMs - 1_000) }, (each) => each.atMs === nowMs - 1_000],
    [{ version: '2' }, () => false],
  ];
  for (const [filter, isWanted] of cases) expect((await all(filter)).sort()).toEqual(idsOf(isWanted).sort());
});

it('shows nothing beyond the scope, neither in a list nor by an id that somebody knows', async () => {
  expect((await all({}, { tenantId: tenantA })).sort()).toEqual(idsOf((each) => each.tenantId === tenantA).sort());
  const own = { tenantId: tenantA, keyId: keyA };
  expect(await all({}, own)).toHaveLength(5);
  const foreign = records.find((each) => each.tenantId === tenantB)!.requestId;
  await expect(archive.get(foreign, { tenantId: tenantA })).rejects.toMatchObject({
    code: 'SLU_REQUEST_RECORD_UNKNOWN',
  });
  expect((await archive.get(foreign, { tenantId: tenantB })).requestId).toBe(foreign);
});

it.each(['', 'x', Buffer.from('2026-13-01T00:00:00.000000Z 1').toString('base64url')])(
  'refuses a cursor that is none: %s',
  async (cursor) => {
    await expect(archive.page({}, {}, 7, cursor)).rejects.toMatchObject({ code: 'SLU_REQUEST_INVALID' });
  },
);

it('finds a record by its id in the place of its day alone', async () => {
  const plan = await db.database.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT * FROM request_records WHERE request_id = $1 AND at >= $2 AND at <= $3`,
    [records[0]!.requestId, new Date(nowMs - 60_000), new Date(nowMs + 60_000)],
  );
  const scans = plan.filter((line) => / on request_records_/.test(line['QUERY PLAN']));
  expect(scans.length).toBeLessThanOrEqual(2);
  expect((await archive.get(records[0]!.requestId, {})).requestId).toBe(records[0]!.requestId);
});
