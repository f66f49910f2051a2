import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonEnvironment } from '../../support/python-environment.ts';
import { jsonRequest, modelFolder, sampleRow, type BenchModel } from '../bench-models.ts';
import { startPeer, type PeerPlace, type RunningPeer } from './peer-process.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** One server of others, and how it is asked for the same answer. */
export interface TensorPeer {
  name: string;
  /** Debian's own Python where a package needs the library of the interpreter that Debian ships. */
  interpreter: 'python3' | '/usr/bin/python3';
  packages: readonly string[];
  /** Shared by peers with the same packages. */
  environment: string;
  command(place: PeerPlace): Promise<readonly [string, ...string[]]>;
  path: string;
  body(model: BenchModel): string;
  /** The output row of an answer. */
  rowOf(answer: any): number[];
}

const onnxruntime = 'onnxruntime==1.30.0';
const oipRowOf = (answer: any): number[] => answer.outputs[0].data.flat();
const oipBody = (model: BenchModel): string => jsonRequest(model);

async function mlserverCommand({ folder, port }: PeerPlace, batching: object): Promise<readonly [string, ...string[]]> {
  const settings = { host: '127.0.0.1', http_port: port, grpc_port: port + 1, metrics_port: port + 2, debug: false };
  await writeFile(join(folder, 'settings.json'), JSON.stringify({ ...settings, parallel_workers: 1 }));
  const model = { name: 'peer', implementation: 'runtime.Peer', parameters: { uri: folder }, ...batching };
  await writeFile(join(folder, 'model-settings.json'), JSON.stringify(model));
  return ['mlserver', 'start', folder];
}

const mlserver = {
  environment: 'mlserver',
  interpreter: 'python3',
  packages: ['mlserver==1.7.1', 'uvloop<0.22', onnxruntime, 'numpy<3'],
  path: '/v2/models/peer/infer',
  body: oipBody,
  rowOf: oipRowOf,
} as const;

export const tensorPeers: readonly TensorPeer[] = [
  {
    name: 'triton',
    environment: 'triton',
    interpreter: '/usr/bin/python3',
    packages: ['nvidia-pytriton==0.7.0', onnxruntime],
    command: async () => ['python', here('./triton.py')],
    path: '/v2/models/peer/infer',
    body: oipBody,
    rowOf: oipRowOf,
  },
  { name: 'mlserver', ...mlserver, command: (place) => mlserverCommand(place, {}) },
  {
    name: 'mlserver-batching',
    ...mlserver,
    command: (place) => mlserverCommand(place, { max_batch_size: 64, max_batch_time: 0.002 }),
  },
  {
    name: 'litserve',
    environment: 'litserve',
    interpreter: 'python3',
    packages: ['litserve==0.2.19', onnxruntime],
    command: async () => ['python', here('./litserve_app.py')],
    path: '/predict',
    body: (model) => JSON.stringify({ x: sampleRow(model) }),
    rowOf: (answer) => answer.y,
  },
  {
    name: 'bentoml',
    environment: 'bentoml',
    interpreter: 'python3',
    packages: ['bentoml==1.4.40', onnxruntime],
    command: async ({ port }) => [
      'bentoml',
      'serve',
      'bentoml_service:Peer',
      '--working-dir',
      here('.'),
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
    ],
    path: '/predict',
    body: (model) => JSON.stringify({ x: [sampleRow(model)] }),
    rowOf: (answer) => answer.flat(),
  },
  {
    name: 'ray-serve',
    environment: 'ray-serve',
    interpreter: 'python3',
    packages: ['ray[serve]==2.60.0', onnxruntime],
    command: async () => ['python', here('./ray_app.py')],
    path: '/predict',
    body: (model) => JSON.stringify({ x: sampleRow(model) }),
    rowOf: (answer) => answer.y,
  },
];

/** Starts one with the model's own graph, on as many threads per run as Sluice gives it. */
export async function startTensorPeer(peer: TensorPeer, model: BenchModel): Promise<RunningPeer> {
  const python = await pythonEnvironment(`peer-${peer.environment}`, peer.packages, peer.interpreter);
  const graph = join(await modelFolder(model), 'model.onnx');
  return startPeer({
    name: peer.name,
    binFolder: dirname(python),
    command: (place) => peer.command(place),
    env: ({ port }) => ({
      PYTHONPATH: `${here('.')}:${here('./mlserver')}`,
      PEER_MODEL: graph,
      PEER_PORT: String(port),
      // Nobody's telemetry goes out of a measurement.
      BENTOML_DO_NOT_TRACK: 'True',
      RAY_USAGE_STATS_ENABLED: '0',
      PYTRITON_NO_TELEMETRY: '1',
    }),
    request: ({ port }) => ({
      url: `http://127.0.0.1:${port}${peer.path}`,
      headers: { 'content-type': 'application/json' },
      body: peer.body(model),
    }),
  });
}
