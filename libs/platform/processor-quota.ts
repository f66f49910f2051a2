import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/**
 * How many processors this process may keep busy: those that it may run on, or fewer where a cgroup grants less time. A
 * container on a large host has a quota, and a thread for each of the host's processors would spend it on waiting.
 *
 * Version 2 has `cpu.max` ("quota period", https://docs.kernel.org/admin-guide/cgroup-v2.html), version 1
 * `cpu.cfs_quota_us` and `cpu.cfs_period_us`; the strictest group on the way to the root counts.
 *
 * @param root stands for `/` in tests
 * @returns a whole number, at least 1; a part of a processor is not counted
 */
export function grantedProcessors(root = '/', processors = availableParallelism()): number {
  const quotas = groupFolders(root).flatMap((folder) => quotaOf(folder) ?? []);
  return Math.max(1, Math.floor(Math.min(processors, ...quotas)));
}

/** The folders of this process's groups, each with those above it. */
function groupFolders(root: string): string[] {
  // A line is `id:controllers:path`; the controllers are empty in version 2.
  const lines = (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n').map((line) => line.split(':'));
  return lines.flatMap(([, controllers, ...rest]) => {
    const names = controllers?.split(',') ?? [];
    if (controllers !== '' && !names.includes('cpu')) return [];
    const mounts = controllers === '' ? ['', 'unified'] : [controllers!, 'cpu'];
    return mounts.flatMap((mount) => withThoseAbove(join(root, 'sys/fs/cgroup', mount), rest.join(':')));
  });
}

// In a container the path may be the host's, of which only the end, or nothing but the root, can be seen.
function withThoseAbove(mount: string, group: string): string[] {
  const parts = group.split('/').filter((part) => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_value, count) => join(mount, ...parts.slice(0, count)));
}

/** @returns processors, or undefined where nothing is stated or the quota is "max" */
function quotaOf(folder: string): number | undefined {
  const [quota, period] =
    readText(join(folder, 'cpu.max'))?.trim().split(/\s+/) ??
    ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) => readText(join(folder, name))?.trim());
  const processors = Number(quota) / Number(period);
  return Number.isFinite(processors) && processors > 0 ? processors : undefined;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
