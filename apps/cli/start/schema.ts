import { sluiceError } from '#libs/kernel';
import type { SluiceConfig } from '#libs/platform';
import { Database } from '#libs/store';

/**
 * Brings the schema to this release, and gives the login of the serving processes its rights. The connection of the
 * owner ends with it.
 * @returns names of what was applied
 * @throws SLU_PLATFORM_SETTING when the login may not change what has to be changed
 */
export async function bringSchemaUpToDate(
  ownerUrl: string,
  config: Pick<SluiceConfig, 'databaseUrl' | 'auditRetentionDays'>,
): Promise<string[]> {
  await using owner = await Database.connect({ url: ownerUrl, applicationName: 'sluice-migration', poolSize: 4 });
  const applied = await owner.migrate(loginOf(config.databaseUrl));
  await keepRetention(owner, config.auditRetentionDays);
  return applied;
}

/** The database itself refuses to let rows go before, so it has to know. */
async function keepRetention(owner: Database, days: number): Promise<void> {
  const [kept] = await owner.query<{ days: number; isOwn: boolean }>(
    `SELECT days, has_table_privilege('audit_retention', 'UPDATE') AS "isOwn" FROM audit_retention`,
  );
  if (kept?.days === days) return;
  if (kept?.isOwn === false)
    throw sluiceError('SLU_PLATFORM_SETTING', {
      name: 'SLUICE_AUDIT_RETENTION_DAYS',
      problem: `is ${days}, and the database keeps audit rows for ${kept.days} days, which only the owner of the tables may change: set SLUICE_DATABASE_OWNER_URL, or run npm run migrate with it`,
    });
  await owner.query('UPDATE audit_retention SET days = $1', [days]);
}

function loginOf(url: string | undefined): string | undefined {
  const user = url === undefined ? '' : decodeURIComponent(new URL(url).username);
  return user === '' ? undefined : user;
}
