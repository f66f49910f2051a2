import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { ReplicaProcess } from './replica-supervisor-process.js';

export interface WatchTimes {
  /** Between two looks at a ready replica. */
  watchEveryMs: number;
  /** A process that answers no liveness question for so long counts as hung. */
  livenessMs: number;
}

export interface WatchSettings {
  process: Pick<ReplicaProcess, 'pid' | 'askLiveness'>;
  times: WatchTimes;
  memoryLimitBytes: number | undefined;
  onHang(reason: string): void;
  /** Called at each look. */
  onMemory(residentBytes: number): void;
  /** Called once. */
  onMemoryLimit(residentBytes: number): void;
}

/** So many questions must stay unanswered, however long each took: one alone may be this process's own sleep. */
const leastSilences = 3;

/** Watches one ready replica from outside: does it live, and how much memory does it hold? */
export class ReplicaWatch {
  private timer: NodeJS.Timeout | undefined;
  private silences = 0;
  private lastAnswerMs = performance.now();
  private isOverLimit = false;
  private isStopped = false;

  constructor(private readonly settings: WatchSettings) {
    this.lookLater();
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private lookLater(): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => void this.look().finally(() => this.lookLater()), this.settings.times.watchEveryMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    await Promise.all([this.lookAtLife(), this.lookAtMemory()]);
  }

  private async lookAtLife(): Promise<void> {
    const { process, times, onHang } = this.settings;
    const question = process.askLiveness?.(Math.ceil(times.livenessMs / leastSilences));
    if (question === undefined) return;
    const answer = await question;
    if (this.isStopped) return;
    if (answer.state === 'hung') {
      this.stop();
      return onHang(answer.reason);
    }
    if (answer.state === 'live') {
      this.silences = 0;
      this.lastAnswerMs = performance.now();
      return;
    }
    this.silences += 1;
    const silentMs = performance.now() - this.lastAnswerMs;
    if (this.silences < leastSilences || silentMs < times.livenessMs) return;
    this.stop();
    onHang(`did not answer its liveness probe for ${times.livenessMs / 1_000} s`);
  }

  private async lookAtMemory(): Promise<void> {
    const { process, memoryLimitBytes, onMemory, onMemoryLimit } = this.settings;
    const bytes = process.pid === undefined ? undefined : await residentBytes(process.pid);
    if (bytes === undefined || this.isStopped) return;
    onMemory(bytes);
    if (memoryLimitBytes === undefined || bytes <= memoryLimitBytes || this.isOverLimit) return;
    this.isOverLimit = true;
    onMemoryLimit(bytes);
  }
}

const run = promisify(execFile);

/** @returns resident memory of a process, as the kernel counts it, or undefined when it is gone */
export async function residentBytes(pid: number): Promise<number | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
  } catch {
    if (process.platform === 'linux') return undefined;
  }
  // Systems without /proc, macOS above all.
  try {
    const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(pid)]);
    const kibibytes = Number(stdout);
    return kibibytes > 0 ? kibibytes * 1_024 : undefined;
  } catch {
    return undefined;
  }
}
