import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedPostgres, type TemporalServer } from '#libs/platform';
import { Database } from '#libs/store';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { SluiceInstance } from '../support/sluice-instance.js';
import { startTemporal } from '../support/temporal.js';

let temporal: TemporalServer;
beforeAll(async () => {
  temporal = await startTemporal();
});
afterAll(async () => temporal?.stop());

const start = (env: Record<string, string> = {}, home?: string): Promise<SluiceInstance> =>
  SluiceInstance.start({ env: { TEMPORAL_ADDRESS: temporal.address, ...env }, ...(home !== undefined && { home }) });

const readiness = async (sluice: SluiceInstance): Promise<unknown> =>
  (await fetch(`${sluice.base}/v2/health/ready`)).json();

/** A request of each plane, with its audit rows, and the verification of the whole trail. */
async function expectOrdinaryWork(sluice: SluiceInstance): Promise<void> {
  const input = { name: 'text', datatype: 'BYTES', shape: [1], data: ['you are not alone'] };
  expect((await sluice.call('POST', '/v2/models/tone/infer', { inputs: [input] })).status).toBe(200);
  const made = await sluice.call('POST', '/api/keys', { name: 'by the application', role: 'caller' });
  expect(made.status).toBe(201);
  expect((await sluice.call('DELETE', `/api/keys/${made.body.id}`)).status).toBeLessThan(300);
  expect((await sluice.call('GET', '/api/audit/verify')).body).toMatchObject({ isClean: true, findings: [] });
}

async function expectWall(url: string): Promise<void> {
  await using login = await Database.connect({ url, applicationName: 'attack', isRestricted: true });
  expect(login.wallGaps).toEqual([]);
  for (const statement of [
    `UPDATE audit_events SET actor = 'x'`,
    'DELETE FROM audit_blocks',
    'DROP TABLE audit_checkpoints',
    'ALTER TABLE audit_events DISABLE TRIGGER ALL',
    'SET ROLE sluice',
    `COPY (SELECT 1) TO PROGRAM 'true'`,
    'SELECT * FROM pg_authid',
    'CREATE TEMP TABLE audit_retention (days int)',
  ])
    await expect(login.query(statement), statement).rejects.toThrow(/permission denied|must be owner/);
}

describe('on the embedded PostgreSQL', () => {
  let home: string;
  let address: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'sluice-login-'));
  });
  afterAll(async () => rm(home, { recursive: true, force: true }));

  it("serves as a login that owns nothing, and gives the owner's to no process", async () => {
    await using sluice = await start({}, home);
    await expectOrdinaryWork(sluice);
    const passwords = await Promise.all(
      ['password', 'password-sluice_app'].map((name) => readFile(join(home, 'postgres', name), 'utf8')),
    );
    const [owners, applications] = passwords.map((password) => password.trim());
    expect(owners).not.toBe(applications);
    expect((await stat(join(home, 'postgres', 'password-sluice_app'))).mode & 0o777).toBe(0o600);
    for (const kind of ['api', 'worker'] as const) {
      const environment = await sluice.environmentOf((await sluice.pids(kind))[0]);
      address = environment['DATABASE_URL']!;
      expect([new URL(address).username, new URL(address).password]).toEqual(['sluice_app', applications]);
      expect(JSON.stringify(environment)).not.toContain(owners);
    }
    expect(await readiness(sluice)).toEqual({ ready: true });
    expect(sluice.output).not.toContain('WARNING');
    const { body: metrics } = await sluice.call('GET', '/metrics');
    expect(metrics).toMatch(/^sluice_audit_database_wall(\{.*\})? 1( \d+)?$/m);
    await expectWall(address);
    await using launchers = await Database.connect({ url: address, applicationName: 'look' });
    const sessions = await launchers.query<{ name: string }>(
      `SELECT DISTINCT usename AS name FROM pg_stat_activity WHERE datname = 'sluice'`,
    );
    expect(sessions).toEqual([{ name: 'sluice_app' }]);
    const elsewhere = Object.assign(new URL(address), { pathname: '/postgres' }).href;
    await expect(Database.connect({ url: elsewhere, applicationName: 'look' })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('permission denied for database') },
    });
  });

  it('takes over the folder of a release before, whose role was no login and had every new table', async () => {
    await makeOld(join(home, 'postgres'));
    await using sluice = await start({}, home);
    await expectOrdinaryWork(sluice);
    expect(await readiness(sluice)).toEqual({ ready: true });
    const [pid] = await sluice.pids('api');
    await expectWall((await sluice.environmentOf(pid))['DATABASE_URL']!);
    expect((await stat(join(home, 'postgres', 'password-sluice_app'))).mode & 0o777).toBe(0o600);
  });

  it('sets back a password that the login changed of itself', async () => {
    {
      await using postgres = await EmbeddedPostgres.start({ folder: join(home, 'postgres') });
      await using login = await Database.connect({
        url: await postgres.login('sluice_app', 'sluice'),
        applicationName: 'attack',
      });
      await login.query(`ALTER ROLE current_user PASSWORD 'mine'`);
      await login.query(`ALTER ROLE current_user SET search_path = pg_temp`);
    }
    await using sluice = await start({}, home);
    await expectOrdinaryWork(sluice);
  });
});

/** What the release before left: one login, the role as its mask, and all tables to come granted. */
async function makeOld(folder: string): Promise<void> {
  await using postgres = await EmbeddedPostgres.start({ folder });
  const owner = new pg.Client({ connectionString: postgres.url('sluice') });
  await owner.connect();
  try {
    await owner.query(`
      DELETE FROM schema_migrations WHERE name LIKE 'ApplicationWall%';
      ALTER ROLE sluice_app NOLOGIN PASSWORD NULL;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sluice_app;
      GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sluice_app;
      ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sluice_app;
      ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO sluice_app;
      GRANT CONNECT, TEMPORARY ON DATABASE sluice, postgres TO PUBLIC`);
  } finally {
    await owner.end();
  }
  await rm(join(folder, 'password-sluice_app'));
}

describe('on a PostgreSQL of its own', () => {
  let db: FreshDatabase;
  beforeAll(async () => {
    db = await freshDatabase();
  });
  afterAll(async () => db?.[Symbol.asyncDispose]());

  it('says aloud that there is no wall when the one login that it is given owns the tables', async () => {
    await using sluice = await start({ DATABASE_URL: db.url });
    await expectOrdinaryWork(sluice);
    expect(await readiness(sluice)).toEqual({
      ready: true,
      notices: [expect.stringContaining('could change the audit trail')],
    });
    expect(sluice.output).toContain('WARNING: the audit trail has no wall: the login of DATABASE_URL is a superuser');
    for (const name of ['api', 'worker'])
      expect(await readFile(join(sluice.home, 'logs', `${name}.log`), 'utf8')).toContain('"gaps":["is a superuser"]');
    const { body: metrics } = await sluice.call('GET', '/metrics');
    expect(metrics).toMatch(/^sluice_audit_database_wall(\{.*\})? 0( \d+)?$/m);
  });

  it("needs no owner's login where it serves, once `migrate` has run with it elsewhere", async () => {
    const env = { DATABASE_URL: await db.applicationUrl() };
    await db.database.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC');
    await expect(start(env)).rejects.toThrow(/setting SLUICE_DATABASE_OWNER_URL: must name the login that owns/);
    const cli = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url));
    const migrated = await promisify(execFile)(process.execPath, [cli, 'migrate'], {
      env: { ...process.env, ...env, SLUICE_DATABASE_OWNER_URL: db.url },
    });
    expect(migrated.stdout).toContain('ApplicationWall');
    await using sluice = await start(env);
    await expectOrdinaryWork(sluice);
    expect(await readiness(sluice)).toEqual({ ready: true });
    await expect(start({ ...env, SLUICE_AUDIT_RETENTION_DAYS: '30' })).rejects.toThrow(
      /SLUICE_AUDIT_RETENTION_DAYS: is 30, and the database keeps audit rows for 2192 days/,
    );
  });
});
