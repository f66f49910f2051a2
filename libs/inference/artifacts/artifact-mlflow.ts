import { isScalar, parseDocument, visit, type YAMLMap } from 'yaml';
import { z } from 'zod';
import type { DatatypeName } from '../tensors/datatype.js';
import { readOnnxPorts, type OnnxPorts } from './artifact-onnx-graph.js';
import { shownList, type Converted, type LayoutFiles, type LayoutWish } from './artifact-layout-files.js';
import { refused, shownName } from './artifact-refusal.js';
import { isTorchScript } from './artifact-zip.js';
import type { TensorSpec } from '../tensors/tensor.js';

const modelFile = 'MLmodel';
const pickles = /\.(?:pkl|pickle|cloudpickle|joblib)$/i;

const text = z.string().max(512);
/** `MLmodel`, https://mlflow.org/docs/latest/ml/model/ ; only what decides how it is served. */
const modelSchema = z.object({
  flavors: z.record(z.string(), z.record(z.string(), z.unknown())),
  signature: z.object({ inputs: text.max(200_000).nullish(), outputs: text.max(200_000).nullish() }).nullish(),
});
type MlflowModel = z.infer<typeof modelSchema>;

interface Flavour {
  name: string;
  settings: Record<string, unknown>;
}

export const isMlflow = (names: ReadonlySet<string>): boolean => names.has(modelFile);

/** An MLflow model folder with one of the flavors that are served without running its code. */
export async function convertMlflow(files: LayoutFiles, wish: LayoutWish): Promise<Converted> {
  const model = await readModel(files);
  await files.leaveOut(
    files.paths.filter((path) => pickles.test(path)),
    'pickles, which run code when they are read',
  );
  for (const [name, convert] of Object.entries(flavours)) {
    const settings = model.flavors[name];
    if (settings !== undefined) return convert(files, { name, settings }, new Signature(model, wish));
  }
  const found = Object.keys(model.flavors).map(shownName).join(', ') || 'none';
  throw refused(
    `${modelFile}: flavors: ${found}; served are onnx, pytorch (TorchScript), tensorflow and keras: convert the model to ONNX`,
  );
}

const flavours: Readonly<
  Record<string, (files: LayoutFiles, flavour: Flavour, signature: Signature) => Promise<Converted>>
> = {
  onnx: convertOnnx,
  pytorch: convertPytorch,
  tensorflow: convertTensorflow,
  keras: convertTensorflow,
};

async function convertOnnx(files: LayoutFiles, { settings }: Flavour, signature: Signature): Promise<Converted> {
  const path = fileIn(settings['data'] ?? 'model.onnx');
  if (!files.has(path)) throw refused(`${modelFile}: flavors.onnx.data: the file ${shownName(path)} is missing`);
  const warnings: string[] = [];
  const graph = await readOnnxPorts(files.place(path), path);
  const ports = signature.isStated ? signature.required() : graph;
  for (const side of ['inputs', 'outputs'] as const) {
    const names = new Set(graph[side].map(({ name }) => name));
    const stray = ports[side].find(({ name }) => !names.has(name));
    if (stray !== undefined)
      throw refused(
        `${modelFile}: signature.${side}: ${shownName(stray.name)} is no name of the graph: ${shownList([...names])}`,
      );
  }
  const options = settings['onnx_session_options'];
  if (typeof options === 'object' && options !== null && Object.keys(options).length > 0)
    warnings.push('flavors.onnx.onnx_session_options are not used; state "onnx" in the manifest');
  const providers = onnxProviders(settings['providers'], warnings);
  return {
    manifest: { format: 'onnx', ...ports, ...(providers.length > 0 && { onnx: { executionProviders: providers } }) },
    warnings,
  };
}

const knownProviders: Readonly<Record<string, string>> = {
  CUDAExecutionProvider: 'cuda',
  TensorrtExecutionProvider: 'tensorrt',
  OpenVINOExecutionProvider: 'openvino',
  CPUExecutionProvider: 'cpu',
};

function onnxProviders(value: unknown, warnings: string[]): string[] {
  const given: unknown[] = Array.isArray(value) ? value.slice(0, 16) : [];
  const names = given.map((each) => String(Array.isArray(each) ? each[0] : each));
  const unknown = names.filter((name) => knownProviders[name] === undefined);
  if (unknown.length > 0) warnings.push(`execution providers that are not used: ${shownList(unknown)}`);
  if (given.some(Array.isArray)) warnings.push('options of execution providers are not used');
  return [...new Set(names.flatMap((name) => knownProviders[name] ?? []))];
}

async function convertPytorch(files: LayoutFiles, { settings }: Flavour, signature: Signature): Promise<Converted> {
  const folder = fileIn(settings['model_data'] ?? 'data');
  const paths = files.paths.filter((path) => path.startsWith(`${folder}/`) && /\.(?:pth?|pt2)$/i.test(path));
  const [path] = paths;
  if (path === undefined || paths.length > 1) {
    throw refused(
      `${modelFile}: flavors.pytorch.model_data: ${paths.length} .pth or .pt2 files lie in ${shownName(folder)}, not one`,
    );
  }
  if (path.endsWith('.pt2')) return { manifest: { format: 'torch-export', ...signature.required() }, warnings: [] };
  if (!(await isTorchScript(files.place(path)))) {
    throw refused(
      `${shownName(path)} is a pickle, which runs code when it is read; log it with serialization_format="pt2", or torch.jit.script(model), or export it to ONNX`,
    );
  }
  if (!path.endsWith('.pt')) await files.rename(path, path.replace(/\.pth?$/i, '.pt'));
  return { manifest: { format: 'torchscript', ...signature.required() }, warnings: [] };
}

async function convertTensorflow(files: LayoutFiles, flavour: Flavour, signature: Signature): Promise<Converted> {
  const { name, settings } = flavour;
  const folder = fileIn(settings['saved_model_dir'] ?? settings['data'] ?? 'data');
  const below = files.paths.filter((path) => path.startsWith(`${folder}/`));
  const formats = [
    ['tensorflow-savedmodel', /(?:^|\/)saved_model\.pb$/],
    ['keras', /\.keras$/],
  ] as const;
  for (const [format, pattern] of formats) {
    const found = below.filter((path) => pattern.test(path));
    if (found.length > 1) throw refused(`${shownName(folder)} holds several models: ${shownList(found)}`);
    if (found.length === 1)
      return { manifest: { format, ...signature.required() }, warnings: tensorflowWarnings(settings) };
  }
  throw refused(`${modelFile}: flavors.${name}: there is no saved_model.pb and no .keras file in ${shownName(folder)}`);
}

function tensorflowWarnings(settings: Record<string, unknown>): string[] {
  const key = settings['signature_def_key'];
  return typeof key !== 'string' || key === 'serving_default'
    ? []
    : [`signature_def_key ${shownName(key)} is not used; the serving_default signature is`];
}

/** What the model takes and gives, by the request before `MLmodel`. */
class Signature {
  private readonly inputs: TensorSpec[] | undefined;
  private readonly outputs: TensorSpec[] | undefined;

  constructor({ signature }: MlflowModel, { manifest }: LayoutWish) {
    this.inputs = manifest?.inputs ?? tensors('inputs', signature?.inputs);
    this.outputs = manifest?.outputs ?? tensors('outputs', signature?.outputs);
  }

  /** Both sides by tensors with names. Columns say nothing of a graph's own inputs. */
  get isStated(): boolean {
    return this.inputs !== undefined && this.outputs !== undefined;
  }

  required(): OnnxPorts {
    if (this.inputs === undefined || this.outputs === undefined)
      throw refused(
        `${modelFile}: signature: does not name tensors for inputs and outputs; send them as inputs and outputs in "manifest"`,
      );
    return { inputs: this.inputs, outputs: this.outputs };
  }
}

const signatureEntry = z.object({
  name: z.string().max(128).optional(),
  type: z.string().max(64),
  'tensor-spec': z.object({ dtype: z.string().max(32), shape: z.array(z.int().min(-1)).min(1).max(8) }).optional(),
});

function tensors(side: 'inputs' | 'outputs', source: string | null | undefined): TensorSpec[] | undefined {
  if (source === null || source === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw refused(`${modelFile}: signature.${side}: is not valid JSON`);
  }
  const parsed = z.array(signatureEntry).min(1).max(256).safeParse(value);
  if (!parsed.success) return undefined;
  const specs = parsed.data.map((entry) => tensorOf(side, entry));
  return specs.some((spec) => spec === undefined) ? undefined : (specs as TensorSpec[]);
}

function tensorOf(side: string, entry: z.infer<typeof signatureEntry>): TensorSpec | undefined {
  const spec = entry['tensor-spec'];
  if (spec === undefined || entry.name === undefined) return undefined;
  const datatype =
    numpyTypes[spec.dtype] ?? (/^(?:object|str|bytes|<U\d*|\|S\d*)$/.test(spec.dtype) ? 'BYTES' : undefined);
  if (datatype === undefined)
    throw refused(
      `${modelFile}: signature.${side}: ${shownName(entry.name)} has the dtype ${shownName(spec.dtype)}, which no request can carry`,
    );
  return { name: entry.name, datatype, shape: spec.shape };
}

const numpyTypes: Readonly<Record<string, DatatypeName>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
};

async function readModel(files: LayoutFiles): Promise<MlflowModel> {
  const source = await files.text(modelFile);
  let value: unknown;
  try {
    value = yamlIn(source);
  } catch (failure) {
    const why = failure instanceof Error ? (failure.message.split('\n', 1)[0] ?? '') : 'unreadable';
    throw refused(`${modelFile} is not YAML that can be read: ${shownName(why)}`);
  }
  const parsed = modelSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refused(
    `${modelFile}: ${issue?.path.map(String).join('.') || 'document'}: ${issue?.message ?? 'is not valid'}`,
  );
}

/** @throws Error whose message says what is wrong with it */
function yamlIn(source: string): unknown {
  // The library would find a key that stands twice by comparing each with all others, which takes many seconds for many keys.
  const document = parseDocument(source, { merge: false, uniqueKeys: false, schema: 'core', logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  visit(document, { Map: (_key, map) => refuseTwice(map) });
  // Aliases are what makes a small file large; MLflow writes none.
  return document.toJS({ maxAliasCount: 0 });
}

function refuseTwice({ items }: YAMLMap): void {
  const seen = new Set<unknown>();
  for (const { key } of items) {
    const name = isScalar(key) ? key.value : key;
    if (seen.has(name)) throw new Error('Map keys must be unique');
    seen.add(name);
  }
}

/** A path that the file names: the caller compares it with what is there, so it cannot lead anywhere else. */
function fileIn(value: unknown): string {
  if (typeof value !== 'string') throw refused(`${modelFile}: flavors: a path must be text`);
  return value.replace(/^\.\//, '').replace(/\/+$/, '');
}
