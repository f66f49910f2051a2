import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface GuardedChildSettings {
  command: string;
  args: readonly string[];
  /** Unset: that of this process without its settings. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  cwd?: string | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  /** What asks the program to end in an orderly way. */
  stopSignal: 'SIGINT' | 'SIGTERM';
  /** What ends it at once, together with processes of its own; SIGKILL when left out. */
  hardStopSignal?: 'SIGQUIT' | 'SIGKILL' | undefined;
  /** Remembers the process, so that a later start waits for one that an earlier crash left still stopping. */
  pidFile?: string | undefined;
  /** The name by which the system lists it, where a starter such as setpriv stands before it. */
  program?: string | undefined;
  /** Each line that the program prints, on either stream. */
  onLine?: ((line: string) => void) | undefined;
}

const killGraceSeconds = 15;

/**
 * A program of others (PostgreSQL, Temporal) that must not outlive this process, even when this process is killed
 * with SIGKILL. A tiny shell waits on a pipe that only this process holds open; when the pipe closes, it stops the
 * program. Both run in sessions of their own, so that Ctrl-C in a terminal reaches only this process, which then
 * stops them in the right order.
 */
export class GuardedChild implements AsyncDisposable {
  private constructor(
    readonly process: ChildProcess,
    private readonly settings: GuardedChildSettings,
  ) {}

  /** @throws Error when the program cannot be started at all */
  static async start(settings: GuardedChildSettings): Promise<GuardedChild> {
    if (settings.pidFile !== undefined)
      await waitForPredecessor(settings.pidFile, settings.program ?? basename(settings.command));
    const options: SpawnOptions = {
      env: settings.env ?? withoutSecrets(process.env),
      cwd: settings.cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(settings.uid === undefined ? {} : { uid: settings.uid }),
      ...(settings.gid === undefined ? {} : { gid: settings.gid }),
    };
    const child = spawn(settings.command, [...settings.args], options);
    await Promise.race([
      once(child, 'spawn'),
      once(child, 'error').then(([error]) => {
        throw error as Error;
      }),
    ]);
    const guard = startGuard(child.pid ?? 0, settings.stopSignal);
    const guarded = new GuardedChild(child, settings);
    for (const stream of [child.stdout, child.stderr]) if (stream) guarded.followLines(stream);
    child.once('exit', () => guard.kill('SIGKILL'));
    if (settings.pidFile !== undefined) await writeFile(settings.pidFile, `${child.pid}\n`);
    return guarded;
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Resolves when the program has ended, with how. */
  async exited(): Promise<string> {
    if (this.isAlive) await once(this.process, 'exit');
    return this.process.signalCode ?? `code ${this.process.exitCode}`;
  }

  /** Asks the program to end, and insists after the deadline. */
  async stop(deadlineMs = killGraceSeconds * 1_000): Promise<void> {
    if (!this.isAlive) return;
    this.process.kill(this.settings.stopSignal);
    const insist = setTimeout(() => this.process.kill('SIGKILL'), deadlineMs);
    await this.exited();
    clearTimeout(insist);
  }

  kill(): void {
    if (this.isAlive) this.process.kill(this.settings.hardStopSignal ?? 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private followLines(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.on('data', (chunk: Buffer) => {
      if (this.settings.onLine === undefined) return;
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.settings.onLine(line);
    });
    stream.on('error', () => undefined);
  }
}

const othersNames = /^(?:SLUICE_|PG|OTEL_EXPORTER_|AWS_)|^(?:DATABASE|REDIS)_URL$/;
const secretNames = /SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|PRIVATE_?KEY/i;

/** Programs of others need no setting of Sluice, and must not see its keys and addresses, nor another PostgreSQL's. */
export const withoutSecrets = (env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !othersNames.test(name) && !secretNames.test(name)));

// The number of the process is passed as an argument of the shell, never spliced into its text.
const guardScript = `cat >/dev/null 2>&1
kill -s "$2" "$1" 2>/dev/null || exit 0
left=${killGraceSeconds * 10}
while [ "$left" -gt 0 ] && kill -0 "$1" 2>/dev/null; do sleep 0.1; left=$((left - 1)); done
kill -s KILL "$1" 2>/dev/null`;

function startGuard(pid: number, stopSignal: string): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', guardScript, 'sluice-guard', String(pid), stopSignal.replace(/^SIG/, '')], {
    // Anybody of this user can read what it was started with.
    env: { PATH: process.env['PATH'] },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => undefined);
  guard.stdin?.on('error', () => undefined);
  guard.unref();
  return guard;
}

/** After a crash the guard is still stopping the old program; two of them on one folder would do harm. */
async function waitForPredecessor(pidFile: string, program: string): Promise<void> {
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).trim());
  if (!(pid > 1)) return;
  for (let left = (killGraceSeconds + 5) * 10; left > 0; left -= 1) {
    if (!(await isRunning(pid, program))) return;
    await sleep(100);
  }
  throw new Error(`${program} of an earlier start (process ${pid}) is still running; end it and start again`);
}

/** A number alone proves nothing, since the system reuses it: the program's name has to match as well. */
async function isRunning(pid: number, program: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => program);
  return commandLine.includes(program);
}
