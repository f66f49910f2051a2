import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keptPassword, scramVerifier } from './embedded-postgres-login.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-password-'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

it('keeps a password for its owner alone, and makes another for a file that was cut off', async () => {
  const file = join(folder, 'password');
  const made = await keptPassword(file);
  expect(made.length).toBeGreaterThanOrEqual(32);
  expect(await keptPassword(file)).toBe(made);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await writeFile(file, '');
  const again = await keptPassword(file);
  expect([again === made, again.length]).toEqual([false, made.length]);
  expect(await readFile(file, 'utf8')).toBe(`${again}\n`);
});

// The example of RFC 7677, section 3: its server signature comes from this server key.
it('derives what PostgreSQL keeps as the RFC says', () => {
  const verifier = scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
  expect(verifier).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});
