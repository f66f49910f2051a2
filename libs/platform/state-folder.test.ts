import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StateFolder } from './state-folder.js';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'sluice-state-'));
});
afterEach(async () => rm(base, { recursive: true, force: true }));

const open = (): Promise<StateFolder> => StateFolder.open(join(base, 'home'), join(base, 'run'), '1.2.3');

it('has one owner at a time, and is free again when the owner lets go', async () => {
  const first = await open();
  await expect(open()).rejects.toThrow(/is running already on .*SLUICE_HOME/);
  await first[Symbol.asyncDispose]();
  await using second = await open();
  expect(second.wasLeftBehind).toBe(false);
});

it('refuses a folder that a newer release wrote, and says which', async () => {
  await mkdir(join(base, 'home'));
  await writeFile(join(base, 'home', 'state.json'), JSON.stringify({ stateVersion: 99, release: '9.0.0' }));
  await expect(open()).rejects.toThrow(/written by a newer release of Sluice \(9\.0\.0/);
});

it('refuses a record that is cut off instead of starting anew over somebody’s data', async () => {
  await mkdir(join(base, 'home'));
  await writeFile(join(base, 'home', 'state.json'), '{"stateVer');
  await expect(open()).rejects.toThrow(/is not JSON/);
});

it('makes one master key, for its owner only, and keeps it', async () => {
  await using folder = await open();
  const key = await folder.masterKey();
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(await folder.masterKey()).toBe(key);
  expect((await stat(join(base, 'home', 'master-key'))).mode & 0o777).toBe(0o600);
});

it('refuses a damaged master key, since a new one would make every API key worthless', async () => {
  await using folder = await open();
  await writeFile(join(base, 'home', 'master-key'), 'oops');
  await expect(folder.masterKey()).rejects.toThrow(/restore it from a backup/);
});

it('says in plain words that the folder cannot be made', async () => {
  await writeFile(join(base, 'home'), 'a file stands here');
  await expect(open()).rejects.toThrow(/the state folder .* cannot be made/);
});

it('remembers between starts', async () => {
  {
    await using folder = await open();
    await folder.remember({ hasSamples: true });
  }
  await using again = await open();
  expect(again.record).toMatchObject({ hasSamples: true, release: '1.2.3' });
  expect(JSON.parse(await readFile(join(base, 'home', 'state.json'), 'utf8'))).toMatchObject({ stateVersion: 1 });
});

it('gives a lock that a crash left behind to one of several that find it at once', async () => {
  await mkdir(join(base, 'run'), { mode: 0o700 });
  await leaveSocketBehind(join(base, 'run', 'launcher.sock'));
  const taken = await Promise.allSettled([open(), open(), open()]);
  const owners = taken.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  expect(owners.map(({ wasLeftBehind }) => wasLeftBehind)).toEqual([true]);
  await Promise.all(owners.map((owner) => owner[Symbol.asyncDispose]()));
});

it('closes to others what requests, models and rollouts leave in it', async () => {
  await mkdir(join(base, 'home', 'logs'), { recursive: true, mode: 0o755 });
  await using _folder = await open();
  for (const name of ['artifacts', 'logs', 'spool', 'temporal']) {
    expect([name, (await stat(join(base, 'home', name))).mode & 0o777]).toEqual([name, 0o700]);
  }
});

/** As after SIGKILL: the file stays, nobody listens. */
async function leaveSocketBehind(path: string): Promise<void> {
  const listener = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', listener]), 'exit');
}
