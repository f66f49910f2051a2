import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { toolsFolder } from './temporal.ts';

const run = promisify(execFile);
const installing = new Map<string, Promise<string>>();

/**
 * A virtual environment with the given packages, made once per checkout and kept for later runs.
 * @param interpreter the Python that it is made with
 * @returns the path of its `python`
 */
export function pythonEnvironment(name: string, packages: readonly string[], interpreter = 'python3'): Promise<string> {
  const digest = createHash('sha256')
    .update([interpreter, ...packages].join('\n'))
    .digest('hex')
    .slice(0, 10);
  const folder = join(toolsFolder, `${name}-${digest}`);
  let work = installing.get(folder);
  if (work === undefined) installing.set(folder, (work = install(folder, packages, interpreter)));
  return work;
}

/** The PATH with `uv` behind the rest: its environment has a python3 too, which is not the one to build on. */
export async function pathWithUv(): Promise<string> {
  const uv = dirname(await pythonEnvironment('uv', ['uv==0.13.9']));
  return `${process.env['PATH']}${delimiter}${uv}`;
}

async function install(folder: string, packages: readonly string[], interpreter: string): Promise<string> {
  const marker = join(folder, 'complete');
  const python = join(folder, 'bin', 'python');
  if (existsSync(marker)) return python;
  await mkdir(toolsFolder, { recursive: true });
  // A virtual environment does not bear to be moved, so a half-made one is removed and not renamed.
  await rm(folder, { recursive: true, force: true });
  await run(interpreter, ['-m', 'venv', folder]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  await run(python, [...pip, ...packages], { maxBuffer: 1e8 });
  await mkdir(`${marker}.new`);
  await rename(`${marker}.new`, marker);
  return python;
}
