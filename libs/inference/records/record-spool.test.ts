import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { expect, it } from 'vitest';
import { RecordSpool } from './record-spool.js';

it('removes what a crash cut off, and not what another process may be writing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-spool-'));
  try {
    for (const name of ['old.ndjson.part', 'young.ndjson.part']) await writeFile(join(folder, name), '{"half');
    await utimes(join(folder, 'old.ndjson.part'), new Date(0), new Date(0));
    const spool = await RecordSpool.open({ folder, log: pino({ level: 'silent' }) });
    expect(await readdir(folder)).toEqual(['young.ndjson.part']);
    expect(spool.size).toEqual({ batches: 0, bytes: 0 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
