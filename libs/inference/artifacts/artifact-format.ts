import { manifestFileName } from './artifact-path.js';
import { refused, shownName } from './artifact-refusal.js';
import type { Manifest, ModelFormat } from '../models/manifest.js';

/** The one file that each format starts from. */
const mainFiles: Readonly<Record<ModelFormat, string | undefined>> = {
  onnx: '.onnx',
  torchscript: '.pt',
  'torch-export': '.pt2',
  'tensorflow-savedmodel': 'saved_model.pb',
  keras: '.keras',
  gguf: '.gguf',
  remote: undefined,
};

/** Holds the files against what the format starts from. @throws SLU_ARTIFACT_REFUSED */
export function refuseWrongFiles(manifest: Manifest): void {
  const wanted = mainFiles[manifest.format];
  if (wanted === undefined) return;
  if (manifest.format === 'gguf') return refuseWrongShards(manifest);
  const main = manifest.files.filter((file) => file.path.toLowerCase().endsWith(wanted));
  if (main.length !== 1) {
    throw refused(
      `${manifestFileName}: files: format ${manifest.format} needs exactly one ${wanted} file, not ${main.length}`,
    );
  }
}

/** `name-00001-of-00003.gguf`, as llama.cpp's `gguf-split` names the parts of one model. */
const shard = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

/** One file with weights, or all shards of one model. */
function refuseWrongShards({ files }: Manifest): void {
  const weights = files.map(({ path }) => path).filter((path) => path.toLowerCase().endsWith('.gguf'));
  const shards = weights.flatMap((path) => shard.exec(path) ?? []);
  if (weights.length === 1 && shards.length === 0) return;
  const [first, stem, , total] = shards;
  if (first === undefined)
    throw refused(`${manifestFileName}: files: format gguf needs exactly one .gguf file, not ${weights.length}`);
  const wanted = Array.from(
    { length: Number(total) },
    (_value, index) => `${stem}-${String(index + 1).padStart(5, '0')}-of-${total}.gguf`,
  );
  const missing = wanted.find((path) => !weights.includes(path));
  if (missing !== undefined) throw refused(`${manifestFileName}: files: the shard ${shownName(missing)} is missing`);
  const strange = weights.find((path) => !wanted.includes(path));
  if (strange !== undefined)
    throw refused(`${manifestFileName}: files: ${shownName(strange)} is no shard of ${shownName(first)}`);
}

const pythonFormats: readonly ModelFormat[] = ['torchscript', 'torch-export', 'tensorflow-savedmodel', 'keras'];

/** Refuses what no replica of the format could ever load. @throws SLU_ARTIFACT_REFUSED */
export function refuseUnservable({ format, allowCode, inputs, outputs }: Manifest): void {
  if (allowCode !== undefined && !pythonFormats.includes(format))
    throw refused(`${manifestFileName}: allowCode: a model of format ${format} carries no code, leave it out`);
  if (format !== 'torchscript' && format !== 'torch-export') return;
  for (const [side, specs] of Object.entries({ inputs, outputs })) {
    const text = specs.find(({ datatype }) => datatype === 'BYTES');
    if (text !== undefined)
      throw refused(
        `${manifestFileName}: ${side}: ${shownName(text.name)} is BYTES, and PyTorch's tensors hold no texts`,
      );
  }
}
