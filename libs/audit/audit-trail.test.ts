import { createLogger } from '#libs/platform';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import { AppendReceipts } from './append-receipts.js';
import {
  canonicalEvent,
  canonicalText,
  eventColumns,
  storedEvent,
  type AuditEvent,
  type StoredEvent,
} from './audit-event.js';
import { AuditKeys } from './audit-keys.js';
import { appendAudit, sealAuditRows } from './audit-trail.js';
import { chainStart, hashOf, linkText } from './chain-link.js';
import { HmacSha256 } from './hmac-sha256.js';
import { RecentRows } from './recent-rows.js';
import { Chainer } from './chainer.js';

const keys = new AuditKeys(randomBytes(32));
const log = createLogger({ service: 'test', level: 'silent' });
const event = (resource: string): AuditEvent => ({ actor: 'system', action: 'test.do', resource, outcome: 'done' });

let db: FreshDatabase;
let chainer: Chainer;
let receipts: AppendReceipts;
beforeEach(async () => {
  db = await freshDatabase();
  receipts = new AppendReceipts({ database: db.database, log });
  chainer = new Chainer({ database: db.database, keys, log, onLinked: (ids) => receipts.linked(ids) });
  await sealAuditRows(db.database, { keys, onAppend: (rows) => receipts.note(rows) });
});
afterEach(async () => {
  await chainer[Symbol.asyncDispose]();
  await receipts[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
const append = (resource: string) => db.database.run((tx) => appendAudit(tx, event(resource)));
const linked = async () =>
  (
    await db.database.query<{ resource: string }>(
      'SELECT e.resource FROM audit_links l JOIN audit_events e ON e.seq = l.event_seq ORDER BY l.position',
    )
  ).map(({ resource }) => resource);

describe('the chain', () => {
  it('binds RFC 8785 JSON of the event, its place and the hash before it', () => {
    const stored = storedEvent({ ...event('a:1'), detail: { z: 1e21, ä: 'ü', a: null } }, undefined, new Date());
    const text = linkText(chainStart, 7, canonicalEvent(stored));
    expect(text).toBe(canonicalText({ event: stored, position: 1, previous: chainStart.hash.toString('hex'), seq: 7 }));
  });

  it.each([
    [{}],
    [{ b: 'a"\\\n\u2028', a: -0, é: 1e-7, Z: false, 10: null, 9: 1e21 }],
    [{ nested: { b: [1, { d: null, c: 'x' }], a: 1 } }],
  ])('sorts what is in a detail as RFC 8785 says: %j', (detail) => {
    const stored = storedEvent(event('a:1'), undefined, new Date());
    expect(canonicalEvent({ ...stored, detail })).toBe(canonicalText({ ...stored, detail }));
  });

  it('authenticates with HMAC-SHA-256, whatever the length and the letters of the text', () => {
    const key = randomBytes(32);
    const hmac = new HmacSha256(key);
    for (const text of [
      '',
      'a',
      'ü€😀'.repeat(700),
      'x'.repeat(2_730),
      '€'.repeat(2_730),
      'x'.repeat(2_731),
      'y'.repeat(20_000),
    ])
      expect(hmac.hex(text)).toBe(createHmac('sha256', key).update(text).digest('hex'));
  });

  it('takes a row that commits after later ones, and leaves no hole where one was rolled back', async () => {
    await append('a:1');
    await db.database.run(async (tx) => {
      await appendAudit(tx, event('a:slow'));
      await append('a:2');
      await chainer.flush();
      expect(await linked()).toEqual(['a:1', 'a:2']);
    });
    await expect(
      db.database.run(async (tx) => {
        await appendAudit(tx, event('a:never'));
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    await append('a:3');
    await chainer.flush();
    expect(await linked()).toEqual(['a:1', 'a:2', 'a:slow', 'a:3']);
    expect(await db.database.query('SELECT position::int FROM audit_links ORDER BY 1')).toEqual(
      [1, 2, 3, 4].map((position) => ({ position })),
    );
  });

  it('is one, however many processes link and however many transactions append at once', async () => {
    const others = [1, 2, 3].map(() => new Chainer({ database: db.database, keys, log, rowsPerBatch: 7 }));
    await Promise.all(
      Array.from({ length: 60 }, async (_, at) => {
        await append(`a:${at}`);
        await others[at % 3]?.flush();
      }),
    );
    await chainer.flush();
    expect((await linked()).sort()).toEqual(Array.from({ length: 60 }, (_, at) => `a:${at}`).sort());
    expect(await db.database.query('SELECT max(position)::int AS top FROM audit_links')).toEqual([{ top: 60 }]);
  });

  it('keeps a text that PostgreSQL would change well-formed before it is sealed', async () => {
    await db.database.run((tx) =>
      appendAudit(tx, { ...event('a:\ud800'), detail: { text: '\udfff', not: Number.NaN } }),
    );
    await chainer.flush();
    expect(await linked()).toEqual(['a:\ufffd']);
  });

  it('goes on from what a failed batch has left', async () => {
    await append('a:1');
    await db.database.query('ALTER TABLE audit_blocks ADD CONSTRAINT full_up CHECK (first_position < 0)');
    await expect(chainer.flush()).rejects.toThrow('full_up');
    await db.database.query('ALTER TABLE audit_blocks DROP CONSTRAINT full_up');
    await chainer.flush();
    expect([await linked(), chainer.cutBack]).toEqual([['a:1'], undefined]);
  });
});

describe('before it is linked, a row', () => {
  const asSuperuser = async (sql: string) => {
    await db.database.query('ALTER TABLE audit_events DISABLE TRIGGER USER');
    await db.database.query(sql);
    await db.database.query('ALTER TABLE audit_events ENABLE TRIGGER USER');
  };

  it('that was written by other SQL is not linked', async () => {
    await append('a:1');
    await chainer.flush();
    await db.database.query(
      `INSERT INTO audit_events (actor, action, resource, outcome, detail) VALUES ('system', 'test.do', 'a:forged', 'done', '{}')`,
    );
    await chainer.flush();
    expect([await linked(), chainer.foreignRows]).toEqual([['a:1'], 1]);
  });

  it('that was changed is not linked', async () => {
    await append('a:1');
    await asSuperuser(`UPDATE audit_events SET actor = 'key:other'`);
    await append('a:2');
    await chainer.flush();
    expect([await linked(), chainer.foreignRows]).toEqual([['a:2'], 1]);
  });

  it('that was removed is missed by the process that wrote it', async () => {
    await append('a:1');
    await append('a:2');
    await asSuperuser(`DELETE FROM audit_events WHERE resource = 'a:1'`);
    await chainer.flush();
    await receipts.ask(0);
    expect([receipts.vanished, receipts.waiting]).toEqual([1, 0]);
  });

  it('that this process still knows is linked as it was appended, and not as it was changed meanwhile', async () => {
    const recent = new RecentRows();
    await sealAuditRows(db.database, { keys, recent });
    await using knowing = new Chainer({ database: db.database, keys, log, recent });
    await append('a:1');
    const [before] = await db.database.query<StoredEvent & { seq: string }>(
      `SELECT e.seq, ${eventColumns} FROM audit_events e`,
    );
    await asSuperuser(`UPDATE audit_events SET actor = 'key:other'`);
    await knowing.flush();
    const { seq, ...stored } = before!;
    const [link] = await db.database.query<{ hash: Buffer }>('SELECT hash FROM audit_links');
    expect(link?.hash).toEqual(hashOf(linkText(chainStart, Number(seq), canonicalEvent(stored))));
  });

  it('whose key only another process knows waits for that one, however much is linked meanwhile', async () => {
    const theirs = new AuditKeys(randomBytes(32), []);
    await append('a:1');
    await chainer.flush();
    await sealAuditRows(db.database, { keys: theirs });
    await append('a:theirs');
    await sealAuditRows(db.database, { keys });
    await append('a:2');
    await chainer.flush();
    await append('a:3');
    await chainer.flush();
    await using other = new Chainer({ database: db.database, keys: theirs, log });
    await other.flush();
    await append('a:4');
    await chainer.flush();
    expect(await linked()).toEqual(['a:1', 'a:2', 'a:3', 'a:theirs', 'a:4']);
  });

  it('is found by a process that starts anew, over several batches, and where nothing is known of what was linked', async () => {
    await append('a:1');
    await chainer.flush();
    for (let at = 2; at <= 9; at += 1) await append(`a:${at}`);
    await using next = new Chainer({ database: db.database, keys, log, rowsPerBatch: 3 });
    await next.flush();
    await append('a:10');
    // As after a restore on another server.
    await db.database.run(async (tx) => {
      await tx.query(`SET LOCAL session_replication_role = 'replica'`);
      await tx.query(`UPDATE audit_blocks SET cluster = 'elsewhere'`);
    });
    await using restored = new Chainer({ database: db.database, keys, log, rowsPerBatch: 3 });
    await restored.flush();
    await restored.flush();
    expect(await linked()).toEqual(Array.from({ length: 10 }, (_, at) => `a:${at + 1}`));
  });

  it('names the tenant of its actor where its writer names none', async () => {
    const [tenant, project, person] = [randomUUID(), randomUUID(), randomUUID()];
    await db.database.query(`INSERT INTO tenants (id, name, tier, created_by) VALUES ($1, 'a', 'free', 'system')`, [
      tenant,
    ]);
    await db.database.query(`INSERT INTO people (id, tenant_id, name, created_by) VALUES ($1, $2, 'Ada', 'system')`, [
      person,
      tenant,
    ]);
    const by = (actor: string, tenantId?: string) =>
      db.database.run((tx) => appendAudit(tx, { ...event(`a:${actor}`), actor, tenantId }));
    await by(`person:${person}`);
    await by(`person:${person}`, project);
    await by('system');
    await by(`key:${randomUUID()}`);
    const rows = await db.database.query<{ tenant_id: string | null }>(
      'SELECT tenant_id FROM audit_events ORDER BY seq',
    );
    expect(rows.map((row) => row.tenant_id)).toEqual([tenant, project, null, null]);
    await chainer.flush();
    expect((await linked()).length).toBe(4);
  });

  it('that was rolled back is not missed', async () => {
    await expect(
      db.database.run(async (tx) => {
        await appendAudit(tx, event('a:never'));
        throw new Error('rolled back');
      }),
    ).rejects.toThrow();
    await receipts.ask(0);
    expect([receipts.vanished, receipts.waiting]).toEqual([0, 0]);
  });
});
