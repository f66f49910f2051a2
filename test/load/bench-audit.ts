import { appendAudits, AuditKeys, Chainer, RecentRows, sealAuditRows, type AuditEvent } from '#libs/audit';
import { defaultTenantId } from '#libs/access';
import { createLogger, EmbeddedPostgres } from '#libs/platform';
import { Database } from '#libs/store';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import type { BenchOptions } from './bench-options.ts';
import { count, median, say } from './bench-report.ts';

/** An act is a transaction with a row; refusals and reads come as several. */
const rowsOfTransactions = [1, 10];
const clients = 16;
/** Between two looks of the chainer, as in production. */
const pauseMs = 100;
const goalRowsPerSecond = 5_000;
const goalLoss = 0.25;

/** The audit trail: rows per second into one chain, all of them linked, beside plain inserts of the same rows. */
export async function benchAudit({ rounds, secondsPerRound }: BenchOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-audit-'));
  const postgres = await EmbeddedPostgres.start({ folder });
  try {
    await postgres.createDatabase('sluice');
    await using database = await Database.connect({
      url: postgres.url('sluice'),
      applicationName: 'bench',
      poolSize: clients + 4,
    });
    await database.migrate();
    await database.query(plainTable);
    await database.query(`INSERT INTO people (id, tenant_id, name, created_by) VALUES ($1, $2, 'bench', 'system')`, [
      personId,
      defaultTenantId,
    ]);
    say(`audit: ${clients} clients, PostgreSQL with fsync on the same machine`);
    for (const rows of rowsOfTransactions) await bench(database, rows, rounds, secondsPerRound);
  } finally {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function bench(database: Database, rowsPerTransaction: number, rounds: number, seconds: number): Promise<void> {
  const keys = new AuditKeys(randomBytes(32));
  const log = createLogger({ service: 'bench', level: 'warn' });
  const recent = new RecentRows();
  await sealAuditRows(database, { keys, recent });
  const chainer = new Chainer({ database, keys, log, recent });
  const plain: number[] = [];
  const chained: number[] = [];
  const load = { rows: rowsPerTransaction, seconds };
  const insert = (): Promise<void> => insertPlainly(database, events(rowsPerTransaction));
  await during({ ...load, seconds: 1 }, insert);
  for (let round = 0; round < rounds; round += 1) {
    plain.push(await during(load, insert));
    chained.push(await duringChained(database, chainer, load));
  }
  await chainer[Symbol.asyncDispose]();
  const [{ waiting } = { waiting: -1 }] = await database.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM audit_events e WHERE NOT EXISTS (SELECT 1 FROM audit_links l WHERE l.event_seq = e.seq)`,
  );
  const loss = 1 - median(chained) / median(plain);
  say(`  ${rowsPerTransaction} per transaction`);
  say(`  plain inserts of the same rows  ${count(median(plain)).padStart(8)} rows/s`);
  say(
    `  appended, sealed and linked     ${count(median(chained)).padStart(8)} rows/s   (goal ${count(goalRowsPerSecond)})`,
  );
  say(`  loss ${(loss * 100).toFixed(1)} % (goal at most ${goalLoss * 100} %), rows left without a link: ${waiting}`);
}

interface Load {
  /** Per transaction. */
  rows: number;
  seconds: number;
}

/** Rows that were linked by the end, over the time that it took until the last one was. */
async function duringChained(database: Database, chainer: Chainer, load: Load): Promise<number> {
  const startMs = performance.now();
  const stop = new AbortController();
  const linking = (async () => {
    while (!stop.signal.aborted) {
      await chainer.flush();
      // What is left at the end is linked at once: waiting for nothing is no part of the rate.
      await pause(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  const rate = await during(load, () => database.run((tx) => appendAudits(tx, events(load.rows))));
  stop.abort();
  await linking;
  await chainer.flush();
  return (rate * load.seconds * 1_000) / (performance.now() - startMs);
}

/** @returns rows per second */
async function during({ rows, seconds }: Load, insert: () => Promise<void>): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  let inserted = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < endMs) {
        await insert();
        inserted += rows;
      }
    }),
  );
  return inserted / seconds;
}

const personId = '00000000-0000-4000-8000-00000000000a';

const events = (rows: number): AuditEvent[] =>
  Array.from({ length: rows }, (_, at) => ({
    actor: `person:${personId}`,
    action: 'dataset.read',
    resource: `dataset:ward-${at}`,
    purpose: 'training',
    outcome: 'done',
    requestId: randomUUID(),
    detail: { rows: 250, columns: 12 },
  }));

/** The same columns and the same ways to find a row; neither seal nor link. */
const plainTable = `CREATE TABLE plain_events (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), id uuid NOT NULL UNIQUE,
  actor text NOT NULL, on_behalf_of text, action text NOT NULL, resource text NOT NULL, purpose text, outcome text NOT NULL,
  request_id text, tenant_id text, detail jsonb NOT NULL);
  CREATE INDEX ON plain_events (actor, seq); CREATE INDEX ON plain_events (resource, seq);
  CREATE INDEX ON plain_events USING brin (at);
  CREATE INDEX ON plain_events ((detail->>'subject')) WHERE detail->>'subject' IS NOT NULL`;

async function insertPlainly(database: Database, rows: readonly AuditEvent[]): Promise<void> {
  const width = 9;
  const places = rows.map(
    (_row, at) => `(${Array.from({ length: width }, (_, column) => `$${at * width + column + 1}`).join(', ')})`,
  );
  await database.run((tx) =>
    tx.query(
      `INSERT INTO plain_events (id, actor, action, resource, purpose, outcome, request_id, tenant_id, detail) VALUES ${places.join(', ')}`,
      rows.flatMap((row) => [
        randomUUID(),
        row.actor,
        row.action,
        row.resource,
        row.purpose,
        row.outcome,
        row.requestId,
        defaultTenantId,
        JSON.stringify(row.detail),
      ]),
    ),
  );
}
