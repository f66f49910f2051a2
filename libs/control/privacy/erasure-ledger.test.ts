import type { ErasureStore, Processing } from '#libs/audit';
import { certificateKey } from '#libs/audit';
import { createLogger } from '#libs/platform';
import { createPublicKey, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { isCertificateGenuine, type ErasureStatement } from './erasure-certificate.js';
import { ErasureLedger } from './erasure-ledger.js';
import { Erasures } from './erasures.js';

const signingKey = certificateKey(Buffer.alloc(32, 5));
const processing = {} as Processing;
const tenantId = randomUUID();

let db: FreshDatabase;
beforeEach(async () => {
  db = await freshDatabase();
  await db.database.query('CREATE TABLE notes (subject uuid, at timestamptz DEFAULT now())');
});
afterEach(() => db[Symbol.asyncDispose]());

/** Erases one note at a time; fails as often as it is told. */
function notes(failures = 0): ErasureStore {
  let left = failures;
  return {
    name: 'notes',
    processing,
    find: async () => [],
    async erasePortion(tx, subject, until) {
      const result = (await tx.query(
        'DELETE FROM notes WHERE ctid IN (SELECT ctid FROM notes WHERE subject = $1 AND at <= $2 LIMIT 1)',
        [subject, until],
      )) as [unknown[], number];
      // After the deletion: what was not committed must not count.
      if (left-- > 0) throw new Error('the connection is gone');
      return result[1];
    },
  };
}

const log = createLogger({ service: 'test', level: 'silent' });
const started: string[] = [];
const erasures = () => new Erasures(db.database, { start: async ({ erasureId }) => void started.push(erasureId) }, log);
const ask = (subject: string) => erasures().request({ subject, tenantId, ground: 'objection', actor: 'key:test' });
const write = (subject: string, count = 1) =>
  db.database.query('INSERT INTO notes (subject) SELECT $1 FROM generate_series(1, $2)', [subject, count]);

it('counts each thing once, however often a step fails and is tried again, and certifies once', async () => {
  const subject = randomUUID();
  await write(subject, 3);
  await write(randomUUID());
  const { id } = await ask(subject);
  const ledger = new ErasureLedger(db.database, [notes(2)], signingKey);
  await ledger.plan({ erasureId: id, subject });
  await expect(ledger.certify(id)).rejects.toThrow(/not everything is erased/);
  const step = { erasureId: id, store: 'notes' };
  await expect(ledger.eraseFrom(step)).rejects.toThrow();
  await expect(ledger.eraseFrom(step)).rejects.toThrow();
  expect(await ledger.eraseFrom(step)).toBe(3);
  // As another worker would, after the answer of the first was lost.
  const again = new ErasureLedger(db.database, [notes()], signingKey);
  await again.plan({ erasureId: id, subject });
  expect(await again.eraseFrom(step)).toBe(3);
  const certifiedAt = await again.certify(id);
  expect(await again.certify(id)).toBe(certifiedAt);
  const { certificate, state } = await erasures().get(id, tenantId);
  expect(state).toBe('erased');
  const publicKey = createPublicKey(signingKey);
  expect(isCertificateGenuine(certificate!, publicKey)).toBe(true);
  const forged = certificate!.statement.replace('"erased":3', '"erased":4');
  expect(isCertificateGenuine({ ...certificate!, statement: forged }, publicKey)).toBe(false);
  const statement = JSON.parse(certificate!.statement) as ErasureStatement;
  expect(statement).toMatchObject({ erasureId: id, subject, tenantId, ground: 'objection', stores: [{ erased: 3 }] });
  expect(statement.kept[0]!.why).toContain('Art. 17(3)');
  const [left] = await db.database.query<{ count: string }>('SELECT count(*) FROM notes');
  expect(left!.count).toBe('1');
  const rows = await db.database.query(`SELECT action FROM audit_events WHERE detail->>'subject' = $1 ORDER BY at`, [
    subject,
  ]);
  expect(rows).toEqual([{ action: 'erasure.request' }, { action: 'erasure.finish' }]);
});

it('answers with the erasure that runs, to all who ask at once, and begins a new one only after it', async () => {
  const subject = randomUUID();
  const asked = await Promise.all(Array.from({ length: 6 }, () => ask(subject)));
  expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
  const ledger = new ErasureLedger(db.database, [], signingKey);
  await ledger.certify(asked[0]!.id);
  expect((await ask(subject)).id).not.toBe(asked[0]!.id);
});

it('erases what comes in after the certificate but is from before the request, and leaves what is newer', async () => {
  const subject = randomUUID();
  const { id, requestedAt } = await ask(subject);
  const ledger = new ErasureLedger(db.database, [notes()], signingKey);
  await ledger.plan({ erasureId: id, subject });
  await ledger.eraseFrom({ erasureId: id, store: 'notes' });
  await ledger.certify(id);
  await db.database.query("INSERT INTO notes VALUES ($1, $2::timestamptz - interval '1 second')", [
    subject,
    requestedAt,
  ]);
  await write(subject);
  expect(await ledger.eraseLate(3_600)).toBe(1);
  expect(await ledger.eraseLate(3_600)).toBe(0);
  const [left] = await db.database.query<{ count: string }>('SELECT count(*) FROM notes');
  expect(left!.count).toBe('1');
});

it('keeps a request while Temporal is away, and starts it when it is asked to', async () => {
  const away = new Erasures(db.database, { start: () => Promise.reject(new Error('no Temporal')) }, log);
  const { id, state } = await away.request({ subject: randomUUID(), tenantId, ground: 'objection', actor: 'key:test' });
  expect(state).toBe('running');
  await db.database.query(`UPDATE erasures SET requested_at = now() - interval '1 minute'`);
  started.length = 0;
  await erasures().startForgotten();
  expect(started).toEqual([id]);
});

it('is unknown to another tenant', async () => {
  const { id } = await ask(randomUUID());
  await expect(erasures().get(id, randomUUID())).rejects.toMatchObject({ code: 'SLU_PRIVACY_ERASURE_UNKNOWN' });
  expect(await erasures().list(randomUUID(), undefined)).toEqual([]);
});
