import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '#libs/kernel';
import { datatypes } from '../../tensors/datatype.js';
import type { Manifest } from '../../models/manifest.js';

/** A model that cannot be served as it lies there. The message says why, in one sentence. */
export class ModelLoadFailure extends Error {
  override readonly name = 'ModelLoadFailure';
}

/** A folder with `sluice.json` whose files have been compared with their hashes. */
export interface ModelFolder {
  readonly manifest: Manifest;
  /** The ONNX graph; files with its weights may lie beside it. */
  readonly graphPath: string;
}

/** @throws ModelLoadFailure */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const manifest = await readManifest(folder);
  for (const file of manifest.files) {
    const actual = await sha256Of(path.join(folder, file.path));
    if (actual !== file.sha256)
      throw new ModelLoadFailure(`${file.path} has sha256 ${actual}, but sluice.json says ${file.sha256}`);
  }
  const graphs = manifest.files.filter((file) => file.path.endsWith('.onnx'));
  const graph = graphs.find((file) => path.basename(file.path) === 'model.onnx') ?? graphs[0];
  if (graph === undefined) throw new ModelLoadFailure('sluice.json names no .onnx file');
  return { manifest, graphPath: path.join(folder, graph.path) };
}

// The registry has checked the manifest against its whole schema. The schema library would double this process's idle
// memory, so what is read here again is only what serving stands on.
async function readManifest(folder: string): Promise<Manifest> {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await readFile(path.join(folder, 'sluice.json'), 'utf8')) as Manifest;
  } catch (cause) {
    throw new ModelLoadFailure(`sluice.json cannot be read: ${messageOf(cause)}`, { cause });
  }
  const isComplete =
    typeof manifest === 'object' &&
    manifest !== null &&
    typeof manifest.name === 'string' &&
    typeof manifest.version === 'string' &&
    areFiles(manifest.files) &&
    areSpecs(manifest.inputs) &&
    areSpecs(manifest.outputs);
  if (!isComplete) throw new ModelLoadFailure('sluice.json lacks a name, a version, files, inputs or outputs');
  if (manifest.format !== 'onnx') throw new ModelLoadFailure(`format ${manifest.format} is not served here, only onnx`);
  return manifest;
}

function areFiles(files: unknown): boolean {
  return (
    Array.isArray(files) &&
    files.every((file: Manifest['files'][number]) => {
      if (typeof file?.path !== 'string' || typeof file.sha256 !== 'string') return false;
      return !path.isAbsolute(file.path) && !file.path.split(/[\\/]/).includes('..');
    })
  );
}

function areSpecs(specs: unknown): boolean {
  return (
    Array.isArray(specs) &&
    specs.length > 0 &&
    specs.every((spec: Manifest['inputs'][number]) => {
      if (typeof spec?.name !== 'string' || !Object.hasOwn(datatypes, spec.datatype)) return false;
      return Array.isArray(spec.shape) && spec.shape.every((size) => Number.isInteger(size) && size >= -1);
    })
  );
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (cause) {
    throw new ModelLoadFailure(`${path.basename(file)} cannot be read: ${messageOf(cause)}`, { cause });
  }
  return hash.digest('hex');
}
