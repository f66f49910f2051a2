import type { Database } from '#libs/store';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { RecordSpool } from './record-spool.js';
import type { RequestRecord } from './request-record.js';
import { RequestRecorder } from './request-recorder.js';

const log = pino({ level: 'silent' });

async function temporaryFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-spool-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

async function recorderOn(database: Database, folder: string, maxBytes?: number) {
  const spool = await RecordSpool.open({ folder, log, ...(maxBytes === undefined ? {} : { maxBytes }) });
  return { spool, recorder: new RequestRecorder({ database, spool, log, flushEveryMs: 20 }) };
}

const record = (part: Partial<RequestRecord> = {}): RequestRecord => ({
  requestId: randomUUID(),
  atMs: Date.now(),
  keyId: randomUUID(),
  endpoint: 'tone',
  model: 'tone',
  version: '1',
  arm: 'stable',
  revision: 1,
  status: 200,
  errorCode: undefined,
  rows: 1,
  bytesIn: 10,
  bytesOut: 20,
  queueMs: 0.25,
  modelMs: 1.5,
  totalMs: 2,
  traceId: undefined,
  ...part,
});

const idsIn = async (database: Database): Promise<string[]> =>
  (await database.query<{ id: string }>('SELECT request_id AS id FROM request_records')).map(({ id }) => id);

it('writes every column as it was recorded, whatever the texts hold', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const { recorder } = await recorderOn(db.database, place.folder);
  await using _owner = recorder;
  const one = record({
    endpoint: 'NULL',
    version: 'a"b\\c,{}',
    arm: '',
    errorCode: 'SLU_X',
    traceId: 'f'.repeat(32),
    atMs: 1_800_000_000_123,
  });
  const two = record({ keyId: undefined });
  recorder.record(one);
  recorder.record(two);
  await recorder.flush();
  const rows = await db.database.query(
    `SELECT request_id AS "requestId", extract(epoch FROM at)::float8 * 1000 AS "atMs", key_id AS "keyId", endpoint, model, version, arm,
            revision, status, error_code AS "errorCode", rows, bytes_in AS "bytesIn", bytes_out AS "bytesOut", queue_ms AS "queueMs",
            model_ms AS "modelMs", total_ms AS "totalMs", trace_id AS "traceId" FROM request_records WHERE request_id = $1`,
    [one.requestId],
  );
  expect(rows).toEqual([one]);
  const [other] = await db.database.query(
    'SELECT key_id, error_code, trace_id FROM request_records WHERE request_id = $1',
    [two.requestId],
  );
  expect(other).toEqual({ key_id: null, error_code: null, trace_id: null });
});

it('writes what a language model used, and nothing there for records of before, spooled ones included', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const streamed = record({
    outcome: 'ok',
    language: { isStreamed: true, promptTokens: 12, completionTokens: 0, firstTokenMs: 8.5 },
  });
  const halfKnown = record({
    outcome: 'caller',
    language: { isStreamed: false, promptTokens: undefined, completionTokens: 3, firstTokenMs: undefined },
  });
  const old = record();
  // As an older release wrote it: with none of the newer fields.
  const name = `2026-01-01T000000.000Z-000000-${randomUUID()}.ndjson`;
  await writeFile(join(place.folder, name), [old, halfKnown].map((each) => JSON.stringify(each)).join('\n'));
  const { recorder, spool } = await recorderOn(db.database, place.folder);
  await using _owner = recorder;
  recorder.record(streamed);
  await recorder.flush();
  expect(spool.size.batches).toBe(0);
  const rows = await db.database.query<{ id: string }>(
    `SELECT request_id AS id, outcome, is_streamed, prompt_tokens, completion_tokens, first_token_ms FROM request_records`,
  );
  const of = (id: string) => rows.find((row) => row.id === id);
  expect(of(streamed.requestId)).toMatchObject({
    outcome: 'ok',
    is_streamed: true,
    prompt_tokens: 12,
    completion_tokens: 0,
    first_token_ms: 8.5,
  });
  const unknown = { prompt_tokens: null, first_token_ms: null };
  expect(of(halfKnown.requestId)).toMatchObject({
    ...unknown,
    outcome: 'caller',
    is_streamed: false,
    completion_tokens: 3,
  });
  expect(of(old.requestId)).toMatchObject({ ...unknown, outcome: null, is_streamed: null, completion_tokens: null });
});

it('loses and doubles nothing over an outage in the middle of the traffic', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const { recorder, spool } = await recorderOn(db.database, place.folder);
  await using _owner = recorder;
  const sent: string[] = [];
  const send = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      const made = record();
      sent.push(made.requestId);
      recorder.record(made);
    }
  };
  send(2_500);
  const cut = db.takeAway();
  send(1_000);
  await cut;
  send(500);
  await recorder.flush();
  expect(spool.size.batches).toBeGreaterThan(0);
  send(10);
  await recorder.flush();
  await db.giveBack();
  await vi.waitFor(() => expect(spool.size.batches).toBe(0), { timeout: 15_000, interval: 50 });
  await recorder.flush();
  expect((await idsIn(db.database)).sort()).toEqual(sent.sort());
  expect(await readdir(place.folder)).toEqual([]);
});

it('writes what an earlier life left in the spool, and a batch whose first answer was lost only once', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const left = { id: randomUUID(), records: [record(), record()] };
  await (await RecordSpool.open({ folder: place.folder, log })).keep(left);
  {
    const { recorder } = await recorderOn(db.database, place.folder);
    await using _owner = recorder;
    await recorder.flush();
  }
  expect(await idsIn(db.database)).toHaveLength(2);
  // The same batch again, as after a crash between the commit and the removal of the file.
  await (await RecordSpool.open({ folder: place.folder, log })).keep(left);
  const { recorder, spool } = await recorderOn(db.database, place.folder);
  await using _owner = recorder;
  await recorder.flush();
  expect(spool.size.batches).toBe(0);
  expect(await idsIn(db.database)).toHaveLength(2);
});

it('sets a batch aside that can never be written, and goes on with the next', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const first = await RecordSpool.open({ folder: place.folder, log });
  await first.keep({ id: randomUUID(), records: [record({ requestId: 'not a uuid' })] });
  await writeFile(join(place.folder, `2000-half-${randomUUID()}.ndjson`), '{"requestId": ');
  await first.keep({ id: randomUUID(), records: [record()] });
  const { recorder, spool } = await recorderOn(db.database, place.folder);
  await using _owner = recorder;
  await recorder.flush();
  expect(await idsIn(db.database)).toHaveLength(1);
  expect([spool.size.batches, spool.droppedBatches]).toEqual([0, 2]);
  expect((await readdir(place.folder)).every((name) => name.endsWith('.refused'))).toBe(true);
});

it('keeps everything on disk when it stops while PostgreSQL is away', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const { recorder } = await recorderOn(db.database, place.folder);
  await db.takeAway();
  recorder.record(record());
  await recorder[Symbol.asyncDispose]();
  expect((await RecordSpool.open({ folder: place.folder, log })).size.batches).toBe(1);
  await db.giveBack();
});

it('holds the spool below its size by dropping the oldest, loudly', async () => {
  await using place = await temporaryFolder();
  const lines: { level: number }[] = [];
  const loud = pino({ level: 'error' }, { write: (line: string) => lines.push(JSON.parse(line) as { level: number }) });
  const spool = await RecordSpool.open({ folder: place.folder, log: loud, maxBytes: 2_000 });
  const batches = Array.from({ length: 10 }, () => ({ id: randomUUID(), records: [record(), record()] }));
  for (const batch of batches) await spool.keep(batch);
  expect(spool.size.bytes).toBeLessThanOrEqual(2_000);
  expect(spool.size.batches).toBeGreaterThan(0);
  expect((await spool.oldest())?.id).toBe(batches.at(-spool.size.batches)?.id);
  expect(lines).toHaveLength(10 - spool.size.batches);
});

it('counts as lost what neither the database nor the disk takes, and goes on', async () => {
  await using place = await temporaryFolder();
  const spool = await RecordSpool.open({ folder: join(place.folder, 'spool'), log });
  await rm(join(place.folder, 'spool'), { recursive: true });
  await spool.keep({ id: randomUUID(), records: [record()] });
  expect([spool.size.batches, spool.droppedBatches]).toEqual([0, 1]);
});

it('deletes records older than the retention, and no others', async () => {
  await using db = await freshDatabase();
  await using place = await temporaryFolder();
  const { recorder } = await recorderOn(db.database, place.folder);
  await using _owner = recorder;
  const young = record();
  recorder.record(young);
  recorder.record(record({ atMs: Date.now() - 31 * 86_400_000 }));
  await recorder.flush();
  await recorder.forgetOld();
  expect(await idsIn(db.database)).toEqual([young.requestId]);
});
