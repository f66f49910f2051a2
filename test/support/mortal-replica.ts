import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('mortal-replica-process.mjs', import.meta.url));

/** A model server in a process of its own that dies of some inputs, and is started again each time as a supervisor does. */
export class MortalReplica implements AsyncDisposable {
  deaths = 0;
  /** Resolves when it listens, again after each death. */
  up: Promise<void> = Promise.resolve();
  private child: ChildProcess | undefined;
  private isOver = false;

  private constructor(private readonly folder: string) {}

  static async start(): Promise<MortalReplica> {
    const replica = new MortalReplica(await mkdtemp(join(tmpdir(), 'mortal-')));
    await replica.spawn();
    return replica;
  }

  get address(): string {
    return `unix:${this.socketPath}`;
  }

  /** Ends it from outside, whatever it is doing. */
  kill(): void {
    this.child?.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isOver = true;
    const { child } = this;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  private get socketPath(): string {
    return join(this.folder, 'model.sock');
  }

  private async spawn(): Promise<void> {
    await rm(this.socketPath, { force: true });
    const child = fork(script, [this.socketPath], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    this.child = child;
    child.once('exit', () => {
      if (this.isOver) return;
      this.deaths += 1;
      this.up = this.spawn();
    });
    await once(child, 'message');
  }
}
