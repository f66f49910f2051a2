import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { days, secondsToMs } from '#libs/kernel';
import { unpackArchive } from './artifact-archive.js';
import { copyFolder, type FolderAccess } from './artifact-folder.js';
import { defaultArtifactLimits, type ArtifactLimits } from './artifact-limits.js';
import { contentDigest, parseManifest, verifyFiles, type ReadFile } from './artifact-manifest.js';
import { manifestFileName } from './artifact-path.js';
import { orStoreFull, refused, shownName } from './artifact-refusal.js';
import { ArtifactStaging } from './artifact-staging.js';
import type { Manifest } from './manifest.js';

export interface ArtifactStoreSettings {
  /** Holds `<model>/<version>/`, each with its files and `sluice.json`. */
  folder: string;
  folderAccess: FolderAccess;
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
  async stageFolder(path: string): Promise<StagedArtifact> {
    return this.stage((staging) => copyFolder(path, staging, this.settings.folderAccess));
  }

  /** Unpacks and verifies a `.tar.gz`. @throws SLU_ARTIFACT_*, and leaves nothing on disk then */
  async stageArchive(source: Readable): Promise<StagedArtifact> {
    return this.stage((staging) => unpackArchive(source, staging));
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

  private async stage(fill: (staging: ArtifactStaging) => Promise<void>): Promise<StagedArtifact> {
    const name = `${hostname()}~${process.pid}~${randomUUID()}`;
    const staging = await ArtifactStaging.create(join(this.stagingFolder, name), this.limits);
    try {
      await fill(staging);
      const top = topFolder(staging.files);
      const content = join(staging.folder, top);
      const manifest = parseManifest(await readFile(join(content, manifestFileName)));
      verifyFiles(manifest, below(staging.files, top));
      return new StagedArtifact(manifest, contentDigest(manifest), content, this.folder, staging);
    } catch (failure) {
      await staging[Symbol.asyncDispose]();
      throw failure;
    }
  }
}

/** A verified artifact that waits for its place. Whatever is left of it goes when it is disposed of. */
export class StagedArtifact implements AsyncDisposable {
  constructor(
    readonly manifest: Manifest,
    readonly contentDigest: string,
    private readonly content: string,
    private readonly storeFolder: string,
    private readonly staging: ArtifactStaging,
  ) {}

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

/** Archives may carry everything in one top folder. @returns '' or that folder's name */
function topFolder(files: ReadonlyMap<string, ReadFile>): string {
  if (files.has(manifestFileName)) return '';
  const tops = new Set([...files.keys()].map((path) => path.slice(0, Math.max(0, path.indexOf('/')))));
  const [top] = tops;
  if (tops.size === 1 && top !== undefined && top !== '' && files.has(`${top}/${manifestFileName}`)) return top;
  throw refused(`${manifestFileName} is missing at the root (or in the one top folder)`);
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
