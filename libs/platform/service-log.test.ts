import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { serviceLog } from './service-log.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-log-'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

it('keeps lines from other users’ eyes, and begins anew beyond its limit', async () => {
  const file = join(folder, 'logs', 'postgres.log');
  const say = serviceLog(file);
  say('one');
  expect((await stat(file)).mode & 0o007).toBe(0);
  await truncate(file, 17 * 1_024 * 1_024);
  say('two');
  expect(await readFile(file, 'utf8')).toBe('two\n');
  expect((await stat(`${file}.1`)).size).toBeGreaterThan(16 * 1_024 * 1_024);
});

it('loses a line rather than the process when it cannot be written', async () => {
  const say = serviceLog(join(folder, 'a.log'));
  await rm(folder, { recursive: true });
  await writeFile(folder, 'a file stands here');
  expect(() => say('lost')).not.toThrow();
});
