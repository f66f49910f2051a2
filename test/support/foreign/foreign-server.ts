import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pythonEnvironment } from '../python-environment.js';
import type { Manifest, TensorSpec } from '#libs/inference';
import type { ContractModel } from '../../../libs/inference/ports/replica.contract.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const here = join(root, 'test/support/foreign');
const folders: Record<ContractModel, string> = {
  dense: 'test/models/dense',
  identity: 'test/models/identity',
  tone: 'deploy/models/tone/1',
  broken: 'test/models/tone-broken',
  slow: 'test/models/tone-slow',
};

/** A server of another make, as a process of its own. */
export interface ForeignProcess extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly address: string;
  drain(): Promise<{ isClean: boolean }>;
  crash(): Promise<void>;
}

/** MLServer with what it needs here. With a newer uvloop it does not start. */
const foreignPython = (): Promise<string> =>
  pythonEnvironment('mlserver', ['mlserver==1.7.1', 'uvloop<0.22', 'onnxruntime==1.32.0']);

export async function signatureOf(model: ContractModel): Promise<{ inputs: TensorSpec[]; outputs: TensorSpec[] }> {
  const manifest = JSON.parse(await readFile(join(root, folders[model], 'sluice.json'), 'utf8')) as Manifest;
  return { inputs: manifest.inputs, outputs: manifest.outputs };
}

/** A real MLServer, ready. Each model has the suite's name for it, and version 1. */
export async function startMlServer(models: readonly ContractModel[], fixedPort?: number): Promise<ForeignProcess> {
  const python = await foreignPython();
  const folder = await mkdtemp(join(tmpdir(), 'mlserver-'));
  const [port, grpcPort] = await freePorts(2);
  const httpPort = fixedPort ?? port!;
  const settings = {
    host: '127.0.0.1',
    http_port: httpPort,
    grpc_port: grpcPort,
    metrics_endpoint: null,
    parallel_workers: 0,
  };
  await writeFile(join(folder, 'settings.json'), JSON.stringify({ ...settings, debug: false }));
  for (const model of models) {
    const { inputs, outputs } = await signatureOf(model);
    const implementation = 'mlserver_runtime.OnnxRuntime';
    await mkdir(join(folder, model));
    await writeFile(
      join(folder, model, 'model-settings.json'),
      JSON.stringify({ name: model, implementation, parameters: { version: '1' }, inputs, outputs }),
    );
  }
  const child = spawn(join(dirname(python), 'mlserver'), ['start', folder], {
    env: { PATH: process.env['PATH'], PYTHONPATH: here },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = linesOf(child);
  const address = `http://127.0.0.1:${httpPort}`;
  const exit = once(child, 'exit');
  while (!(await answers(`${address}/v2/health/ready`))) {
    if (child.exitCode !== null) throw new Error(`MLServer did not start: ${said.join('\n')}`);
    await pause(50);
  }
  return foreignProcess(child, exit, address, () => rm(folder, { recursive: true, force: true }));
}

/** A server that speaks TensorFlow Serving's REST API over one model, whose version is 1. */
export async function startTfServing(model: ContractModel): Promise<ForeignProcess> {
  const child = spawn(await foreignPython(), [join(here, 'tf_serving_shape.py'), model], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const [port] = (await Promise.race([once(lines, 'line'), exit])) as [string | number | null];
  if (typeof port !== 'string') throw new Error('the server did not start');
  return foreignProcess(child, exit, `http://127.0.0.1:${port}`, async () => undefined);
}

function foreignProcess(
  child: ChildProcess,
  exit: Promise<unknown[]>,
  address: string,
  cleanUp: () => Promise<void>,
): ForeignProcess {
  const crash = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  return {
    address,
    crash,
    drain: async () => {
      child.kill('SIGTERM');
      const [code] = await exit;
      return { isClean: code === 0 };
    },
    [Symbol.asyncDispose]: async () => {
      await crash();
      await cleanUp();
    },
  };
}

function linesOf({ stderr }: ChildProcess): string[] {
  const said: string[] = [];
  if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => said.push(line));
  return said;
}

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ status }) => status === 200,
    () => false,
  );

/** Ports that are free now; held together, so that no two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
