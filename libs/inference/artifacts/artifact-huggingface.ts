import { z } from 'zod';
import { readOnnxPorts } from './artifact-onnx-graph.js';
import { shownList, type Converted, type LayoutFiles, type LayoutWish } from './artifact-layout-files.js';
import { refused, shownName } from './artifact-refusal.js';

/** Weights for other programs than those that serve here, and pickles among them: dead weight at best. */
const otherWeights = /\.(?:safetensors|bin|h5|msgpack|ot|pt|pth|ckpt|pkl|pickle)$/i;
/** The graph that optimum writes when there is one, the newest place first. */
const preferredGraphs = ['model.onnx', 'onnx/model.onnx'];

const configSchema = z.object({
  model_type: z.string().max(200).optional(),
  architectures: z.array(z.string().max(200)).max(16).nullish(),
});

export const isHuggingFace = (names: ReadonlySet<string>): boolean => names.has('config.json');

export const isLoneFile = (names: ReadonlySet<string>): boolean =>
  [...names].some((name) => /\.(?:onnx|gguf)$/i.test(name));

/** A folder as `optimum-cli export onnx` or a GGUF conversion leaves it. The tokenizer's files stay beside the model. */
export async function convertHuggingFace(files: LayoutFiles, wish: LayoutWish): Promise<Converted> {
  const config = await readConfig(files);
  const converted = await convertLoneFile(files, wish);
  const what = config.architectures?.[0] ?? config.model_type;
  return what === undefined
    ? converted
    : { ...converted, manifest: { ...converted.manifest, description: `Hugging Face export of ${what}` } };
}

/** One model file, alone or with others that only go with it. */
export async function convertLoneFile(files: LayoutFiles, wish: LayoutWish): Promise<Converted> {
  const graphs = ending(files, '.onnx');
  const languageModels = ending(files, '.gguf');
  if (graphs.length > 0 && languageModels.length > 0)
    throw refused(`it has ONNX and GGUF models (${shownList([...graphs, ...languageModels])}); send one of them`);
  await files.leaveOut(
    files.paths.filter((path) => otherWeights.test(path)),
    'weights for other programs',
  );
  if (languageModels.length > 0) return convertGguf(files, languageModels);
  const path = await chooseGraph(files, graphs);
  const stated = wish.manifest;
  if (stated?.inputs !== undefined && stated.outputs !== undefined)
    return { manifest: { format: 'onnx' }, warnings: [] };
  return { manifest: { format: 'onnx', ...(await readOnnxPorts(files.place(path), path)) }, warnings: [] };
}

async function convertGguf(files: LayoutFiles, found: readonly string[]): Promise<Converted> {
  const [path] = found;
  if (path === undefined || found.length > 1)
    throw refused(`it has ${found.length} .gguf files (${shownList(found)}); send one, and a split one put together`);
  if (!(await files.head(path, 4)).equals(Buffer.from('GGUF'))) throw refused(`${shownName(path)} is no GGUF file`);
  return { manifest: { format: 'gguf' }, warnings: [] };
}

async function chooseGraph(files: LayoutFiles, graphs: readonly string[]): Promise<string> {
  const chosen = preferredGraphs.find((path) => graphs.includes(path)) ?? (graphs.length === 1 ? graphs[0] : undefined);
  if (chosen === undefined) {
    throw refused(
      graphs.length === 0
        ? 'it has no .onnx and no .gguf file; export it with optimum, or convert it'
        : `it has ${graphs.length} graphs (${shownList(graphs)}) and none is model.onnx; models of several graphs are not served`,
    );
  }
  // Beside a graph may lie its weights, named for it: `model.onnx_data`, `model.onnx.data`.
  const others = graphs.filter((path) => path !== chosen);
  const belongs = (path: string): boolean =>
    others.some((other) => path === other || path.startsWith(`${other}_`) || path.startsWith(`${other}.`));
  await files.leaveOut(files.paths.filter(belongs), `as ${shownName(chosen)} was chosen`);
  return chosen;
}

async function readConfig(files: LayoutFiles): Promise<z.infer<typeof configSchema>> {
  let value: unknown;
  try {
    value = JSON.parse(await files.text('config.json'));
  } catch (failure) {
    if (!(failure instanceof SyntaxError)) throw failure;
    throw refused('config.json is not valid JSON');
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) throw refused(`config.json: ${parsed.error.issues[0]?.message ?? 'is not valid'}`);
  return parsed.data;
}

const ending = (files: LayoutFiles, suffix: string): string[] =>
  files.paths.filter((path) => path.toLowerCase().endsWith(suffix));
