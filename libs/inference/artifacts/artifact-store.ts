import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { days, secondsToMs, sluiceError } from '#libs/kernel';
import { unpackArchive } from './artifact-archive.js';
import { copyFolder, type FolderAccess } from './artifact-folder.js';
import { defaultArtifactLimits, type ArtifactLimits } from './artifact-limits.js';
import { convertLayout, findRoot, noLayoutProblem, refuseOtherWish, type LayoutName } from './artifact-layout.js';
import type { LayoutWish } from './artifact-layout-files.js';
import { contentDigest, parseManifest, verifyFiles, type ReadFile } from './artifact-manifest.js';
import { manifestFileName } from './artifact-path.js';
import { orStoreFull, refused, shownName } from './artifact-refusal.js';
import type { ArtifactSources } from './artifact-sources.js';
import { ArtifactStaging } from './artifact-staging.js';
import type { Manifest } from '../models/manifest.js';

export interface ArtifactStoreSettings {
  /** Holds `<model>/<version>/`, each with its files and `sluice.json`. */
  folder: string;
  folderAccess: FolderAccess;
  /** Unset: nothing can be fetched from elsewhere. */
  sources?: ArtifactSources | undefined;
  limits?: Partial<ArtifactLimits>;
}

const stagingName = '.staging';
const abandonedAfterSeconds = days(1);

/** The artifacts on disk. What is in the store was verified whole, and never changes. */
export class ArtifactStore {
  readonly folder: string;
  private readonly stagingFolder: string;
  private readonly limits: ArtifactLimits;

  constructor(private readonly settings: ArtifactStoreSettings) {
    this.folder = resolve(settings.folder);
    this.stagingFolder = join(this.folder, stagingName);
    this.limits = { ...defaultArtifactLimits, ...settings.limits };
  }

  /** Copies and verifies a folder. @throws SLU_ARTIFACT_*, and leaves nothing on disk then */
  async stageFolder(path: string, wish: LayoutWish = {}): Promise<StagedArtifact> {
    return this.stage((staging) => copyFolder(path, staging, this.settings.folderAccess), wish);
  }

  /** Unpacks and verifies a `.tar.gz`. @throws SLU_ARTIFACT_*, and leaves nothing on disk then */
  async stageArchive(source: Readable, wish: LayoutWish = {}): Promise<StagedArtifact> {
    return this.stage((staging) => unpackArchive(source, staging), wish);
  }

  /** Fetches and verifies what lies elsewhere. @throws SLU_ARTIFACT_*, and leaves nothing on disk then */
  async stageSource(source: string, wish: LayoutWish = {}, signal?: AbortSignal): Promise<StagedArtifact> {
    const { sources } = this.settings;
    if (sources === undefined) throw sluiceError('SLU_ARTIFACT_SOURCE_CLOSED', { problem: 'no source is set up' });
    return this.stage((staging) => sources.fetch(source, staging, signal), wish);
  }

  /** A manifest that needs no files beside it. @throws SLU_ARTIFACT_*, and leaves nothing on disk then */
  async stageManifest(manifest: unknown): Promise<StagedArtifact> {
    const content = Buffer.from(textOf(manifest));
    return this.stage(async (staging) => {
      staging.admitFile(manifestFileName, content.length);
      const file = await staging.openFile(manifestFileName, content.length);
      await file.write(content);
      await file.close();
    });
  }

  /** Every `<model>/<version>` that lies in the store, with or without a row. */
  async stored(): Promise<{ model: string; version: string }[]> {
    const found: { model: string; version: string }[] = [];
    for (const model of await names(this.folder)) {
      if (model.startsWith('.')) continue;
      for (const version of await names(join(this.folder, model))) found.push({ model, version });
    }
    return found;
  }

  async remove(model: string, version: string): Promise<void> {
    await rm(join(this.folder, model, version), { recursive: true, force: true });
  }

  /** Takes away what processes that no longer live have left in staging. For the start, before anything is staged. */
  async removeStaleStaging(): Promise<void> {
    for (const name of await names(this.stagingFolder)) {
      const folder = join(this.stagingFolder, name);
      if (await isStale(name, folder)) await rm(folder, { recursive: true, force: true });
    }
  }

  private async stage(
    fill: (staging: ArtifactStaging) => Promise<void>,
    wish: LayoutWish = {},
  ): Promise<StagedArtifact> {
    const name = `${hostname()}~${process.pid}~${randomUUID()}`;
    const staging = await ArtifactStaging.create(join(this.stagingFolder, name), this.limits);
    try {
      await fill(staging);
      const root = findRoot(staging.files.keys());
      if (root === undefined) throw refused(noLayoutProblem);
      const warnings = root.layout === 'sluice' ? [] : await convertLayout(staging, root, wish);
      const content = join(staging.folder, root.top);
      const manifest = parseManifest(await readFile(join(content, manifestFileName)));
      if (root.layout === 'sluice') refuseOtherWish(manifest, wish);
      verifyFiles(manifest, below(staging.files, root.top));
      return new StagedArtifact({
        manifest,
        layout: root.layout,
        warnings,
        content,
        storeFolder: this.folder,
        staging,
      });
    } catch (failure) {
      await staging[Symbol.asyncDispose]();
      throw failure;
    }
  }
}

interface StagedParts {
  manifest: Manifest;
  layout: LayoutName;
  warnings: readonly string[];
  content: string;
  storeFolder: string;
  staging: ArtifactStaging;
}

/** A verified artifact that waits for its place. Whatever is left of it goes when it is disposed of. */
export class StagedArtifact implements AsyncDisposable {
  readonly manifest: Manifest;
  readonly contentDigest: string;
  readonly layout: LayoutName;
  /** What its layout asked for and is not honoured. */
  readonly warnings: readonly string[];
  /** Where its files lie until it has its place. */
  readonly content: string;
  private readonly storeFolder: string;
  private readonly staging: ArtifactStaging;

  constructor(parts: StagedParts) {
    this.manifest = parts.manifest;
    this.contentDigest = contentDigest(parts.manifest);
    this.layout = parts.layout;
    this.warnings = parts.warnings;
    this.content = parts.content;
    this.storeFolder = parts.storeFolder;
    this.staging = parts.staging;
  }

  /**
   * Moves it to its place at once and durably. The caller holds the version's lock and knows that no row exists, so a
   * folder that lies there already is what a crash left.
   * @returns the absolute path
   */
  async place(): Promise<string> {
    const { name, version } = this.manifest;
    const modelFolder = join(this.storeFolder, name);
    const target = join(modelFolder, version);
    try {
      await mkdir(modelFolder, { recursive: true, mode: 0o755 });
      const alike = (await names(modelFolder)).find(
        (other) => other !== version && other.toLowerCase() === version.toLowerCase(),
      );
      if (alike !== undefined)
        throw refused(`version ${version} differs from version ${shownName(alike)} in case only`);
      await syncFolders(this.content);
      await rm(target, { recursive: true, force: true });
      await rename(this.content, target);
      await syncFolder(modelFolder);
      await syncFolder(this.storeFolder);
    } catch (failure) {
      throw orStoreFull(failure);
    }
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.staging[Symbol.asyncDispose]();
  }
}

function textOf(manifest: unknown): string {
  try {
    return JSON.stringify(manifest, undefined, 2);
  } catch {
    // Reading JSON has no limit of depth where writing it has one.
    throw refused(`${manifestFileName} is nested too deeply`);
  }
}

function below(files: ReadonlyMap<string, ReadFile>, top: string): Map<string, ReadFile> {
  return new Map([...files].map(([path, file]) => [top === '' ? path : path.slice(top.length + 1), file]));
}

async function names(folder: string): Promise<string[]> {
  return readdir(folder).catch((failure: NodeJS.ErrnoException) => {
    if (failure.code === 'ENOENT' || failure.code === 'ENOTDIR') return [];
    throw failure;
  });
}

// The name says who staged it. Another machine's process cannot be asked whether it lives, so its age decides.
async function isStale(name: string, folder: string): Promise<boolean> {
  const [host, pid] = name.split('~');
  if (host === hostname() && pid !== undefined)
    return Number(pid) === process.pid || !isAlive(Number(pid)) || (await isOld(folder));
  return isOld(folder);
}

async function isOld(folder: string): Promise<boolean> {
  const { mtimeMs } = await stat(folder);
  return Date.now() - mtimeMs > secondsToMs(abandonedAfterSeconds);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function syncFolders(folder: string): Promise<void> {
  const inner = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of inner) if (entry.isDirectory()) await syncFolder(join(entry.parentPath, entry.name));
  await syncFolder(folder);
  await syncFolder(dirname(folder));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
