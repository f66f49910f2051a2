import { createLogger } from '#libs/platform';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrations } from '../store/migrations/index.js';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import { FolderPlace } from './adapters/folder/index.js';
import { canonicalEvent, storedEvent } from './audit-event.js';
import { AuditKeys } from './audit-keys.js';
import { AuditPurge } from './audit-purge.js';
import { appendAudit, sealAuditRows } from './audit-trail.js';
import { AuditVerifier } from './audit-verifier.js';
import { chainStart, hashOf, linkText, type ChainHead } from './chain-link.js';
import { Chainer } from './chainer.js';
import { signedCheckpoint, signedTombstone } from './checkpoint.js';
import { registerAuditKey } from './key-register.js';

const log = createLogger({ service: 'test', level: 'silent' });
const firstKey = randomBytes(32);
const [oldKeys, keys] = [new AuditKeys(firstKey), new AuditKeys(randomBytes(32), [firstKey])];
const longAgo = new Date('2018-03-01T10:00:00Z');
const linkedRows = 2_600;
const lastWithOldKey = 1_100;
const purged = { first: 3, last: 5 };

let db: FreshDatabase;
let folder: string;
let old: DataSource;
beforeEach(async () => {
  db = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-audit-'));
  await db.database.query('DROP SCHEMA public CASCADE');
  await db.database.query('CREATE SCHEMA public');
  const before = migrations.filter(({ name }) => !/^AuditBlocks|(?:1[7-9]|[2-9]\d)$/.test(name));
  old = new DataSource({ type: 'postgres', url: db.url, migrations: before, migrationsTableName: 'schema_migrations' });
  await old.initialize();
  await old.runMigrations({ transaction: 'each' });
});
afterEach(async () => {
  if (old.isInitialized) await old.destroy();
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A trail as the release before has left it: a row per link, of two keys, with a tombstone, and a row that waits. */
async function fill(): Promise<void> {
  const place = new FolderPlace(folder);
  const heads: ChainHead[] = [chainStart];
  await old.transaction(async (tx) => {
    for (let position = 1; position <= linkedRows + 1; position += 1) {
      const by = position <= lastWithOldKey ? oldKeys : keys;
      const event = storedEvent(
        { actor: 'key:a', action: 'thing.do', resource: `thing:${position}`, outcome: 'done', detail: { position } },
        undefined,
        position < linkedRows ? longAgo : new Date(),
      );
      const text = canonicalEvent(event);
      const [row] = (await tx.query(
        `INSERT INTO audit_events (id, at, actor, action, resource, outcome, detail, seal, seal_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, decode($8, 'hex'), $9) RETURNING seq`,
        [
          event.id,
          event.at,
          event.actor,
          event.action,
          event.resource,
          event.outcome,
          event.detail,
          by.seal(text),
          by.id,
        ],
      )) as { seq: string }[];
      if (position > linkedRows) break;
      const bound = linkText(heads.at(-1)!, Number(row!.seq), text);
      heads.push({ position, hash: hashOf(bound) });
      await tx.query(
        `INSERT INTO audit_links (position, event_seq, hash, mac, key_id) VALUES ($1, $2, $3, decode($4, 'hex'), $5)`,
        [position, row!.seq, hashOf(bound), by.mac(bound), by.id],
      );
    }
    const stone = signedTombstone(keys, {
      firstPosition: purged.first,
      lastPosition: purged.last,
      previousHash: heads[purged.first - 1]!.hash.toString('hex'),
      lastHash: heads[purged.last]!.hash.toString('hex'),
      oldestAt: longAgo.toISOString(),
      newestAt: longAgo.toISOString(),
      purgedAt: new Date().toISOString(),
      actor: 'system',
    });
    await tx.query('INSERT INTO audit_tombstones (first_position, last_position, body) VALUES (3, 5, $1)', [stone]);
    await tx.query('SELECT purge_audit(3, 5)');
  });
  const checkpoint = signedCheckpoint(keys, heads.at(-1)!, new Date());
  await place.put(checkpoint);
  await old.query(
    `INSERT INTO audit_checkpoints (count, body, watermark, cluster)
     SELECT $1, $2, '3'::xid8, system_identifier::text FROM pg_control_system()`,
    [checkpoint.count, checkpoint],
  );
  await old.destroy();
}

it('links of the release before are blocks after the migration, verify, are purged, and the chain goes on', async () => {
  await fill();
  await db.database.migrate();
  const { database } = db;
  await sealAuditRows(database, { keys });
  await registerAuditKey(database, oldKeys, log, longAgo);
  await registerAuditKey(database, keys, log, new Date());
  await using chainer = new Chainer({ database, keys, log });
  const place = new FolderPlace(folder);
  const verify = () => new AuditVerifier({ database, keys, place, chainer, vanishedRows: () => 0 }).verify();
  // The row that waited, and the two of the keys.
  expect(await verify()).toMatchObject({ isClean: true, findings: [], count: linkedRows + 3, vouchedFor: linkedRows });
  expect(await database.query('SELECT count(*)::int AS rows FROM audit_links')).toEqual([{ rows: linkedRows }]);
  await database.run((tx) =>
    appendAudit(tx, { actor: 'key:a', action: 'thing.do', resource: 'thing:after', outcome: 'done' }),
  );
  const purge = new AuditPurge({ database, keys, log, rowsPerTombstone: 700 });
  expect(await purge.purge()).toBe(linkedRows - 1 - 3);
  expect(await verify()).toMatchObject({ isClean: true, findings: [] });
});

it.each([
  ['changed row', `UPDATE audit_events SET actor = 'key:b' WHERE resource = 'thing:1700'`, 'row-changed'],
  ['removed row', `DELETE FROM audit_events WHERE resource = 'thing:1700'`, 'row-removed'],
  ['removed link', `DELETE FROM audit_links WHERE position = 1700`, 'row-removed'],
  ['replaced code', `UPDATE audit_links SET mac = decode(repeat('07', 32), 'hex') WHERE position = 1700`, 'mac-wrong'],
])('a %s of the release before is found after the migration', async (_name, bend, kind) => {
  await fill();
  await db.database.run(async (tx) => {
    await tx.query(`SET LOCAL session_replication_role = 'replica'`);
    await tx.query(bend);
  });
  await db.database.migrate();
  await using chainer = new Chainer({ database: db.database, keys, log });
  const place = new FolderPlace(folder);
  const { findings } = await new AuditVerifier({
    database: db.database,
    keys,
    place,
    chainer,
    vanishedRows: () => 0,
  }).verify();
  expect(findings.map((finding) => finding.kind)).toContain(kind);
});
