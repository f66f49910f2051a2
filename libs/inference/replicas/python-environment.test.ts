import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { pathWithUv } from '../../../test/support/python-environment.js';
import { PythonEnvironments, type PythonFramework } from './python-environment.js';

let folder: string;
let framework: PythonFramework;
const lines: string[] = [];
const never = new AbortController().signal;

let searchPath: string;
// Both fetch from a registry.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

beforeAll(async () => {
  searchPath = await pathWithUv();
});

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pyenv-'));
  lines.length = 0;
  framework = await frameworkOf('six==1.17.0\n');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function frameworkOf(requirements: string): Promise<PythonFramework> {
  const file = path.join(folder, 'requirements.txt');
  await writeFile(file, requirements);
  return { name: 'six', requirements: [file], pythons: [8, 30], roomBytes: 1 };
}

const environments = (env: Record<string, string> = {}): PythonEnvironments =>
  new PythonEnvironments({
    toolsFolder: path.join(folder, 'tools'),
    env: { ...process.env, PATH: searchPath, ...env },
  });

const say = (line: string): void => void lines.push(line);

/** A `python3` that notes each start, and then is the real one. */
async function countingPython(): Promise<{ PATH: string; starts: () => Promise<number> }> {
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  const notes = path.join(folder, 'notes');
  await mkdir(notes);
  const script = `#!/bin/sh\ncase "$*" in *venv*) mktemp -p ${notes} >/dev/null;; esac\nPATH=\${PATH#*:} exec python3 "$@"\n`;
  await writeFile(path.join(bin, 'python3'), script);
  await chmod(path.join(bin, 'python3'), 0o755);
  return { PATH: `${bin}:${searchPath}`, starts: async () => (await readdir(notes)).length };
}

it('makes an environment once for all that ask at the same time, in two launchers as well, and finds it afterwards', async () => {
  const { PATH, starts } = await countingPython();
  const [one, other] = [environments({ PATH }), environments({ PATH })];
  expect(one.find(framework)).toBeUndefined();
  const pythons = await Promise.all([
    one.make(framework, never, say),
    one.make(framework, never, say),
    other.make(framework, never, say),
  ]);
  expect(new Set(pythons).size).toBe(1);
  expect(await starts()).toBe(1);
  expect(one.find(framework)).toBe(pythons[0]);
  expect(lines.join('\n')).toMatch(/six/);
});

it("makes it with pip where pip's own settings say where packages come from", async () => {
  const settings = path.join(folder, 'pip.conf');
  await writeFile(settings, '[install]\nno-index = false\n');
  const made = environments({ PIP_CONFIG_FILE: settings });
  const python = await made.make(framework, never, say);
  expect(existsSync(path.join(path.dirname(python), 'pip'))).toBe(true);
  expect(lines.join('\n')).toContain('Successfully installed six-1.17.0');
});

it('makes a new one for other requirements, and removes that of earlier ones', async () => {
  const made = environments();
  const earlier = await made.make(framework, never, say);
  framework = await frameworkOf('six==1.16.0\n');
  expect(made.find(framework)).toBeUndefined();
  const later = await made.make(framework, never, say);
  expect(later).not.toBe(earlier);
  expect(existsSync(earlier)).toBe(false);
});

it('says why it could not be made, leaves nothing half-made, and tries again when asked again', async () => {
  const wrong = await frameworkOf('six==0.0.1\n');
  await expect(environments().make(wrong, never, say)).rejects.toThrow(
    /the Python environment for six could not be made .*six==0\.0\.1/,
  );
  expect(await readdir(path.join(folder, 'tools'))).toEqual([]);
  await expect(environments().make(await frameworkOf('six==1.17.0\n'), never, say)).resolves.toContain('python-six-');
});

it('removes what a crash left half-made, and a lock that nobody holds any more', async () => {
  const made = environments();
  const python = await made.make(framework, never, say);
  const environment = path.dirname(path.dirname(python));
  await rm(path.join(environment, 'complete'));
  await writeFile(path.join(environment, 'half'), '');
  await writeFile(`${environment}.lock`, '');
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(`${environment}.lock`, longAgo, longAgo);
  await made.make(framework, never, say);
  expect(existsSync(path.join(environment, 'half'))).toBe(false);
  expect(existsSync(`${environment}.lock`)).toBe(false);
});

it('ends the work when the last one that waits gives up, and not before', async () => {
  const made = environments();
  const [first, second] = [new AbortController(), new AbortController()];
  let begin!: () => void;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const one = made.make(framework, first.signal, begin);
  const two = made.make(framework, second.signal, say);
  await begun;
  first.abort(new Error('enough'));
  await expect(one).rejects.toThrow('enough');
  second.abort(new Error('enough as well'));
  await expect(two).rejects.toThrow('enough as well');
  expect(await readdir(path.join(folder, 'tools'))).toEqual([]);
  await expect(made.make(framework, never, say)).resolves.toContain('python-six-');
});

it.each<[string, Partial<PythonFramework>, Record<string, string>, RegExp]>([
  [
    'a Python that is too old',
    { pythons: [98, 99] },
    {},
    /needs Python 3\.98 to 3\.99 .*: name another by SLUICE_PYTHON/,
  ],
  ['a PATH without Python', {}, { PATH: '/nowhere' }, /there is no python3 on the PATH/],
  ['a named Python that is not there', {}, { SLUICE_PYTHON: '/no/python' }, /\/no\/python does not run/],
  ['a full disk', { roomBytes: 2 ** 60 }, {}, /needs 1073741824\.0 GiB below .* are free/],
])('refuses %s in a sentence', async (_what, change, env, reason) => {
  await expect(environments(env).make({ ...framework, ...change }, never, say)).rejects.toThrow(reason);
});
