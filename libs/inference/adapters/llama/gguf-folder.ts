import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '#libs/kernel';
import { languageSignatures } from '../../language/language-signature.js';
import type { Manifest } from '../../models/manifest.js';

/** A language model that cannot be served as it lies there. The message says why, in one sentence. */
export class LanguageLoadFailure extends Error {
  override readonly name = 'LanguageLoadFailure';
}

export interface GgufFolder {
  readonly manifest: Manifest;
  /** The weights; of a model in split shards the first, from which the runtime finds the others. */
  readonly weightsPath: string;
}

/** `name-00001-of-00003.gguf`, as llama.cpp's `gguf-split` names shards. */
const firstShard = /-00001-of-\d{5}\.gguf$/i;

/** A folder with `sluice.json` whose files have been compared with their hashes. @throws LanguageLoadFailure */
export async function openGgufFolder(folder: string): Promise<GgufFolder> {
  const manifest = await readManifest(folder);
  for (const file of manifest.files) {
    const actual = await sha256Of(path.join(folder, file.path));
    if (actual !== file.sha256)
      throw new LanguageLoadFailure(`${file.path} has sha256 ${actual}, but sluice.json says ${file.sha256}`);
  }
  const weights = manifest.files.filter((file) => file.path.toLowerCase().endsWith('.gguf'));
  const main = weights.length === 1 ? weights[0] : weights.find((file) => firstShard.test(file.path));
  if (main === undefined)
    throw new LanguageLoadFailure('sluice.json must name exactly one .gguf file, or all shards of one model');
  const weightsPath = path.join(folder, main.path);
  await checkHeader(weightsPath, main.path);
  return { manifest, weightsPath };
}

const headerBytes = 24;
const knownVersions = [2, 3];
/** Far above any model, and few enough to be read. */
const mostEntries = 1_000_000n;

/**
 * The reader of the runtime believes the counts that the file begins with, and reads on for as long as they say.
 * Source: docs/gguf.md of ggml
 */
async function checkHeader(file: string, name: string): Promise<void> {
  const handle = await open(file);
  try {
    const header = Buffer.alloc(headerBytes);
    await handle.read(header, 0, headerBytes, 0);
    const isGguf = header.toString('latin1', 0, 4) === 'GGUF' && knownVersions.includes(header.readUInt32LE(4));
    const [tensors, entries] = [header.readBigUInt64LE(8), header.readBigUInt64LE(16)];
    if (!isGguf || tensors > mostEntries || entries > mostEntries)
      throw new LanguageLoadFailure(`${name} is no GGUF file of version 2 or 3`);
  } finally {
    await handle.close();
  }
}

// The registry has checked the manifest against its whole schema; what is read here again is only what serving stands on.
async function readManifest(folder: string): Promise<Manifest> {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await readFile(path.join(folder, 'sluice.json'), 'utf8')) as Manifest;
  } catch (cause) {
    throw new LanguageLoadFailure(`sluice.json cannot be read: ${messageOf(cause)}`, { cause });
  }
  const isComplete =
    typeof manifest === 'object' &&
    manifest !== null &&
    typeof manifest.name === 'string' &&
    typeof manifest.version === 'string' &&
    areFiles(manifest.files);
  if (!isComplete) throw new LanguageLoadFailure('sluice.json lacks a name, a version or files');
  if (manifest.format !== 'gguf')
    throw new LanguageLoadFailure(`format ${manifest.format} is not served here, only gguf`);
  const { task = 'text-generation' } = manifest;
  if (task === 'tensors') throw new LanguageLoadFailure('task tensors is not served here: leave task out');
  // The file leaves out what is always the same.
  return { ...manifest, task, ...languageSignatures[task] };
}

const areFiles = (files: unknown): boolean =>
  Array.isArray(files) &&
  files.every(
    (file: Manifest['files'][number]) =>
      typeof file?.path === 'string' &&
      typeof file.sha256 === 'string' &&
      !path.isAbsolute(file.path) &&
      !file.path.split(/[\\/]/).includes('..'),
  );

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (cause) {
    throw new LanguageLoadFailure(`${path.basename(file)} cannot be read: ${messageOf(cause)}`, { cause });
  }
  return hash.digest('hex');
}
