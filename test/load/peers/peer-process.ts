import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '#libs/platform';
import { pythonEnvironment } from '../../support/python-environment.ts';
import { modelFolder, type BenchModel } from '../bench-models.ts';
import type { TensorPeer } from './tensor-peers.ts';

const startDeadlineMs = 180_000;
const stopDeadlineMs = 20_000;
const peersFolder = fileURLToPath(new URL('.', import.meta.url));

export interface RunningPeer extends AsyncDisposable {
  url: string;
  /** Its first answer to the sample row. */
  row: number[];
}

/** Starts a peer in a group of processes of its own and waits until it answers. @throws Error with its last output */
export async function startPeer(peer: TensorPeer, model: BenchModel): Promise<RunningPeer> {
  const python = await pythonEnvironment(`peer-${peer.environment}`, peer.packages, peer.interpreter);
  const folder = await mkdtemp(join(tmpdir(), 'sluice-peer-'));
  const port = await freePort();
  const [program, ...args] = await peer.command({ folder, port });
  const bin = dirname(python);
  const child = spawn(join(bin, program!), args, {
    cwd: folder,
    detached: true,
    env: {
      ...process.env,
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      PYTHONPATH: `${peersFolder}:${join(peersFolder, 'mlserver')}`,
      PEER_MODEL: join(await modelFolder(model), 'model.onnx'),
      PEER_PORT: String(port),
      // Nobody's telemetry goes out of a measurement.
      BENTOML_DO_NOT_TRACK: 'True',
      RAY_USAGE_STATS_ENABLED: '0',
      PYTRITON_NO_TELEMETRY: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = tailOf(child);
  const stop = async (): Promise<void> => {
    await stopGroup(child);
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}${peer.path}`;
  try {
    return { url, row: await firstRow(peer, model, url, child), [Symbol.asyncDispose]: stop };
  } catch (cause) {
    await stop();
    throw new Error(`${peer.name} did not answer: ${(cause as Error).message}\n${output()}`, { cause });
  }
}

async function firstRow(peer: TensorPeer, model: BenchModel, url: string, child: ChildProcess): Promise<number[]> {
  const deadline = performance.now() + startDeadlineMs;
  let problem = 'no answer';
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url, { method: 'POST', headers, body: peer.body(model) }).catch(() => undefined);
    if (answer?.status === 200) return peer.rowOf(await answer.json());
    problem = answer === undefined ? problem : `${answer.status} ${await answer.text()}`;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(problem);
}

function tailOf(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4_000);
    });
  return () => text;
}

/** Ends the whole group: several of the peers start workers that do not follow their parent. */
async function stopGroup(child: ChildProcess): Promise<void> {
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // The group is gone.
    }
  };
  signalGroup('SIGTERM');
  if (child.exitCode === null && child.signalCode === null) {
    const insist = setTimeout(() => signalGroup('SIGKILL'), stopDeadlineMs);
    await once(child, 'exit');
    clearTimeout(insist);
  }
  signalGroup('SIGKILL');
}
