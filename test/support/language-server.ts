import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent } from 'undici';
import { smolLm2Variant } from './smollm2.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface LanguageServerOptions {
  /** Changes the sample's manifest. */
  manifest?: Record<string, unknown>;
  env?: Record<string, string>;
  /** Changes the folder before the start. */
  prepare?: (folder: string) => Promise<void>;
}

/** A language server with the sample's model, on a socket of its own. */
export class LanguageServer implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly socketPath: string;
  readonly agent: Agent;
  /** What it told its parent when it was ready. */
  readyMessage: unknown;
  private readonly exit: Promise<number | null>;
  private readonly cleanUp: () => Promise<void>;

  // Written out, since Node runs the scripts of test/load by stripping types alone.
  private constructor(
    child: ChildProcess,
    socketPath: string,
    agent: Agent,
    exit: Promise<number | null>,
    cleanUp: () => Promise<void>,
  ) {
    this.child = child;
    this.socketPath = socketPath;
    this.agent = agent;
    this.exit = exit;
    this.cleanUp = cleanUp;
  }

  static async start({ manifest, env, prepare }: LanguageServerOptions = {}): Promise<LanguageServer> {
    const variant = await smolLm2Variant(manifest);
    await prepare?.(variant.folder);
    const folder = await mkdtemp(join(tmpdir(), 'ls-'));
    const socketPath = join(folder, 'model.sock');
    const child = spawn(process.execPath, [join(root, 'dist/apps/language-server/main.js')], {
      // One thread: on a busy machine two would wait for each other most of the time.
      env: { SLUICE_MODEL_DIR: variant.folder, SLUICE_SOCKET: socketPath, SLUICE_THREADS: '1', ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const exit = once(child, 'exit').then(([code]) => code as number | null);
    const agent = new Agent({ connect: { socketPath }, connections: 128, headersTimeout: 0, bodyTimeout: 0 });
    const server = new LanguageServer(child, socketPath, agent, exit, async () => {
      await agent.destroy();
      await rm(folder, { recursive: true, force: true });
      await variant[Symbol.asyncDispose]();
    });
    const first = once(child, 'message').then(([message]) => message as { kind: string; reason?: string });
    const message = await Promise.race([first, exit.then((code) => ({ kind: `exit ${code}`, reason: undefined }))]);
    const { kind, reason } = message;
    server.readyMessage = message;
    if (kind === 'ready') return server;
    await server[Symbol.asyncDispose]();
    throw new Error(`the language server did not start: ${reason ?? kind}`);
  }

  async ask(path: string, body?: unknown): Promise<{ status: number; headers: Record<string, unknown>; body: any }> {
    const sent = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const answer = await this.agent.request({
      origin: 'http://localhost',
      path,
      method: body === undefined ? 'GET' : 'POST',
      ...(body !== undefined && { body: sent, headers: { 'content-type': 'application/json' } }),
    });
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: JSON.parse(await answer.body.text()) as unknown,
    };
  }

  /** The server's own account of its sequences and memory. */
  async stats(): Promise<{ sequences: number; free_sequences: number; waiting: number; resident_bytes: number }> {
    return (await this.ask('/v2/models/smollm2-135m-instruct/stats')).body as never;
  }

  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1_024;
  }

  /** Asks it to end. @returns its exit code */
  async drain(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exit;
  }

  async crash(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
    await this.cleanUp();
  }
}
