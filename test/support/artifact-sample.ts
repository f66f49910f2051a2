import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

export type SampleFiles = Record<string, string | Buffer>;

/** A manifest that fits the files. The graph is no real one: the registry does not run it. */
export function sampleManifest(files: SampleFiles, rest: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    schemaVersion: 1,
    name: 'sample',
    version: '1',
    format: 'onnx',
    files: Object.entries(files).map(([path, content]) => ({
      path,
      sha256: sha256(content),
      bytes: Buffer.byteLength(content),
    })),
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
    ...rest,
  };
}

export const sampleFiles: SampleFiles = { 'model.onnx': 'no real graph', 'data/words.txt': 'some words' };

/** `sluice.json` and the files it states. */
export function sampleArtifact(rest: Record<string, unknown> = {}, files: SampleFiles = sampleFiles): SampleFiles {
  return { 'sluice.json': JSON.stringify(sampleManifest(files, rest)), ...files };
}

export async function writeFiles(folder: string, files: SampleFiles): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

export interface TarEntry {
  path: string;
  content?: string | Buffer;
  type?: 'File' | 'Link' | 'SymbolicLink' | 'CharacterDevice' | 'BlockDevice' | 'FIFO' | 'Directory' | 'ExtendedHeader';
  linkpath?: string;
  /** What the header states, where it shall not be the truth. */
  statedBytes?: number;
}

export const endOfTar = Buffer.alloc(1_024);

/** One entry as bytes, whatever it holds: hostile archives cannot be made with a well-behaved packer. */
export function tarEntry({ path, content = '', type = 'File', linkpath, statedBytes }: TarEntry): Buffer {
  const body = Buffer.from(content);
  const header = new Header({
    path,
    size: statedBytes ?? body.length,
    type,
    mode: 0o644,
    ...(linkpath === undefined ? {} : { linkpath }),
  });
  const block = Buffer.alloc(512);
  header.encode(block, 0);
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export const tar = (entries: TarEntry[]): Buffer => Buffer.concat([...entries.map(tarEntry), endOfTar]);

export const tarGz = (entries: TarEntry[]): Buffer => gzipSync(tar(entries));

export const entriesOf = (files: SampleFiles, prefix = ''): TarEntry[] =>
  Object.entries(files).map(([path, content]) => ({ path: `${prefix}${path}`, content }));
