import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { mebibytes, messageOf } from '#libs/kernel';

export interface NodeChildSettings {
  name: string;
  /** Absolute path of the built JavaScript. */
  entry: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Flags for Node itself, such as heap limits. */
  nodeFlags?: readonly string[];
  logFile: string;
  /** It ended although nobody asked it to; it will be started again after the pause. */
  onCrash: (how: string, pauseMs: number) => void;
}

const longestPauseMs = 10_000;
const healthyAfterMs = 30_000;
const logLimitBytes = mebibytes(16);

/**
 * One of Sluice's own processes: told to stop by SIGTERM, started again when it dies, and gone when this process is
 * gone, since its channel closes then. It runs in a session of its own, so that Ctrl-C reaches the launcher alone.
 */
export class NodeChild {
  private child: ChildProcess | undefined;
  private isStopping = false;
  private failures = 0;
  private startedAtMs = 0;
  private restart: NodeJS.Timeout | undefined;

  constructor(private readonly settings: NodeChildSettings) {}

  /** Starts it and waits for its message `{kind: 'ready'}`. @throws Error when it ends before */
  async start(): Promise<void> {
    const child = this.spawn();
    await new Promise<void>((resolve, reject) => {
      child.on('message', (message) => {
        if ((message as { kind?: string }).kind === 'ready') resolve();
      });
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(
          new Error(
            `${this.settings.name} ended while starting (${signal ?? `code ${code}`}); see ${this.settings.logFile}`,
          ),
        ),
      );
    });
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Graceful stop; resolves when it is gone. */
  async stop(deadlineMs = 35_000): Promise<void> {
    this.isStopping = true;
    clearTimeout(this.restart);
    const child = this.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const insist = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    await once(child, 'exit');
    clearTimeout(insist);
  }

  kill(): void {
    this.isStopping = true;
    clearTimeout(this.restart);
    this.child?.kill('SIGKILL');
  }

  private spawn(): ChildProcess {
    keepLogSmall(this.settings.logFile);
    const log = openSync(this.settings.logFile, 'a', 0o640);
    const child = spawn(process.execPath, [...(this.settings.nodeFlags ?? []), this.settings.entry], {
      env: this.settings.env,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.child = child;
    this.startedAtMs = performance.now();
    child.once('exit', (code, signal) => this.ended(child, signal ?? `code ${code}`));
    child.on('error', (error) => {
      // Without a pid it never started, and no exit follows.
      if (child.pid === undefined) this.ended(child, error.message);
    });
    return child;
  }

  private ended(child: ChildProcess | undefined, how: string): void {
    if (this.isStopping || this.child !== child) return;
    this.failures = performance.now() - this.startedAtMs > healthyAfterMs ? 1 : this.failures + 1;
    const pauseMs = Math.min(longestPauseMs, 100 * 2 ** (this.failures - 1));
    this.settings.onCrash(how, pauseMs);
    this.restart = setTimeout(() => this.startAgain(), pauseMs);
  }

  private startAgain(): void {
    try {
      this.spawn();
    } catch (error) {
      // No handle for its log, or no memory: that may pass.
      this.child = undefined;
      this.ended(undefined, messageOf(error));
    }
  }
}

function keepLogSmall(file: string): void {
  try {
    if (statSync(file).size > logLimitBytes) renameSync(file, `${file}.1`);
  } catch {
    // There is no log yet.
  }
}
