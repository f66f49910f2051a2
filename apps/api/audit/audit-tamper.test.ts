import { appendAudit, verifyOffline } from '#libs/audit';
import { FolderPlace } from '#libs/audit/adapters/folder';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalEvent, eventColumns, type StoredEvent } from '../../../libs/audit/audit-event.js';
import { chainStart, linkText } from '../../../libs/audit/chain-link.js';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';

interface Verified {
  isClean: boolean;
  findings: { kind: string; position: number | null; problem: string }[];
  rows: number;
  count: number;
  vouchedFor: number;
}

let api: ManagementApi;
beforeEach(async () => {
  api = await managementApi();
  for (let at = 1; at <= 12; at += 1) await append(`thing:${at}`);
  await api.auditing.checkpoints.write();
});
afterEach(() => api[Symbol.asyncDispose]());

const append = (resource: string) =>
  api.db.database.run((tx) => appendAudit(tx, { actor: 'key:a', action: 'thing.do', resource, outcome: 'done' }));
const get = async (url: string) => api.app.inject({ url, headers: api.as.admin });
const online = async () => (await get('/api/audit/verify')).json<Verified>();
const exported = async () => (await get('/api/audit/export')).body;

async function offline(text: string, publicKey: string): Promise<Verified> {
  const lines = text.trimEnd().split('\n');
  return verifyOffline({
    exportLines: async function* () {
      yield* lines;
    },
    checkpoints: () => new FolderPlace(join(api.folder, 'checkpoints')).read(),
    publicKeys: [publicKey],
  });
}

/** How the links lie in the blocks of the chain when somebody bends them. */
const packings = {
  'in blocks of their own': 'position',
  'in one block': 'position - row_number() OVER (ORDER BY position)',
};
type Packing = keyof typeof packings;
let packing: Packing = 'in one block';

/**
 * What whoever owns the database can do: switch off what guards the rows, and write what they like. The links stand as rows
 * of `audit_links`, and go back into blocks afterwards.
 */
async function asSuperuser(...statements: string[]): Promise<void> {
  await api.db.database.run(async (tx) => {
    await tx.query(`SET LOCAL session_replication_role = 'replica'`);
    await tx.query('CREATE TEMP TABLE audit_links ON COMMIT DROP AS SELECT * FROM public.audit_links');
    for (const statement of statements) await tx.query(statement);
    await tx.query('DELETE FROM audit_blocks');
    await tx.query(
      `INSERT INTO audit_blocks (first_position, last_position, min_seq, max_seq, seqs, hashes, macs, key_id)
       SELECT min(position), max(position), min(event_seq), max(event_seq), array_agg(event_seq ORDER BY position),
         string_agg(hash, '' ORDER BY position), string_agg(mac, '' ORDER BY position), min(key_id)
       FROM (SELECT *, ${packings[packing]} AS block FROM audit_links) l GROUP BY block`,
    );
  });
}

async function publicKey(): Promise<string> {
  return (await get('/api/audit/key')).json<{ publicKey: string }>().publicKey;
}

const seqAt = (position: number) => `(SELECT event_seq FROM audit_links WHERE position = ${position})`;

const bends: [name: string, expected: RegExp, bend: () => Promise<void>][] = [
  [
    'a changed row',
    /row-changed/,
    () => asSuperuser(`UPDATE audit_events SET actor = 'key:b' WHERE seq = ${seqAt(5)}`),
  ],
  [
    'a changed time',
    /row-changed/,
    () => asSuperuser(`UPDATE audit_events SET at = at - interval '1 microsecond' WHERE seq = ${seqAt(5)}`),
  ],
  ['a removed row', /row-removed/, () => asSuperuser(`DELETE FROM audit_events WHERE seq = ${seqAt(5)}`)],
  [
    'a row that was removed with its link',
    /row-removed/,
    () => asSuperuser(`DELETE FROM audit_events WHERE seq = ${seqAt(5)}`, `DELETE FROM audit_links WHERE position = 5`),
  ],
  [
    'a row that was removed, and those after it moved up',
    /row-changed|checkpoint-mismatch/,
    () =>
      asSuperuser(
        `DELETE FROM audit_events WHERE seq = ${seqAt(5)}`,
        `DELETE FROM audit_links WHERE position = 5`,
        `UPDATE audit_links SET position = position + 1000 WHERE position > 5`,
        `UPDATE audit_links SET position = position - 1001 WHERE position > 1000`,
      ),
  ],
  [
    'a reordered pair',
    /row-changed/,
    () =>
      asSuperuser(
        `UPDATE audit_links SET position = 1000 WHERE position = 6`,
        `UPDATE audit_links SET position = 6 WHERE position = 5`,
        `UPDATE audit_links SET position = 5 WHERE position = 1000`,
      ),
  ],
  [
    'two rows that changed their contents',
    /row-changed/,
    () =>
      asSuperuser(
        `UPDATE audit_links SET event_seq = -event_seq WHERE position IN (5, 6)`,
        `UPDATE audit_links l SET event_seq = -o.event_seq FROM (SELECT 11 - position AS position, event_seq FROM audit_links WHERE position IN (5, 6)) o WHERE l.position = o.position`,
      ),
  ],
  ['a cut tail', /tail-cut/, () => cutTail()],
  [
    'a cut tail, with the checkpoints of the database',
    /tail-cut/,
    async () => {
      await cutTail();
      await asSuperuser('DELETE FROM audit_checkpoints');
    },
  ],
  ['a replaced chain', /mac-wrong|checkpoint-mismatch/, () => replaceChain()],
  [
    'everything gone',
    /tail-cut|checkpoint-mismatch/,
    () => asSuperuser('DELETE FROM audit_events', 'DELETE FROM audit_links', 'DELETE FROM audit_checkpoints'),
  ],
  [
    'a tombstone of somebody else in the place of rows',
    /tombstone-forged/,
    async () => {
      const body = await forgedTombstone();
      await asSuperuser(
        `DELETE FROM audit_events WHERE seq IN (SELECT event_seq FROM audit_links WHERE position IN (4, 5))`,
        `DELETE FROM audit_links WHERE position IN (4, 5)`,
        `INSERT INTO audit_tombstones (first_position, last_position, body) VALUES (4, 5, '${body}')`,
      );
    },
  ],
];

const cutTail = () =>
  asSuperuser(
    `DELETE FROM audit_events WHERE seq IN (SELECT event_seq FROM audit_links WHERE position > 8)`,
    `DELETE FROM audit_links WHERE position > 8`,
  );

/** Another history, whose hashes all fit each other: all that somebody can make who has not the keys. */
async function replaceChain(): Promise<void> {
  await asSuperuser(`UPDATE audit_events SET actor = 'key:b' WHERE resource = 'thing:3'`);
  const rows = await api.db.database.query<StoredEvent & { position: string; seq: string }>(
    `SELECT l.position, e.seq, ${eventColumns} FROM audit_links l JOIN audit_events e ON e.seq = l.event_seq ORDER BY l.position`,
  );
  let head = chainStart;
  const updates: string[] = [];
  for (const { position, seq, ...event } of rows) {
    const hash = createHash('sha256')
      .update(linkText(head, Number(seq), canonicalEvent(event)))
      .digest();
    updates.push(`UPDATE audit_links SET hash = '\\x${hash.toString('hex')}' WHERE position = ${position}`);
    head = { position: Number(position), hash };
  }
  await asSuperuser(...updates);
}

async function forgedTombstone(): Promise<string> {
  const rows = await api.db.database.query<{ hash: Buffer }>(
    'SELECT hash FROM audit_links WHERE position IN (3, 5) ORDER BY position',
  );
  return JSON.stringify({
    kind: 'tombstone',
    firstPosition: 4,
    lastPosition: 5,
    previousHash: rows[0]!.hash.toString('hex'),
    lastHash: rows[1]!.hash.toString('hex'),
    oldestAt: '',
    newestAt: '',
    purgedAt: new Date(0).toISOString(),
    actor: 'system',
    keyId: (await get('/api/audit/key')).json<{ keyId: string }>().keyId,
    signature: Buffer.alloc(64, 7).toString('base64'),
  });
}

describe('a chain that nobody has bent', () => {
  it('is clean, online and offline, and every read of it is a row of it', async () => {
    const found = await online();
    expect(found).toMatchObject({ isClean: true, findings: [] });
    expect(found.rows).toBe(found.count);
    expect(found.vouchedFor).toBeGreaterThanOrEqual(12);
    const text = await exported();
    const away = await offline(text, await publicKey());
    expect(away).toMatchObject({ isClean: true, findings: [], vouchedFor: away.count });
    const list = await get('/api/audit?limit=3');
    expect(list.json<{ rows: { action: string }[] }>().rows.map(({ action }) => action)).toEqual([
      'audit.key-read',
      'audit.export',
      'audit.verify',
    ]);
    const again = await get('/api/audit?limit=1');
    expect(again.json()).toMatchObject({ rows: [{ action: 'audit.read', actor: expect.stringMatching(/^key:/) }] });
  });

  it('stays so when it is verified from a checkpoint on', async () => {
    const first = await online();
    await append('thing:later');
    const { rows, ...found } = (await get(`/api/audit/verify?after=${first.count}`)).json<Verified>();
    expect(found).toMatchObject({ isClean: true, count: expect.any(Number) });
    expect(rows).toBeLessThan(first.rows);
  });
});

describe.each(bends)('%s', (_name, expected, bend) => {
  it.each(Object.keys(packings) as Packing[])(
    'is found online, and offline by export, checkpoints and public key alone, %s',
    async (way) => {
      packing = way;
      const key = await publicKey();
      await bend();
      const found = await online();
      expect(found.isClean).toBe(false);
      expect(found.findings.map(({ kind }) => kind).join(' ')).toMatch(expected);
      const away = await offline(await exported(), key);
      expect(away.isClean).toBe(false);
      expect(away.findings.map(({ kind }) => kind).join(' ')).toMatch(expected);
    },
  );
});

describe('an export', () => {
  const bent: [name: string, bend: (lines: string[]) => string[]][] = [
    ['without its end', (lines) => lines.slice(0, -1)],
    ['without its last row', (lines) => lines.filter((_line, at) => at !== lines.length - 2)],
    ['without a row in the middle', (lines) => lines.filter((_line, at) => at !== 8)],
    ['with two lines in each other’s place', (lines) => lines.with(8, lines[9]!).with(9, lines[8]!)],
    ['with another word in it', (lines) => lines.map((line) => line.replace('thing:7"', 'thing:8"'))],
    ['with a line that is none', (lines) => lines.toSpliced(8, 0, '{"kind":"row"}')],
  ];
  it.each(bent)('%s is found', async (_name, bend) => {
    const text = bend((await exported()).trimEnd().split('\n')).join('\n');
    expect((await offline(text, await publicKey())).isClean).toBe(false);
  });

  it('that somebody else has signed is found', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const { findings, isClean, vouchedFor } = await offline(await exported(), other);
    expect([isClean, vouchedFor, new Set(findings.map(({ kind }) => kind))]).toEqual([
      false,
      0,
      new Set(['checkpoint-forged']),
    ]);
  });
});

it('a tail that was cut after the last checkpoint is missed by the process that has linked it', async () => {
  await append('thing:13');
  await api.auditing.chainer.flush();
  const [last] = await api.db.database.query<{ position: number }>(
    `SELECT position::int FROM audit_links l JOIN audit_events e ON e.seq = l.event_seq WHERE resource = 'thing:13'`,
  );
  await asSuperuser(
    `DELETE FROM audit_events WHERE resource = 'thing:13'`,
    `DELETE FROM audit_links WHERE position = ${last?.position}`,
  );
  const found = await online();
  expect(found.findings.map(({ kind }) => kind)).toContain('tail-cut');
});
