import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '#libs/platform';
import { debianPackage } from './debian-package.ts';

const lookEveryMs = 20;
const folders = await Promise.all(['redis-tools', 'libjemalloc2', 'liblzf1'].map((name) => debianPackage(name)));

/** Whether this machine can run a Redis of its own: where there is apt. */
export const hasRedis = folders.every((folder) => folder !== undefined);

/** A Redis of this test alone, in memory, that can be killed, stopped and started again on its port. */
export class RedisServer implements AsyncDisposable {
  private child: ChildProcess | undefined;

  readonly port: number;
  private readonly args: readonly string[];

  // Written out, since Node runs the scripts of test/load by stripping types alone.
  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.args = args;
  }

  static async start(args: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), args);
    await server.startAgain();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async startAgain(): Promise<void> {
    const [tools = '', ...libraries] = folders.map((folder) => folder ?? '');
    // The program of the tools is the server as well: its name says what it is to be.
    const child = spawn(
      join(tools, 'usr/bin/redis-check-rdb'),
      ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...this.args],
      {
        argv0: 'redis-server',
        stdio: 'ignore',
        env: { LD_LIBRARY_PATH: libraries.map((each) => join(each, 'usr/lib/x86_64-linux-gnu')).join(':') },
      },
    );
    this.child = child;
    while (!(await answers(this.port))) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode} before it answered`);
      await pause(lookEveryMs);
    }
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** It keeps its connections and answers nothing. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
