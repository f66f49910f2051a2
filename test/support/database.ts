import { applicationRole, Database } from '#libs/store';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export interface FreshDatabase extends AsyncDisposable {
  url: string;
  name: string;
  database: Database;
  /** Makes a login of the application's own, as an administrator would. @returns its address; gone with the database */
  applicationUrl(): Promise<string>;
  /** Cuts all connections and refuses new ones, as when PostgreSQL is down. */
  takeAway(): Promise<void>;
  giveBack(): Promise<void>;
}

/**
 * A migrated database of its own on the run's PostgreSQL, dropped at the end.
 * @param isMigrated false: an empty one
 */
export async function freshDatabase(isMigrated = true): Promise<FreshDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = inject('postgresTemplate').replace('{database}', name);
  await asAdmin(`CREATE DATABASE ${name}`);
  const database = await Database.connect({ url, applicationName: 'test' });
  if (isMigrated) await database.migrate();
  const logins: string[] = [];
  return {
    url,
    name,
    database,
    applicationUrl: async () => {
      const login = `${name}_app_${logins.length}`;
      await asAdmin(`CREATE ROLE ${login} LOGIN PASSWORD 'application' IN ROLE ${applicationRole}`);
      logins.push(login);
      return Object.assign(new URL(url), { username: login, password: 'application' }).href;
    },
    takeAway: async () => {
      await asAdmin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await asAdmin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
    },
    giveBack: async () => asAdmin(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`),
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]();
      await asAdmin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      for (const login of logins) await asAdmin(`DROP ROLE ${login}`);
    },
  };
}

async function asAdmin(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresTemplate').replace('{database}', 'postgres') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
