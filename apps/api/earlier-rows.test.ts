import { defaultProjectId, defaultTenantId, KeyRing, Pepper } from '#libs/access';
import { RequestArchive } from '#libs/inference';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import { newKey } from '../../libs/access/key-secret.js';
import { migrations } from '../../libs/store/migrations/index.js';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';

const pepper = new Pepper(Buffer.alloc(32, 9));

/** A database as the release before a migration has left it. */
async function leftBefore(migration: number): Promise<FreshDatabase> {
  const db = await freshDatabase(false);
  const earlier = migrations.filter(({ name }) => Number(name.slice(-4)) < migration);
  expect(earlier.length).toBeGreaterThan(0);
  const source = new DataSource({
    type: 'postgres',
    url: db.url,
    migrations: earlier,
    migrationsTableName: 'schema_migrations',
  });
  await source.initialize();
  await source.runMigrations({ transaction: 'each' });
  await source.destroy();
  return db;
}

it('keeps what keys were and may, when tenants come (0009)', async () => {
  await using db = await leftBefore(9);
  const { database } = db;
  const made = [
    ['admin', 'now()', null, null],
    ['operator', `now() - interval '300 days'`, null, null],
    ['caller', 'now()', `now() + interval '1 day'`, null],
    ['caller', `now() - interval '2 days'`, `now() - interval '1 day'`, null],
    ['admin', 'now()', null, 'now()'],
  ] as const;
  const keys = await Promise.all(
    made.map(async ([role, createdAt, expiresAt, revokedAt], at) => {
      const key = newKey();
      await database.query(
        `INSERT INTO api_keys (id, prefix, name, role, digest, created_at, created_by, expires_at, revoked_at)
         VALUES ($1, $2, $3, $4, $5, ${createdAt}, 'key:somebody', ${expiresAt}, ${revokedAt})`,
        [randomUUID(), key.slice(0, 12), `key ${at}`, role, pepper.digestOf(key)],
      );
      return key;
    }),
  );
  const columns = 'id, prefix, name, digest, created_at, created_by, expires_at, revoked_at';
  const before = await database.query(`SELECT ${columns}, ARRAY[role] AS roles FROM api_keys ORDER BY name`);

  await database.migrate();
  expect(await database.query(`SELECT ${columns}, roles FROM api_keys ORDER BY name`)).toEqual(before);
  using ring = new KeyRing({ database, pepper });
  await ring.load();
  const seen = keys.map((key) => {
    try {
      const { roles, tenantId, projectId, tier, endpoints } = ring.authenticate(`Bearer ${key}`);
      // The platform's own, in its tier: nothing that they could do before is bounded now.
      expect({ tenantId, projectId, tier, endpoints }).toEqual({
        tenantId: defaultTenantId,
        projectId: defaultProjectId,
        tier: 'internal',
        endpoints: undefined,
      });
      return roles;
    } catch (failure) {
      return (failure as { code: string }).code;
    }
  });
  const refused = 'SLU_ACCESS_KEY_INVALID';
  expect(seen).toEqual([['admin'], ['operator'], ['caller'], refused, refused]);
});

it('keeps every request record where its day finds it, when they go by days (0014)', async () => {
  await using db = await leftBefore(14);
  const { database } = db;
  const moments = [
    `now() - interval '400 days'`,
    `now() - interval '29 days'`,
    `date_trunc('day', now(), 'UTC')`,
    'now()',
    // Of clocks that ran ahead.
    `date_trunc('day', now(), 'UTC') + interval '1 day'`,
    `now() + interval '3 days'`,
  ];
  const ids: string[] = [];
  for (const moment of moments) {
    const id = randomUUID();
    ids.push(id);
    await database.query(
      `INSERT INTO request_records (request_id, at, key_id, endpoint, model, version, arm, revision, status, error_code, rows,
         bytes_in, bytes_out, queue_ms, model_ms, total_ms, trace_id, outcome, is_streamed, prompt_tokens,
         completion_tokens, first_token_ms)
       VALUES ($1, ${moment}, $2, 'chat', 'm', '7', 'candidate', 3, 503, 'SLU_INTERNAL', 2, 10, 20, 0.5, 1.5, 2.5, 'trace',
         'model', true, 5, 6, 7.5)`,
      [id, randomUUID()],
    );
  }
  const before = await database.query<object>('SELECT * FROM request_records ORDER BY at');

  await database.migrate();
  // They say nothing of tenants, projects and subjects: such things were not told apart.
  const unknown = { tenant_id: null, project_id: null, subject: null };
  expect(await database.query('SELECT * FROM request_records ORDER BY at')).toEqual(
    before.map((row) => ({ ...row, ...unknown })),
  );
  const places = await database.query<{ place: string }>(
    'SELECT tableoid::regclass::text AS place FROM request_records ORDER BY at',
  );
  expect(places.map(({ place }) => place)).toEqual([
    ...Array<string>(4).fill('request_records_before'),
    ...Array<string>(2).fill('request_records_rest'),
  ]);
  // A day that gets its place takes in what was early for it.
  await database.query('SELECT make_request_day(day) FROM generate_series(0, 5) AS day');
  const archive = new RequestArchive(database);
  const everything = { since: new Date('2000-01-01'), until: new Date(Date.now() + 10 * 86_400_000) };
  const { requests } = await archive.page(everything, {}, 100);
  expect(requests.map(({ requestId }) => requestId).reverse()).toEqual(ids);
  expect(requests[0]).toMatchObject({
    arm: 'candidate',
    status: 503,
    promptTokens: 5,
    firstTokenMs: 7.5,
    tenantId: null,
  });
  for (const id of ids) expect((await archive.get(id, {})).requestId).toBe(id);
  expect((await archive.page(everything, { tenantId: randomUUID() }, 100)).requests).toEqual([]);
});
