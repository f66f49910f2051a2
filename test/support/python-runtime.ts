import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Manifest, type ModelFormat, PythonEnvironments } from '#libs/inference';
import { OipReplica } from '../../libs/inference/adapters/oip/oip-replica.js';
import type { StartedReplica } from '../../libs/inference/ports/replica.contract.js';
import {
  pythonFramework,
  type PythonFrameworkName,
  pythonServerSpawner,
} from '../../libs/inference/replicas/python-spawner.js';
import type { ReplicaProcess } from '../../libs/inference/replicas/replica-supervisor-process.js';
import { pathWithUv } from './python-environment.js';
import { toolsFolder } from './temporal.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const runtimeFolder = join(root, 'apps/python-runtime');
const modelScripts = join(root, 'test/models/python');

/** The environment that Sluice itself makes for the framework, made once per checkout. uv halves the time. */
export async function frameworkInterpreter(framework: PythonFrameworkName): Promise<string> {
  const env = { ...process.env, PATH: await pathWithUv() };
  const environments = new PythonEnvironments({ toolsFolder, env });
  const wanted = pythonFramework(framework, runtimeFolder);
  return environments.find(wanted) ?? environments.make(wanted, new AbortController().signal, () => undefined);
}

/** Builds the framework's test models into a folder of this run. @param format only those of one, which is quicker */
export async function buildModels(
  framework: PythonFrameworkName,
  interpreter: string,
  format?: ModelFormat,
): Promise<BuiltModels> {
  const folder = await mkdtemp(join(tmpdir(), 'pym-'));
  await promisify(execFile)(
    interpreter,
    [join(modelScripts, `${framework}_models.py`), folder, ...(format === undefined ? [] : [format])],
    { maxBuffer: 1e8 },
  );
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

export interface BuiltModels extends AsyncDisposable {
  readonly folder: string;
}

/** One server as the supervisor starts it, ready or ended. */
export interface StartedServer extends AsyncDisposable {
  readonly process: ReplicaProcess;
  readonly socketPath: string;
  readonly manifest: Manifest;
  /** Why it ended instead of becoming ready. */
  readonly failure: string | undefined;
  readonly lines: readonly string[];
}

export async function startServer(
  framework: PythonFrameworkName,
  interpreter: string,
  modelFolder: string,
): Promise<StartedServer> {
  const socketFolder = await mkdtemp(join(tmpdir(), 'py-'));
  const socketPath = join(socketFolder, 'm.sock');
  const manifest = JSON.parse(await readFile(join(modelFolder, 'sluice.json'), 'utf8')) as Manifest;
  const lines: string[] = [];
  const process = pythonServerSpawner({
    framework,
    runtimeFolder,
    environments: new PythonEnvironments({ toolsFolder: socketFolder, env: {} }),
    interpreter,
    env: { PATH: globalThis.process.env['PATH'] ?? '', HOME: globalThis.process.env['HOME'] ?? '/' },
    onLine: (line) => lines.push(line),
  })({
    replicaId: 'r',
    model: manifest.name,
    version: '1',
    artifactPath: modelFolder,
    socketPath,
    manifest,
    ordinal: 0,
    threads: 1,
  });
  const failure = await Promise.race([process.ready.then(() => undefined), process.ended]);
  return {
    process,
    socketPath,
    manifest,
    failure,
    lines,
    [Symbol.asyncDispose]: async () => {
      process.kill();
      await process.ended;
      await rm(socketFolder, { recursive: true, force: true });
    },
  };
}

/**
 * Servers for the contract suite. A framework takes seconds to start, so a server that a test has let live serves the next.
 */
export class ServerShelf implements AsyncDisposable {
  private readonly idle = new Map<string, StartedServer>();

  constructor(
    private readonly framework: PythonFrameworkName,
    private readonly interpreter: () => string,
    private readonly modelFolder: (model: string) => string,
  ) {}

  async start(model: string): Promise<StartedReplica> {
    const server = this.idle.get(model) ?? (await this.startNew(model));
    this.idle.delete(model);
    const { process, socketPath } = server;
    const replica = new OipReplica({ id: model, address: `unix:${socketPath}`, model, version: '1' });
    let isAlive = true;
    return {
      replica,
      drain: async () => {
        isAlive = false;
        process.terminate();
        return { isClean: (await process.ended) === 'exited with code 0' };
      },
      crash: async () => {
        isAlive = false;
        process.kill();
        await process.ended;
      },
      [Symbol.asyncDispose]: async () => {
        await replica[Symbol.asyncDispose]();
        if (isAlive) this.idle.set(model, server);
        else await server[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.idle.values()].map((server) => server[Symbol.asyncDispose]()));
    this.idle.clear();
  }

  private async startNew(model: string): Promise<StartedServer> {
    const server = await startServer(this.framework, this.interpreter(), this.modelFolder(model));
    if (server.failure === undefined) return server;
    await server[Symbol.asyncDispose]();
    throw new Error(`the server for ${model} did not start: ${server.failure}\n${server.lines.join('\n')}`);
  }
}

/** @returns for each model folder below, why it is refused, or null; by `<format>/<model>` */
export async function loadAll(
  interpreter: string,
  folder: string,
  formats: readonly string[],
): Promise<Record<string, string | null>> {
  const folders: string[] = [];
  for (const format of formats)
    for (const model of await readdir(join(folder, format))) folders.push(join(folder, format, model));
  const script = join(root, 'test/support/python_loads.py');
  const { stdout } = await promisify(execFile)(interpreter, [script, runtimeFolder, ...folders], { maxBuffer: 1e8 });
  const reasons = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, string | null>;
  return Object.fromEntries(Object.entries(reasons).map(([each, reason]) => [relative(folder, each), reason]));
}
