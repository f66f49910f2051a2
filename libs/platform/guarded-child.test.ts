import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { fileURLToPath } from 'node:url';
import { GuardedChild } from './guarded-child.js';

const door = fileURLToPath(new URL('../../dist/libs/platform/index.js', import.meta.url));

it('takes its program along when its owner is killed with SIGKILL', async () => {
  const owner = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { GuardedChild } from ${JSON.stringify(door)};
       const child = await GuardedChild.start({ command: 'sleep', args: ['600'], stopSignal: 'SIGTERM' });
       console.log(child.pid);
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = (await once(owner.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  expect(isAlive(pid)).toBe(true);
  owner.kill('SIGKILL');
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

it('insists when its program does not listen', async () => {
  const lines: string[] = [];
  const child = await GuardedChild.start({
    command: '/bin/sh',
    args: ['-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done'],
    stopSignal: 'SIGTERM',
    onLine: (line) => lines.push(line),
  });
  await expect.poll(() => lines).toContain('deaf');
  await child.stop(200);
  expect(await child.exited()).toBe('SIGKILL');
});

it('waits for the program of an earlier start that is still stopping', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-guard-'));
  try {
    const settings = { command: 'sleep', args: ['600'], stopSignal: 'SIGTERM', pidFile: join(folder, 'pid') } as const;
    const first = await GuardedChild.start(settings);
    let isSecondUp = false;
    const second = GuardedChild.start(settings).then((child) => {
      isSecondUp = true;
      return child;
    });
    expect(isSecondUp).toBe(false);
    await first.stop();
    await using child = await second;
    expect(child.pid).not.toBe(first.pid);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('fails at once, by name, when the program is not there', async () => {
  await expect(GuardedChild.start({ command: '/no/such/program', args: [], stopSignal: 'SIGTERM' })).rejects.toThrow(
    'ENOENT',
  );
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('shows its program no setting, key or address of Sluice', async () => {
  vi.stubEnv('SLUICE_MASTER_KEY', 'secret');
  vi.stubEnv('DATABASE_URL', 'postgres://secret');
  vi.stubEnv('PGSSLMODE', 'require');
  const lines: string[] = [];
  const child = await GuardedChild.start({
    command: 'env',
    args: [],
    stopSignal: 'SIGTERM',
    onLine: (line) => lines.push(line),
  });
  await child.exited();
  vi.unstubAllEnvs();
  await expect.poll(() => lines.some((line) => line.startsWith('PATH='))).toBe(true);
  expect(lines.filter((line) => /^(SLUICE_|DATABASE_URL|PG)/.test(line))).toEqual([]);
});
