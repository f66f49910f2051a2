import { readOnnxPorts } from './artifact-onnx-graph.js';
import { shownList, type Converted, type LayoutFiles, type LayoutWish } from './artifact-layout-files.js';
import { refused, shownName } from './artifact-refusal.js';
import { ConfigMessage, configFileName, tritonTypes } from './artifact-triton-config.js';
import { schedulingOf } from './artifact-triton-scheduling.js';
import { isTorchScript } from './artifact-zip.js';
import type { TensorSpec } from '../tensors/tensor.js';

type TritonFormat = 'onnx' | 'torchscript' | 'tensorflow-savedmodel';

/** Each backend's name for itself, what its file is called unless the configuration says otherwise, and our format. */
const backends: Readonly<Record<string, { format: TritonFormat; file: string }>> = {
  onnxruntime: { format: 'onnx', file: 'model.onnx' },
  pytorch: { format: 'torchscript', file: 'model.pt' },
  tensorflow: { format: 'tensorflow-savedmodel', file: 'model.savedmodel' },
};
const platforms: Readonly<Record<string, string>> = {
  onnxruntime_onnx: 'onnxruntime',
  pytorch_libtorch: 'pytorch',
  tensorflow_savedmodel: 'tensorflow',
};

/** What changes a model's answers: without it they would be wrong, so it is refused and not only told. */
const refusedFields = [
  'ensemble_scheduling',
  'sequence_batching',
  'batch_input',
  'batch_output',
  'model_repository_agents',
];

const versionFolder = /^[1-9]\d{0,17}$/;

export const isTriton = (names: ReadonlySet<string>): boolean =>
  names.has(configFileName) || (names.size > 0 && [...names].every((name) => versionFolder.test(name)));

/**
 * One model of a Triton repository: `config.pbtxt` and version folders. Without a configuration only what Triton completes
 * by itself, from an ONNX graph.
 * https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md
 */
export async function convertTriton(files: LayoutFiles, wish: LayoutWish): Promise<Converted> {
  const config = ConfigMessage.parse(files.has(configFileName) ? await files.text(configFileName) : '');
  for (const field of refusedFields) if (config.has(field)) throw config.problem(field, 'is not served here');
  if (config.inner('model_transaction_policy')?.isTrue('decoupled') === true)
    throw config.problem('model_transaction_policy.decoupled', 'is not served here: one request has one answer');
  const version = await chooseVersion(files, config, wish);
  const { format, file } = backendOf(config);
  const path = await modelPath(files, config, { format, file, version });
  const warnings: string[] = [];
  const maxBatchRows = config.whole('max_batch_size') ?? 0;
  const ports = await portsOf(files, config, { format, path, isBatched: maxBatchRows > 0, warnings, wish });
  const name = config.text('name');
  const scheduling = schedulingOf(config, format, maxBatchRows, warnings);
  const unread = config.unread();
  if (unread.length > 0) warnings.push(`${configFileName}: not used: ${shownList(unread)}`);
  return { manifest: { ...(name !== undefined && { name }), version, format, ...ports, ...scheduling }, warnings };
}

async function chooseVersion(files: LayoutFiles, config: ConfigMessage, wish: LayoutWish): Promise<string> {
  const versions = [...new Set(files.paths.map((path) => path.split('/', 1)[0] ?? ''))].filter((name) =>
    versionFolder.test(name),
  );
  const [first] = versions;
  if (first === undefined) throw refused('it has no version folder (1/, 2/, ...) with a model in it');
  const asked = versions.find((version) => version === wish.version);
  const chosen = versions.length === 1 ? first : asked;
  if (chosen === undefined)
    throw refused(`version: it has the version folders ${shownList(versions)}; name one of them in the request`);
  // Which versions Triton would load says nothing here: each is registered by itself.
  config.inner('version_policy');
  const others = files.paths.filter((path) =>
    versions.some((other) => other !== chosen && path.startsWith(`${other}/`)),
  );
  await files.leaveOut(others, `as they belong to other versions than ${chosen}`);
  return chosen;
}

function backendOf(config: ConfigMessage): { format: TritonFormat; file: string } {
  const platform = config.text('platform');
  const backend = config.text('backend');
  const name = backend ?? (platform === undefined ? 'onnxruntime' : platforms[platform]);
  const found = name === undefined ? undefined : backends[name];
  if (found === undefined) {
    const field = backend === undefined ? 'platform' : 'backend';
    throw config.problem(
      field,
      `${shownName(backend ?? platform ?? '')} is not served here, only onnxruntime, pytorch and tensorflow (SavedModel)`,
    );
  }
  if (backend === 'tensorflow' && platform !== undefined && platform !== 'tensorflow_savedmodel')
    throw config.problem('platform', `${shownName(platform)} is not served here, only tensorflow_savedmodel`);
  return found;
}

interface ModelPlace {
  format: TritonFormat;
  file: string;
  version: string;
}

async function modelPath(
  files: LayoutFiles,
  config: ConfigMessage,
  { format, file, version }: ModelPlace,
): Promise<string> {
  const path = `${version}/${config.text('default_model_filename') ?? file}`;
  const graph = files.has(path) ? path : `${path}/${format === 'onnx' ? 'model.onnx' : 'saved_model.pb'}`;
  if (!files.has(graph)) throw refused(`the file ${shownName(path)} is missing`);
  if (format === 'torchscript' && !(await isTorchScript(files.place(graph))))
    throw refused(`${shownName(graph)} is no TorchScript file; save it by torch.jit.script(model).save(...)`);
  return graph;
}

interface PortsAsk {
  format: TritonFormat;
  path: string;
  isBatched: boolean;
  warnings: string[];
  wish: LayoutWish;
}

async function portsOf(files: LayoutFiles, config: ConfigMessage, ask: PortsAsk): Promise<Record<string, unknown>> {
  const { format, path, isBatched, warnings, wish } = ask;
  const inputs = config.inners('input').map((port) => portOf(port, isBatched, warnings).spec);
  const outputs: TensorSpec[] = [];
  for (const port of config.inners('output')) {
    const { spec, labelFile } = portOf(port, isBatched, warnings);
    outputs.push(labelFile === undefined ? spec : { ...spec, labels: await labelsOf(files, labelFile) });
  }
  const isStated = wish.manifest?.inputs !== undefined && wish.manifest.outputs !== undefined;
  if (isStated || (inputs.length > 0 && outputs.length > 0)) return { inputs, outputs };
  if (format !== 'onnx') throw refused(`${configFileName}: input and output must stand there for this platform`);
  const graph = await readOnnxPorts(files.place(path), path);
  return { inputs: inputs.length > 0 ? inputs : graph.inputs, outputs: outputs.length > 0 ? outputs : graph.outputs };
}

function portOf(
  port: ConfigMessage,
  isBatched: boolean,
  warnings: string[],
): { spec: TensorSpec; labelFile: string | undefined } {
  const name = port.text('name');
  if (name === undefined || name === '') throw port.problem('name', 'is missing');
  const type = port.word('data_type') ?? 'TYPE_INVALID';
  const datatype = tritonTypes[type];
  if (datatype === undefined) throw port.problem('data_type', `${shownName(type)} is no datatype of the protocol`);
  for (const field of ['reshape', 'is_shape_tensor', 'allow_ragged_batch'] as const)
    if (port.has(field) && (field === 'reshape' || port.isTrue(field) === true))
      throw port.problem(field, 'is not served here');
  if (port.isTrue('optional') === true)
    warnings.push(`${configFileName}: ${shownName(name)}: optional is not used: each request must send it`);
  const dimensions = port.wholes('dims');
  if (dimensions.length === 0) throw port.problem('dims', 'is missing');
  const labelFile = port.text('label_filename');
  const unread = port.unread().filter((field) => !field.endsWith('.format'));
  if (unread.length > 0) warnings.push(`${configFileName}: not used: ${shownList(unread)}`);
  return { spec: { name, datatype, shape: isBatched ? [-1, ...dimensions] : dimensions }, labelFile };
}

async function labelsOf(files: LayoutFiles, path: string): Promise<string[]> {
  return (await files.text(path)).split(/\r?\n/).filter((line) => line !== '');
}
