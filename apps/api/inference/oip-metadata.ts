import type { LiveEndpoint, ServedVersion, ServingSnapshot, TensorSpec } from '#libs/inference';
import { sluiceError } from '#libs/kernel';

/** `platform` as Triton and MLServer name it. */
export const platforms = {
  onnx: 'onnx_onnxv1',
  torchscript: 'pytorch_torchscript',
  'torch-export': 'pytorch_export',
  'tensorflow-savedmodel': 'tensorflow_savedmodel',
  keras: 'tensorflow_keras',
  gguf: 'llama_gguf',
  remote: 'remote',
} as const satisfies Record<ServedVersion['format'], string>;

/** What is kept of Triton's extensions, by its names for them; docs/reference/open-inference-protocol.md tells of each. */
const extensions = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'parameters',
  'schedule_policy',
  'statistics',
];

export const serverMetadata = (version: string): { name: string; version: string; extensions: string[] } => ({
  name: 'sluice',
  version,
  extensions,
});

export interface ModelMetadata {
  name: string;
  versions: string[];
  platform: string;
  inputs: { name: string; datatype: string; shape: readonly number[] }[];
  outputs: { name: string; datatype: string; shape: readonly number[] }[];
}

/** @throws SLU_MODEL_VERSION_UNKNOWN */
export function modelMetadata(endpoint: LiveEndpoint, asked: string | undefined): ModelMetadata {
  const version = describedVersion(endpoint, asked);
  return {
    name: endpoint.name,
    versions: versionsOf(endpoint).map(({ version: name }) => name),
    platform: platforms[version.format],
    inputs: version.inputs.map(tensorMetadata),
    outputs: version.outputs.map(tensorMetadata),
  };
}

/** Ready is a version that can answer now; an endpoint is, when each of its versions with traffic is. */
export function isModelReady(
  endpoint: LiveEndpoint,
  asked: string | undefined,
  isUp: (versionKey: string) => boolean,
): boolean {
  if (asked !== undefined) return isUp(describedVersion(endpoint, asked).key);
  return endpoint.arms.length > 0 && endpoint.arms.every(({ weight, version }) => weight <= 0 || isUp(version.key));
}

export interface IndexEntry {
  name: string;
  version: string;
  state: 'READY' | 'UNAVAILABLE';
  reason: string;
}

export function repositoryIndex(snapshot: ServingSnapshot, isUp: (versionKey: string) => boolean): IndexEntry[] {
  return [...snapshot.endpoints.values()].flatMap((endpoint) =>
    versionsOf(endpoint).map((version): IndexEntry => {
      const { name } = endpoint;
      if (isUp(version.key)) return { name, version: version.version, state: 'READY', reason: '' };
      const newest = snapshot.replicas.get(version.key)?.newest;
      const reason =
        newest === undefined ? 'no replica was started' : (newest.reason ?? `the newest replica is ${newest.state}`);
      return { name, version: version.version, state: 'UNAVAILABLE', reason };
    }),
  );
}

export function versionsOf({ arms }: LiveEndpoint): ServedVersion[] {
  return [...new Set(arms.map(({ version }) => version))].sort((one, other) => (one.version < other.version ? -1 : 1));
}

/** The stable arm is the last one; what it declares is what the endpoint declares. @throws SLU_MODEL_VERSION_UNKNOWN */
export function describedVersion(endpoint: LiveEndpoint, asked: string | undefined): ServedVersion {
  const version = asked === undefined ? endpoint.arms.at(-1)?.version : endpoint.pinned.get(asked)?.version;
  if (version === undefined)
    throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model: endpoint.name, version: asked ?? '?' });
  return version;
}

function tensorMetadata({ name, datatype, shape }: TensorSpec): {
  name: string;
  datatype: string;
  shape: readonly number[];
} {
  return { name, datatype, shape };
}
