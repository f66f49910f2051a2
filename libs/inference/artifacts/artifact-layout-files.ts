import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson } from './artifact-manifest.js';
import { manifestFileName } from './artifact-path.js';
import { refused, shownName, tooLarge } from './artifact-refusal.js';
import type { ArtifactStaging } from './artifact-staging.js';
import type { ManifestPart } from '../models/manifest.js';

/** What the caller says about an artifact that has no `sluice.json`, because no other layout can say all of it. */
export interface LayoutWish {
  name?: string | undefined;
  version?: string | undefined;
  /** Parts of the manifest that stand above what the layout says. */
  manifest?: ManifestPart | undefined;
}

/** What a layout says, without its files. */
export interface Converted {
  manifest: Record<string, unknown>;
  /** What it asks for and is not honoured: shown in the answer, never dropped in silence. */
  warnings: string[];
}

const textLimitBytes = 256 * 1_024;

/** The files of a staged artifact as a layout sees them: relative to its root, whichever folder they came in. */
export class LayoutFiles {
  readonly warnings: string[] = [];

  constructor(
    private readonly staging: ArtifactStaging,
    private readonly top: string,
  ) {}

  get paths(): string[] {
    const prefix = this.top === '' ? '' : `${this.top}/`;
    return [...this.staging.files.keys()].map((path) => path.slice(prefix.length)).sort();
  }

  has(path: string): boolean {
    return this.staging.files.has(join(this.top, path));
  }

  /** Where it lies on the disk. */
  place(path: string): string {
    return join(this.staging.folder, this.top, path);
  }

  /** @throws SLU_ARTIFACT_REFUSED when it is missing or no UTF-8, SLU_ARTIFACT_TOO_LARGE */
  async text(path: string): Promise<string> {
    const bytes = await this.head(path, textLimitBytes + 1);
    if (bytes.length > textLimitBytes) throw tooLarge(`${shownName(path)} has more than ${textLimitBytes} bytes`);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw refused(`${shownName(path)} is no UTF-8 text`);
    }
  }

  /** @returns its first bytes, fewer when it has fewer @throws SLU_ARTIFACT_REFUSED when it is missing */
  async head(path: string, bytes: number): Promise<Buffer> {
    if (!this.has(path)) throw refused(`the file ${shownName(path)} is missing`);
    const handle = await open(this.place(path), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  /** Takes files out of the artifact, and says so. */
  async leaveOut(paths: readonly string[], why: string): Promise<void> {
    if (paths.length === 0) return;
    for (const path of paths) await this.staging.drop(join(this.top, path));
    this.warnings.push(`left out, ${why}: ${shownList(paths)}`);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.staging.rename(join(this.top, from), join(this.top, to));
  }

  /** Adds the manifest that it became. */
  async write(manifest: Record<string, unknown>): Promise<void> {
    const prefix = this.top === '' ? '' : `${this.top}/`;
    const files = this.paths.map((path) => ({ path, ...this.staging.files.get(`${prefix}${path}`) }));
    const content = Buffer.from(canonicalJson({ ...manifest, files }));
    this.staging.admitFile(`${prefix}${manifestFileName}`, content.length);
    const file = await this.staging.openFile(`${prefix}${manifestFileName}`, content.length);
    await file.write(content);
    await file.close();
  }
}

const mostShown = 5;

export function shownList(paths: readonly string[]): string {
  const shown = paths.slice(0, mostShown).map(shownName).join(', ');
  return paths.length > mostShown ? `${shown} and ${paths.length - mostShown} more` : shown;
}
