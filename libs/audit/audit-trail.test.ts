import { createLogger } from '#libs/platform';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import { AppendReceipts } from './append-receipts.js';
import { canonicalEvent, canonicalText, storedEvent, type AuditEvent } from './audit-event.js';
import { AuditKeys } from './audit-keys.js';
import { appendAudit, sealAuditRows } from './audit-trail.js';
import { chainStart, linkText } from './chain-link.js';
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
    const stored = storedEvent({ ...event('a:1'), detail: { z: 1e21, ä: 'ü', a: null } }, new Date());
    const text = linkText(chainStart, 7, canonicalEvent(stored));
    expect(text).toBe(canonicalText({ event: stored, position: 1, previous: chainStart.hash.toString('hex'), seq: 7 }));
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
