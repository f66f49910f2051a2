import { convertHuggingFace, convertLoneFile, isHuggingFace, isLoneFile } from './artifact-huggingface.js';
import { LayoutFiles, type Converted, type LayoutWish } from './artifact-layout-files.js';
import { convertMlflow, isMlflow } from './artifact-mlflow.js';
import { manifestFileName } from './artifact-path.js';
import { refused, shownName } from './artifact-refusal.js';
import type { ArtifactStaging } from './artifact-staging.js';
import { convertTriton, isTriton } from './artifact-triton.js';

/** How an artifact may lie there. `sluice` has a manifest of its own; the others are turned into one. */
export const layoutNames = ['sluice', 'mlflow', 'triton', 'huggingface', 'file'] as const;
export type LayoutName = (typeof layoutNames)[number];

interface Layout {
  name: Exclude<LayoutName, 'sluice'>;
  /** @param names what lies at the root, folders and files */
  isOne(names: ReadonlySet<string>): boolean;
  convert(files: LayoutFiles, wish: LayoutWish): Promise<Converted>;
}

/** In the order in which they are tried. */
const layouts: readonly Layout[] = [
  { name: 'mlflow', isOne: isMlflow, convert: convertMlflow },
  { name: 'triton', isOne: isTriton, convert: convertTriton },
  { name: 'huggingface', isOne: isHuggingFace, convert: convertHuggingFace },
  { name: 'file', isOne: isLoneFile, convert: convertLoneFile },
];

export const layoutOf = (names: ReadonlySet<string>): Layout | undefined =>
  layouts.find((layout) => layout.isOne(names));

export const noLayoutProblem = `${manifestFileName} is missing at the root (or in the one top folder), and it is no other layout that is known: an MLflow model (MLmodel), a Triton model (config.pbtxt), a Hugging Face export (config.json), or one .onnx or .gguf file`;

/** The one top folder in which archives may carry everything, `''`, or undefined when no layout is to be seen. */
export function findRoot(paths: Iterable<string>): { top: string; layout: LayoutName } | undefined {
  const all = [...paths];
  const atRoot = layoutAt(all, '');
  if (atRoot !== undefined) return { top: '', layout: atRoot };
  const tops = new Set(all.map((path) => path.slice(0, Math.max(0, path.indexOf('/')))));
  const [top] = tops;
  if (tops.size !== 1 || top === undefined || top === '') return undefined;
  const layout = layoutAt(all, `${top}/`);
  return layout === undefined ? undefined : { top, layout };
}

function layoutAt(paths: readonly string[], prefix: string): LayoutName | undefined {
  const names = new Set(paths.map((path) => path.slice(prefix.length).split('/', 1)[0] ?? ''));
  if (paths.includes(`${prefix}${manifestFileName}`)) return 'sluice';
  return layoutOf(names)?.name;
}

/** Turns what lies in the staging folder into an artifact with a manifest. @returns its warnings @throws SLU_ARTIFACT_* */
export async function convertLayout(
  staging: ArtifactStaging,
  root: { top: string; layout: LayoutName },
  wish: LayoutWish,
): Promise<string[]> {
  const layout = layouts.find(({ name }) => name === root.layout);
  if (layout === undefined) throw refused(noLayoutProblem);
  const files = new LayoutFiles(staging, root.top);
  if (layout.name !== 'triton') refuseNameless(layout, wish);
  const hidden = files.paths.filter((path) => path.split('/').some((segment) => segment.startsWith('.')));
  await files.leaveOut(hidden, 'hidden files');
  const { manifest, warnings } = await layout.convert(files, wish);
  const { name = manifest['name'], version = manifest['version'] } = wish;
  refuseNameless(layout, { name, version });
  const stated = { ...manifest, ...wish.manifest, schemaVersion: 1 };
  await files.write({ ...stated, name, version });
  return [...files.warnings, ...warnings];
}

function refuseNameless({ name: layout }: Layout, wish: { name?: unknown; version?: unknown }): void {
  const missing = (['name', 'version'] as const).filter((field) => wish[field] === undefined);
  if (missing.length === 0) return;
  throw refused(
    `${manifestFileName} is missing; for the ${layout} layout that this is, send ${missing.join(' and ')} with the request`,
  );
}

/** Holds a manifest that came with the artifact against what the request says. @throws SLU_ARTIFACT_REFUSED */
export function refuseOtherWish(manifest: { name: string; version: string }, wish: LayoutWish): void {
  for (const field of ['name', 'version'] as const) {
    if (wish[field] !== undefined && wish[field] !== manifest[field])
      throw refused(
        `${field}: ${manifestFileName} says ${manifest[field]}, the request says ${shownName(wish[field])}`,
      );
  }
  if (wish.manifest !== undefined)
    throw refused(`manifest: the artifact has a ${manifestFileName} of its own, and only that counts`);
}
