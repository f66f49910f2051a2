import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toolsFolder } from './temporal.ts';

const run = promisify(execFile);

/**
 * Unpacks one package of Debian beside the other tools, without installing it.
 * @returns its folder, or undefined where there is no apt
 */
export async function debianPackage(name: string): Promise<string | undefined> {
  const place = join(toolsFolder, `debian-${name}`);
  if (existsSync(place)) return place;
  if (!existsSync('/usr/bin/apt-get')) return undefined;
  await mkdir(toolsFolder, { recursive: true });
  const folder = await mkdtemp(join(toolsFolder, '.debian-'));
  try {
    const download = () => run('apt-get', ['download', name], { cwd: folder });
    // A machine that is new knows no packages yet.
    await download().catch(async () => {
      await run('apt-get', ['update']);
      await download();
    });
    const file = (await readdir(folder)).find((each) => each.endsWith('.deb'));
    if (file === undefined) throw new Error(`apt-get left no package of ${name}`);
    await run('dpkg', ['-x', join(folder, file), join(folder, 'root')]);
    await rename(join(folder, 'root'), place).catch((failure: NodeJS.ErrnoException) => {
      if (!existsSync(place)) throw failure;
    });
    return place;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
