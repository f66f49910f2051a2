import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openPrivateFolder } from './private-folder.js';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'sluice-private-'));
});
afterEach(async () => rm(base, { recursive: true, force: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

it('lets only its owner in, also into a folder that was open before', async () => {
  await openPrivateFolder(join(base, 'new'));
  expect(await modeOf(join(base, 'new'))).toBe(0o700);
  await mkdir(join(base, 'old'), { mode: 0o755 });
  await openPrivateFolder(join(base, 'old'));
  expect(await modeOf(join(base, 'old'))).toBe(0o700);
});

it('refuses a link in its stead, and leaves what the link leads to as it was', async () => {
  await mkdir(join(base, 'elsewhere'), { mode: 0o755 });
  await symlink(join(base, 'elsewhere'), join(base, 'link'));
  await expect(openPrivateFolder(join(base, 'link'))).rejects.toThrow('it is not a folder of this user');
  expect(await modeOf(join(base, 'elsewhere'))).toBe(0o755);
});

it('refuses a file in its stead', async () => {
  await writeFile(join(base, 'file'), '');
  await expect(openPrivateFolder(join(base, 'file'))).rejects.toThrow('it is not a folder of this user');
});
