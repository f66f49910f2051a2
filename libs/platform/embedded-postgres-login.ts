import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { replaceFile } from './state-folder.js';

/** @returns the password that the file keeps; made at the first asking, mode 0600 */
export async function keptPassword(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch((failure: NodeJS.ErrnoException) => {
    if (failure.code === 'ENOENT') return '';
    throw failure;
  });
  if (kept.trim() !== '') return kept.trim();
  const made = randomBytes(24).toString('base64url');
  await replaceFile(file, `${made}\n`, 0o600);
  return made;
}

export interface PostgresLogin {
  role: string;
  password: string;
  /** The one database that it may enter. */
  database: string;
}

/**
 * Makes a role that may log in to one database and may do nothing that is not granted to it, and nothing else may enter
 * besides superusers. Sets back what the role could have changed of itself, the password too.
 * @param client a superuser
 */
export async function ensureLogin(client: pg.ClientBase, { role, password, database }: PostgresLogin): Promise<void> {
  const [name, place] = [pg.escapeIdentifier(role), pg.escapeIdentifier(database)];
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
  for (const statement of [
    ...(rowCount === 0 ? [`CREATE ROLE ${name}`] : []),
    `ALTER ROLE ${name} RESET ALL`,
    `ALTER ROLE ${name} IN DATABASE ${place} RESET ALL`,
    `ALTER ROLE ${name} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
       VALID UNTIL 'infinity' PASSWORD ${pg.escapeLiteral(scramVerifier(password))}`,
    `REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1, ${place} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${place} TO ${name}`,
  ])
    await client.query(statement);
}

const iterations = 4_096;
const keyBytes = 32;

/**
 * What PostgreSQL keeps of a password (RFC 5803), so that the password itself is in no statement, and so in no log.
 * @param password ASCII, since nothing is normalised here
 */
export function scramVerifier(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, keyBytes, 'sha256');
  const keyOf = (label: string): Buffer => createHmac('sha256', salted).update(label).digest();
  const storedKey = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${keyOf('Server Key').toString('base64')}`;
}
