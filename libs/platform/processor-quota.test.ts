import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { grantedProcessors } from './processor-quota.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'quota-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function machine(files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), content);
  }
}

it.each<[string, Record<string, string>, number]>([
  ['nothing is stated', {}, 16],
  ['version 2 states a quota', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '400000 100000\n' }, 4],
  ['version 2 states none', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n' }, 16],
  [
    'a group above is stricter',
    {
      'proc/self/cgroup': '0::/box/app\n',
      'sys/fs/cgroup/box/cpu.max': '350000 100000\n',
      'sys/fs/cgroup/box/app/cpu.max': '800000 100000\n',
    },
    3,
  ],
  ['it is less than one processor', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' }, 1],
  ['it is more than there is', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '9900000 100000\n' }, 16],
  [
    'version 1 states a quota',
    {
      'proc/self/cgroup': '5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n',
      'sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us': '200000\n',
      'sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us': '100000\n',
    },
    2,
  ],
  [
    "version 1 names the host's path, of which the container sees the root alone",
    {
      'proc/self/cgroup': '4:cpu:/docker/a\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '600000\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    6,
  ],
  [
    'version 1 states none',
    {
      'proc/self/cgroup': '4:cpu:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    16,
  ],
  ['the files hold no numbers', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '\n' }, 16],
])('counts the processors that it may keep busy when %s', async (_what, files, granted) => {
  await machine(files);
  expect(grantedProcessors(root, 16)).toBe(granted);
});

it('says something sensible of this machine', () => {
  expect(grantedProcessors()).toBeGreaterThanOrEqual(1);
  expect(grantedProcessors()).toBeLessThanOrEqual(availableParallelism());
});
