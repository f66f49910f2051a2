import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '#libs/platform';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface InstanceSettings {
  /** More environment for all processes, for example TEMPORAL_ADDRESS. */
  env?: Record<string, string>;
  /** Keep using a state folder; a new one is made and removed otherwise. */
  home?: string;
  startDeadlineMs?: number;
}

/** The whole of Sluice as `npm start` runs it, on a free port and in a folder of its own. */
export class SluiceInstance implements AsyncDisposable {
  output = '';
  readonly launcher: ChildProcess;
  readonly home: string;
  readonly port: number;
  readonly grpcPort: number;
  private readonly ownsHome: boolean;

  // Written out, since Node runs the scripts of test/load by stripping types alone.
  private constructor(launcher: ChildProcess, home: string, port: number, grpcPort: number, ownsHome: boolean) {
    this.launcher = launcher;
    this.home = home;
    this.port = port;
    this.grpcPort = grpcPort;
    this.ownsHome = ownsHome;
  }

  static async start(settings: InstanceSettings = {}): Promise<SluiceInstance> {
    const home = settings.home ?? (await mkdtemp(join(tmpdir(), 'sluice-e2e-')));
    const [port, grpcPort] = [await freePort(), await freePort()];
    const launcher = spawn(process.execPath, [join(root, 'dist/apps/cli/main.js'), 'start'], {
      cwd: root,
      env: {
        ...process.env,
        SLUICE_HOME: home,
        SLUICE_PORT: String(port),
        SLUICE_GRPC_PORT: String(grpcPort),
        ...settings.env,
      },
      // With a channel, so that a test run that dies takes its instances along.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const instance = new SluiceInstance(launcher, home, port, grpcPort, settings.home === undefined);
    for (const stream of [launcher.stdout, launcher.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        instance.output += chunk.toString('utf8');
      });
    }
    try {
      await instance.waitFor('is ready.', settings.startDeadlineMs ?? 180_000);
    } catch (error) {
      const logs = await instance.lastLogLines();
      await instance[Symbol.asyncDispose]();
      throw new Error(`${(error as Error).message}\n${logs}`, { cause: error });
    }
    return instance;
  }

  get base(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async adminKey(): Promise<string> {
    return (await readFile(join(this.home, 'admin-key'), 'utf8')).trim();
  }

  /** A management call with the admin key. */
  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any; headers: Headers }> {
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await this.adminKey()}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    return {
      status: response.status,
      body: isJson && text !== '' ? JSON.parse(text) : text,
      headers: response.headers,
    };
  }

  /** Process ids of this instance's own processes of one kind, newest last. */
  async pids(kind: 'api' | 'worker' | 'model-server'): Promise<number[]> {
    const found: number[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
      const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (!commandLine.includes(`apps/${kind}/main.js`)) continue;
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      if (environment.includes(`SLUICE_HOME=${this.home}\0`)) found.push(pid);
    }
    return found.sort((a, b) => a - b);
  }

  /** What one of its processes was started with. */
  async environmentOf(pid: number | undefined): Promise<Record<string, string>> {
    const pairs = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').filter(Boolean);
    return Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2) as [string, string]));
  }

  async waitFor(text: string, deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (!this.output.includes(text)) {
      if (this.launcher.exitCode !== null || performance.now() > deadline) {
        throw new Error(`the launcher did not print "${text}":\n${this.output}`);
      }
      await sleep(50);
    }
  }

  private async lastLogLines(): Promise<string> {
    const folder = join(this.home, 'logs');
    const files = await readdir(folder).catch(() => []);
    const tails = files.map(
      async (file) => `${file}:\n${(await readFile(join(folder, file), 'utf8')).split('\n').slice(-8).join('\n')}`,
    );
    return (await Promise.all(tails)).join('\n');
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.launcher.exitCode === null && this.launcher.signalCode === null) {
      this.launcher.kill(signal);
      await once(this.launcher, 'exit');
    }
    return this.launcher.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.ownsHome) await rm(this.home, { recursive: true, force: true });
  }
}
