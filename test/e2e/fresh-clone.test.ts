import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { freePort } from '#libs/platform';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

let clone: string;
let port: number;
const started: ChildProcess[] = [];

// One clone for the file: each test starts from where the one before it has left the folder, as a user would.
beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), 'sluice-clone-'));
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: 1e8,
  });
  for (const file of stdout.split('\0').filter(Boolean)) {
    await mkdir(dirname(join(clone, file)), { recursive: true });
    await cp(join(root, file), join(clone, file)).catch(() => undefined);
  }
  port = await freePort();
});
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await rm(clone, { recursive: true, force: true, maxRetries: 10, retryDelay: 500 });
});

it('starts by the README’s command, and the pasted curl line answers what was promised', async () => {
  const readme = await readFile(join(clone, 'README.md'), 'utf8');
  expect(shellBlocks(readme)).toContain('npm start');
  expect(shellBlocks(readme)).toContain('npm test');

  const sluice = npmStart();
  await sluice.prints('is ready.');
  const promised = sluice.output().split('It answers:')[1]!.trim().split('\n')[0]!.trim();
  const line = sluice
    .output()
    .split('\n')
    .find((each) => each.trim().startsWith('curl '))!;
  const { stdout } = await run('sh', ['-c', line.trim()], { cwd: clone });
  expect(JSON.parse(stdout)).toEqual(JSON.parse(promised));
  expect(JSON.parse(stdout).outputs[0].data).toEqual(['supportive']);

  expect((await stat(join(clone, '.sluice', 'admin-key'))).mode & 0o777).toBe(0o600);
  expect((await fetch(`http://127.0.0.1:${port}/v2/health/ready`)).status).toBe(200);
  expect(await exitOf(sluice.child, 'SIGINT')).toBe(0);
  await expectNothingLeft();
}, 400_000);

it('starts again without setting anything up, and refuses a second start on the same folder', async () => {
  const sluice = npmStart();
  await sluice.prints('is ready.');
  expect(sluice.output()).not.toMatch(/npm ci|compiling|registering/);
  const second = npmStart({ SLUICE_PORT: String(await freePort()) });
  expect(await exited(second.child)).toBe(1);
  expect(second.output()).toMatch(/running already on .*SLUICE_HOME/);
  expect(await exitOf(sluice.child, 'SIGTERM')).toBe(0);
  await expectNothingLeft();
});

it('leaves no orphan when the launcher is killed, and starts again over what it left', async () => {
  const sluice = npmStart();
  await sluice.prints('is ready.');
  const launcher = (await processes()).find(({ commandLine }) => commandLine.includes('apps/cli/main.js'))!;
  process.kill(launcher.pid, 'SIGKILL');
  await exited(sluice.child);
  const again = npmStart();
  await again.prints('is ready.');
  expect(await exitOf(again.child, 'SIGTERM')).toBe(0);
  await expectNothingLeft();
});

it('stops hard at the second Ctrl-C', async () => {
  const sluice = npmStart();
  await sluice.prints('is ready.');
  const launcher = (await processes()).find(({ commandLine }) => commandLine.includes('apps/cli/main.js'))!;
  process.kill(launcher.pid, 'SIGINT');
  await sluice.prints('again to stop at once');
  process.kill(launcher.pid, 'SIGINT');
  expect(await exited(sluice.child)).not.toBe(0);
  await expectNothingLeft();
});

it('says which port is in use and what to do', async () => {
  const taken = await listenOn(port);
  const sluice = npmStart();
  expect(await exited(sluice.child)).toBe(1);
  expect(sluice.output()).toContain(`port ${port} on 127.0.0.1 is in use`);
  expect(sluice.output()).toContain('SLUICE_PORT');
  await new Promise((resolve) => taken.close(resolve));
});

it('says that Python is missing when Temporal has to be fetched with it, and what else helps', async () => {
  const home = join(clone, 'no-python');
  const sluice = npmStart({ SLUICE_HOME: home }, await folderWithoutPython());
  expect(await exited(sluice.child)).toBe(1);
  expect(sluice.output()).toMatch(/no python3 on the PATH/);
  expect(sluice.output()).toMatch(/TEMPORAL_ADDRESS/);
  await expectNothingLeft();
}, 240_000);

it('refuses the folder of a newer release, in one sentence', async () => {
  const file = join(clone, '.sluice', 'state.json');
  const kept = await readFile(file, 'utf8');
  await writeFile(file, JSON.stringify({ stateVersion: 99, release: '9.9.9' }));
  const sluice = npmStart();
  expect(await exited(sluice.child)).toBe(1);
  expect(sluice.output()).toMatch(/written by a newer release of Sluice \(9\.9\.9/);
  await writeFile(file, kept);
});

interface Started {
  child: ChildProcess;
  output(): string;
  prints(text: string): Promise<void>;
}

function npmStart(env: Record<string, string> = {}, path = pathOfAUser()): Started {
  // The variables that npm sets for this very run would change what a fresh `npm start` does.
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_|^SLUICE_|^VITEST|^NODE_/i.test(name)),
  );
  const child = spawn('npm', ['start'], {
    cwd: clone,
    env: { ...inherited, PATH: path, SLUICE_PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  started.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  return {
    child,
    output: () => output,
    prints: async (text) => {
      await expect
        .poll(() => output.includes(text) || child.exitCode !== null, { timeout: 300_000, interval: 50 })
        .toBe(true);
      expect(output).toContain(text);
    },
  };
}

/** The PATH without this checkout's own `.bin`, which a fresh clone does not have. */
function pathOfAUser(): string {
  return (process.env['PATH'] ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':');
}

async function folderWithoutPython(): Promise<string> {
  const folder = join(clone, 'few-tools');
  await mkdir(folder, { recursive: true });
  for (const tool of [
    'node',
    'npm',
    'sh',
    'id',
    'setpriv',
    'sleep',
    'cat',
    'kill',
    'env',
    'uname',
    'find',
    'useradd',
  ]) {
    const { stdout } = await run('sh', ['-c', `PATH='${pathOfAUser()}' command -v ${tool} || true`]);
    const target = stdout.trim();
    if (target.startsWith('/')) {
      // npm finds its own files by its real place, so a script that calls it there does, and a link does not.
      await writeFile(join(folder, tool), `#!/bin/sh\nexec '${target}' "$@"\n`, { mode: 0o755 });
    }
  }
  return folder;
}

async function exitOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  // To the whole group, as a terminal does it.
  process.kill(-child.pid!, signal);
  return exited(child);
}

async function exited(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

async function processes(): Promise<{ pid: number; commandLine: string }[]> {
  const found: { pid: number; commandLine: string }[] = [];
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const commandLine = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    if (commandLine.includes(clone)) found.push({ pid: Number(name), commandLine });
  }
  return found;
}

async function expectNothingLeft(): Promise<void> {
  await expect
    .poll(async () => (await processes()).map(({ commandLine }) => commandLine), { timeout: 60_000 })
    .toEqual([]);
}

function shellBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]!.trim());
}

async function listenOn(wanted: number): Promise<Server> {
  const server = createServer();
  server.listen(wanted, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
