import { freePort } from '#libs/platform';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { SluiceInstance } from './sluice-instance.ts';

const entry = fileURLToPath(new URL('../../dist/apps/api/main.js', import.meta.url));
const readyDeadlineMs = 60_000;

interface Member {
  readonly base: string;
  readonly env: NodeJS.ProcessEnv;
  child: ChildProcess;
}

/** More API processes on the database and the model servers of one instance, each on a port and in a folder of its own. */
export class ApiFleet implements AsyncDisposable {
  readonly databaseUrl: string;
  private readonly members: Member[];
  private readonly folder: string;

  // Written out, since Node runs the scripts of test/load by stripping types alone.
  private constructor(members: Member[], folder: string, databaseUrl: string) {
    this.members = members;
    this.folder = folder;
    this.databaseUrl = databaseUrl;
  }

  static async start(sluice: SluiceInstance, count: number, env: Record<string, string> = {}): Promise<ApiFleet> {
    const [pid] = await sluice.pids('api');
    const given = await sluice.environmentOf(pid);
    const folder = await mkdtemp(join(tmpdir(), 'sluice-fleet-'));
    const members: Member[] = [];
    for (let index = 0; index < count; index += 1) {
      const port = await freePort();
      const own = {
        ...given,
        SLUICE_HOME: join(folder, String(index)),
        SLUICE_PORT: String(port),
        SLUICE_GRPC_PORT: String(await freePort()),
        ...env,
      };
      members.push({ base: `http://127.0.0.1:${port}`, env: own, child: started(own) });
    }
    const fleet = new ApiFleet(members, folder, given['DATABASE_URL']!);
    await Promise.all(members.map(untilReady));
    return fleet;
  }

  get bases(): string[] {
    return this.members.map(({ base }) => base);
  }

  get pids(): number[] {
    return this.members.map(({ child }) => child.pid!);
  }

  /** Kills one process as the kernel does, and starts another in its place. Resolves when that one is ready. */
  async replace(index: number): Promise<void> {
    const member = this.members[index]!;
    member.child.kill('SIGKILL');
    await once(member.child, 'exit');
    member.child = started(member.env);
    await untilReady(member);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.members.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGTERM');
        await once(child, 'exit');
      }),
    );
    await rm(this.folder, { recursive: true, force: true });
  }
}

// With a channel, so that a test run that dies takes its processes along.
const started = (env: NodeJS.ProcessEnv): ChildProcess =>
  spawn(process.execPath, [entry], { env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });

async function untilReady({ base, child }: Member): Promise<void> {
  const deadline = performance.now() + readyDeadlineMs;
  for (;;) {
    const response = await fetch(`${base}/v2/health/ready`).catch(() => undefined);
    if (response?.status === 200) return;
    if (performance.now() > deadline || child.exitCode !== null)
      throw new Error(`the API at ${base} does not get ready`);
    await pause(50);
  }
}
