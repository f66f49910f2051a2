import { createLogger } from '#libs/platform';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Database } from '#libs/store';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import { FolderPlace } from './adapters/folder/index.js';
import { auditExport } from './audit-export.js';
import { AuditKeys } from './audit-keys.js';
import { AuditPurge } from './audit-purge.js';
import { appendAudit, sealAuditRows } from './audit-trail.js';
import { AuditVerifier } from './audit-verifier.js';
import { Chainer } from './chainer.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { registerAuditKey } from './key-register.js';
import { LegalHolds } from './legal-holds.js';
import { verifyOffline } from './offline-verify.js';

const log = createLogger({ service: 'test', level: 'silent' });
const oldKey = randomBytes(32);
const keys = new AuditKeys(oldKey);
const longAgo = new Date('2018-03-01T10:00:00Z');

let db: FreshDatabase;
let folder: string;
let now: Date;
let made: ReturnType<typeof trail>;
beforeEach(async () => {
  db = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-audit-'));
  now = longAgo;
  made = trail(keys);
  await made.begin();
  for (let at = 1; at <= 10; at += 1) await append(`thing:${at}`, at % 2 === 0 ? 'key:even' : 'key:odd');
  now = new Date();
  await append('thing:new', 'key:odd');
  await made.checkpoints.write();
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const append = (resource: string, actor: string) =>
  db.database.run((tx) => appendAudit(tx, { actor, action: 'thing.do', resource, outcome: 'done' }));

function trail(by: AuditKeys, database = db.database) {
  const clock = { now: () => now, monotonicMs: () => performance.now() };
  const place = new FolderPlace(folder);
  const chainer = new Chainer({ database, keys: by, log });
  return {
    chainer,
    begin: async () => {
      await sealAuditRows(database, { keys: by, clock });
      await registerAuditKey(database, by, log, now);
    },
    checkpoints: new CheckpointWriter({ database, keys: by, chainer, place, log, clock }),
    purge: new AuditPurge({ database, keys: by, log, rowsPerTombstone: 4 }),
    verify: (after?: number) =>
      new AuditVerifier({ database, keys: by, place, chainer, vanishedRows: () => 0 }).verify(after),
    offline: async (publicKey: string) => {
      const lines: string[] = [];
      for await (const line of auditExport({ database, keys: by, chainer })) lines.push(line.trimEnd());
      const exportLines = async function* () {
        yield* lines;
      };
      return verifyOffline({ exportLines, checkpoints: () => place.read(), publicKeys: [publicKey] });
    },
  };
}

const kept = async () =>
  (
    await db.database.query<{ resource: string }>(
      `SELECT resource FROM audit_events WHERE action = 'thing.do' ORDER BY seq`,
    )
  ).map(({ resource }) => resource.slice(6));

describe('rows whose time is over', () => {
  it('go, and the chain verifies over the signed tombstones that they leave', async () => {
    expect(await made.purge.purge()).toBe(11);
    expect(await kept()).toEqual(['new']);
    expect(await made.verify()).toMatchObject({ isClean: true, findings: [] });
    expect(await made.offline(keys.publicKey)).toMatchObject({ isClean: true, findings: [] });
    const rows = await db.database.query<{ detail: object }>(
      `SELECT detail FROM audit_events WHERE action = 'audit.purge' ORDER BY seq`,
    );
    expect(rows.map(({ detail }) => detail)).toMatchObject([{ rows: 4 }, { rows: 4 }, { rows: 3 }]);
    await made.checkpoints.write();
    expect(await made.verify()).toMatchObject({ isClean: true });
  });

  it('go by the application as well, which cannot remove a row itself', async () => {
    const url = await db.applicationUrl();
    await using application = await Database.connect({ url, applicationName: 'test', isRestricted: true });
    const restricted = trail(keys, application);
    await restricted.begin();
    await expect(application.query('DELETE FROM audit_events')).rejects.toThrow('permission denied');
    expect(await restricted.purge.purge()).toBe(11);
    await restricted.checkpoints.write();
    expect(await restricted.verify()).toMatchObject({ isClean: true, findings: [] });
    expect(await kept()).toEqual(['new']);
  });

  it('stay where one of them was made older than it is, so that this is found', async () => {
    await append('thing:last', 'key:odd');
    await made.checkpoints.write();
    await db.database.query('ALTER TABLE audit_events DISABLE TRIGGER ALL');
    await db.database.query(`UPDATE audit_events SET at = '2010-01-01' WHERE resource = 'thing:new'`);
    // In the run of the youngest of the old rows.
    await expect(made.purge.purge()).rejects.toThrow(/nothing is purged beside what was bent: row 12 /);
    expect(await kept()).toContain('new');
    const { isClean, findings } = await made.verify();
    expect([isClean, findings.map(({ kind, position }) => [kind, position])]).toEqual([false, [['row-changed', 12]]]);
  });

  it('stay while a legal hold covers them, and go after its release', async () => {
    const holds = new LegalHolds(db.database);
    const hold = await holds.create({ reason: 'case 7', actor: 'key:even', by: 'key:c', requestId: 'r' });
    expect(await made.purge.purge()).toBe(6);
    expect(await kept()).toEqual(['2', '4', '6', '8', '10', 'new']);
    expect(await made.verify()).toMatchObject({ isClean: true, findings: [] });
    expect(await made.offline(keys.publicKey)).toMatchObject({ isClean: true, findings: [] });
    await holds.release(hold.id, 'key:c', 'r');
    expect(await made.purge.purge()).toBe(5);
    expect(await made.verify()).toMatchObject({ isClean: true, findings: [] });
    expect(await made.offline(keys.publicKey)).toMatchObject({ isClean: true, findings: [] });
  });

  it.each([
    ['without a tombstone', '1, 3', undefined],
    ['before their time', '12, 12', '12, 12'],
    ['under a hold', '3, 3', '3, 3'],
  ])('do not go %s, whoever calls for it', async (_name, range, stone) => {
    await new LegalHolds(db.database).create({ reason: 'case 7', resource: 'thing:2', by: 'key:c', requestId: 'r' });
    if (stone !== undefined)
      await db.database.query(
        `INSERT INTO audit_tombstones (first_position, last_position, body) VALUES (${stone}, '{}')`,
      );
    await expect(db.database.query(`SELECT purge_audit(${range})`)).rejects.toThrow(/have no tombstone|must be kept/);
    expect(await kept()).toHaveLength(11);
  });
});

describe('a change of the master key', () => {
  it('leaves what was bound before verifiable, and trust goes from the old public key to the new and back', async () => {
    const renewed = trail(new AuditKeys(randomBytes(32), [oldKey]));
    const newKeys = (await (async () => {
      await renewed.begin();
      await append('thing:after', 'key:odd');
      await renewed.checkpoints.write();
      return db.database.query<{ public_key: string }>('SELECT public_key FROM audit_keys ORDER BY added_at');
    })()) as { public_key: string }[];
    expect(await renewed.verify()).toMatchObject({ isClean: true, findings: [] });
    for (const { public_key } of newKeys)
      expect(await renewed.offline(public_key)).toMatchObject({ isClean: true, findings: [] });
    expect(newKeys).toHaveLength(2);
  });

  it('without the earlier key is told, and what that one has bound is not called clean', async () => {
    const stranger = trail(new AuditKeys(randomBytes(32)));
    await stranger.begin();
    const { isClean, findings } = await stranger.verify();
    expect([isClean, findings.some(({ kind }) => kind === 'key-unknown')]).toEqual([false, true]);
    expect((await stranger.offline(keys.publicKey)).isClean).toBe(false);
  });
});

describe('a checkpoint', () => {
  it('that cannot be written is an alarm and an audit row, and is tried again', async () => {
    const lines: string[] = [];
    const loud = { ...log, error: (_context: unknown, text: string) => void lines.push(text) } as never;
    const place = new FolderPlace('/dev/null/nowhere');
    await using writer = new CheckpointWriter({
      database: db.database,
      keys,
      chainer: made.chainer,
      place,
      log: loud,
      everySeconds: 0.02,
      retrySeconds: 0.02,
    });
    writer.start();
    await expect.poll(() => writer.failures, { timeout: 10_000 }).toBeGreaterThan(2);
    expect(lines[0]).toBe('ALARM: the audit checkpoint could not be written');
    const rows = () => db.database.query(`SELECT outcome FROM audit_events WHERE action = 'audit.checkpoint'`);
    await expect.poll(rows).toEqual([{ outcome: 'failed' }]);
  });

  it('is written at the end of a process too', async () => {
    await append('thing:last', 'key:odd');
    await made.checkpoints[Symbol.asyncDispose]();
    const texts: string[] = [];
    for await (const text of new FolderPlace(folder).read()) texts.push(text);
    expect(JSON.parse(texts.at(-1)!)).toMatchObject({ count: 13 });
  });

  it('that is filed under an earlier place hides no row from a verification that begins there', async () => {
    await db.database.query(
      'INSERT INTO audit_checkpoints (count, body) SELECT 3, body FROM audit_checkpoints ORDER BY id DESC LIMIT 1',
    );
    await db.database.query('ALTER TABLE audit_events DISABLE TRIGGER ALL');
    await db.database.query(`UPDATE audit_events SET actor = 'key:nobody' WHERE resource = 'thing:7'`);
    const { isClean, findings } = await made.verify(3);
    expect([isClean, findings.map(({ kind }) => kind)]).toEqual([false, ['row-changed']]);
  });

  it('after a line that a crash has cut stands in a line of its own', async () => {
    const { appendFile, readdir } = await import('node:fs/promises');
    const [file] = await readdir(folder);
    await appendFile(join(folder, file!), '{"kind":"checkp');
    await made.checkpoints.write();
    const { isClean, findings } = await made.verify();
    expect([isClean, findings.map(({ kind }) => kind)]).toEqual([false, ['checkpoint-forged']]);
  });
});
