import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it } from 'vitest';
import { EmbeddedPostgres } from './embedded-postgres.js';

it('keeps its rows over a stop and a start, below a folder that only its owner may enter', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pg-'));
  try {
    {
      await using first = await EmbeddedPostgres.start({ folder, isDurable: false });
      await first.createDatabase('kept');
      await query(first.url('kept'), 'CREATE TABLE t AS SELECT 42 AS answer');
    }
    await using second = await EmbeddedPostgres.start({ folder, isDurable: false });
    expect(await query(second.url('kept'), 'SELECT answer FROM t')).toEqual([{ answer: 42 }]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('begins anew after a first start that was cut off, and leaves nothing of it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pg-'));
  try {
    await mkdir(join(folder, 'data.cutoff'));
    await writeFile(join(folder, 'data.cutoff', 'PG_VERSION'), '18\n');
    await using postgres = await EmbeddedPostgres.start({ folder, isDurable: false });
    expect(await query(postgres.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await readdir(folder)).filter((name) => name.startsWith('data'))).toEqual(['data']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
