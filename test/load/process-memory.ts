import { readFile, readdir } from 'node:fs/promises';

export interface MemoryTable {
  rows: [name: string, mebibytes: number][];
  sum: number;
}

/** Memory of a process and all below it, also of those in sessions of their own. Shared pages count once (PSS). */
export async function memoryOf(rootPid: number): Promise<MemoryTable> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent > 0) parents.set(Number(name), parent);
  }
  const isBelow = (pid: number): boolean => {
    for (let each: number | undefined = pid; each !== undefined && each > 1; each = parents.get(each)) {
      if (each === rootPid) return true;
    }
    return false;
  };
  const sums = new Map<string, number>();
  for (const pid of [...parents.keys()].filter(isBelow)) {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
    const mebibytes = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1_024;
    const name = nameOf(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
    sums.set(name, (sums.get(name) ?? 0) + mebibytes);
  }
  const rows = [...sums].sort((a, b) => b[1] - a[1]);
  return { rows, sum: rows.reduce((sum, [, mebibytes]) => sum + mebibytes, 0) };
}

function nameOf(commandLine: string): string {
  const app = /apps\/([a-z-]+)\/main\.js/.exec(commandLine)?.[1];
  if (app !== undefined) return app === 'cli' ? 'launcher' : app;
  if (commandLine.includes('postgres')) return 'postgres';
  if (commandLine.includes('sluice-guard') || commandLine.startsWith('sleep') || commandLine.startsWith('cat'))
    return 'guards';
  return commandLine.split('\0')[0]?.split('/').pop() ?? '?';
}

/** Resident memory of one process, in MiB. */
export async function residentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}
