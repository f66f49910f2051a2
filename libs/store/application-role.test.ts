import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { freshDatabase } from '../../test/support/database.js';
import { Database } from './database.js';

const tables = [
  'audit_events',
  'audit_blocks',
  'audit_keys',
  'audit_checkpoints',
  'audit_tombstones',
  'audit_holds',
  'audit_hold_releases',
];
it('lets the application read and add, and refuses that it changes, removes or empties proof', async () => {
  await using db = await freshDatabase();
  await using application = await Database.connect({ url: db.url, applicationName: 'test', isRestricted: true });
  expect(application.isRestricted).toBe(true);
  await application.query(
    `INSERT INTO audit_events (actor, action, resource, outcome, detail) VALUES ('a', 'b', 'c', 'done', '{}')`,
  );
  expect(await application.query('SELECT actor FROM audit_events')).toEqual([{ actor: 'a' }]);
  for (const table of tables) {
    const [column] = await application.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attidentity = '' LIMIT 1`,
      [table],
    );
    for (const statement of [
      `UPDATE ${table} SET ${column?.name} = ${column?.name}`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table} CASCADE`,
      `ALTER TABLE ${table} DISABLE TRIGGER USER`,
      `DROP TABLE ${table} CASCADE`,
    ])
      await expect(application.query(statement), statement).rejects.toThrow(/permission denied|must be owner/);
  }
  await expect(application.query('UPDATE audit_retention SET days = 1')).rejects.toThrow('permission denied');
  await expect(application.query(`SET session_replication_role = 'replica'`)).rejects.toThrow('permission denied');
});

it('refuses the owner as well, until it switches the guard off', async () => {
  await using db = await freshDatabase();
  await db.database.query(
    `INSERT INTO audit_events (actor, action, resource, outcome, detail) VALUES ('a', 'b', 'c', 'done', '{}')`,
  );
  for (const statement of [`UPDATE audit_events SET actor = 'x'`, 'DELETE FROM audit_events', 'TRUNCATE audit_events'])
    await expect(db.database.query(statement)).rejects.toThrow('never changed or removed');
});

it('lets the application use every other table, those of later migrations too', async () => {
  await using db = await freshDatabase();
  await db.database.query('CREATE TABLE of_tomorrow (id bigint GENERATED ALWAYS AS IDENTITY, word text)');
  await using application = await Database.connect({ url: db.url, applicationName: 'test', isRestricted: true });
  await application.query(`INSERT INTO of_tomorrow (word) VALUES ('x')`);
  await application.query(`UPDATE of_tomorrow SET word = 'y'`);
  await application.query('DELETE FROM of_tomorrow');
});

it('says so when the user of the database may not be the role', async () => {
  await using db = await freshDatabase();
  const user = `plain_${randomBytes(4).toString('hex')}`;
  await db.database.query(`CREATE ROLE ${user} LOGIN PASSWORD 'plain'`);
  try {
    const url = new URL(db.url);
    url.username = user;
    url.password = 'plain';
    await using plain = await Database.connect({ url: url.href, applicationName: 'test', isRestricted: true });
    expect(plain.isRestricted).toBe(false);
  } finally {
    await db.database.query(`DROP ROLE ${user}`);
  }
});

it('is taken by every session before its first statement, beside options that the address has', async () => {
  await using db = await freshDatabase();
  const url = new URL(db.url);
  url.searchParams.set('options', '-c work_mem=5MB');
  await using application = await Database.connect({ url: url.href, applicationName: 'test', isRestricted: true });
  const rows = await application.query(`SELECT current_user::text AS role, current_setting('work_mem') AS memory`);
  expect(rows).toEqual([{ role: 'sluice_app', memory: '5MB' }]);
});
