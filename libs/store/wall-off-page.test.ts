import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it } from 'vitest';
import { EmbeddedPostgres } from '#libs/platform';
import { Database } from './database.js';

const page = new URL('../../docs/how-to/wall-off-the-database.md', import.meta.url);

it('stands when an administrator runs what the page says, and not before', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-wall-'));
  try {
    await using postgres = await EmbeddedPostgres.start({ folder, isDurable: false });
    const administrator = new pg.Client({ connectionString: postgres.url('postgres') });
    await administrator.connect();
    const [, sql = ''] = /```sql\n([\s\S]*?)```/.exec(await readFile(page, 'utf8'))!;
    for (const statement of sql.split(';\n').filter(Boolean)) await administrator.query(statement);
    await administrator.end();
    const urlOf = (username: string, password: string): string =>
      Object.assign(new URL(postgres.url('sluice')), { username, password }).href;

    await using owner = await Database.connect({
      url: urlOf('sluice_owner', 'password-of-the-owner'),
      applicationName: 'migration',
    });
    expect((await owner.migrate('sluice_app')).length).toBeGreaterThan(10);
    const url = urlOf('sluice_app', 'password-of-the-application');
    await using application = await Database.connect({ url, applicationName: 'api', isRestricted: true });
    expect([application.isRestricted, application.wallGaps]).toEqual([true, []]);
    await expect(application.query('SET ROLE sluice_owner')).rejects.toThrow('permission denied');
    await expect(application.query('CREATE TEMP TABLE mine (id int)')).rejects.toThrow('permission denied');
    // The owner in the application's place is no wall, however little it is a superuser.
    await using alone = await Database.connect({
      url: urlOf('sluice_owner', 'password-of-the-owner'),
      applicationName: 'api',
      isRestricted: true,
    });
    expect(alone.wallGaps[0]).toMatch(/^owns the database/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
