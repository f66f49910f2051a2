import { link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchSmolLm2 } from '#libs/platform';
import { toolsFolder } from './temporal.ts';

export interface ModelVariant extends AsyncDisposable {
  readonly folder: string;
}

/** The sample's model under other settings, in a folder of its own that shares the weights. */
export async function smolLm2Variant(change: Record<string, unknown> = {}): Promise<ModelVariant> {
  const source = await fetchSmolLm2(toolsFolder);
  const manifest = JSON.parse(await readFile(join(source, 'sluice.json'), 'utf8')) as { files: { path: string }[] };
  // Beside the source, because only there the weights can be linked.
  const variants = join(toolsFolder, 'variants');
  await mkdir(variants, { recursive: true });
  const folder = await mkdtemp(join(variants, 'smollm2-'));
  for (const { path } of manifest.files) await link(join(source, path), join(folder, path));
  await writeFile(join(folder, 'sluice.json'), JSON.stringify({ ...manifest, ...change }));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
