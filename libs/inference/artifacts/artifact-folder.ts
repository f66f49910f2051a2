import { constants } from 'node:fs';
import { lstat, open, readdir, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { isSluiceError, kibibytes, sluiceError } from '#libs/kernel';
import { layoutOf, noLayoutProblem } from './artifact-layout.js';
import { bundlePaths, parseManifest } from './artifact-manifest.js';
import { manifestFileName } from './artifact-path.js';
import { refused, shownName, unreadable } from './artifact-refusal.js';
import type { ArtifactStaging } from './artifact-staging.js';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const pieceBytes = kibibytes(256);

/** From where folders may be registered. */
export type FolderAccess =
  | { kind: 'any' }
  | { kind: 'below'; roots: readonly string[] }
  | { kind: 'closed'; problem: string };

/**
 * Copies a folder into the staging folder. What is checked is what is copied: every file and folder is opened once,
 * never by following a link, and then read through that handle.
 * @throws SLU_ARTIFACT_*
 */
export async function copyFolder(path: string, staging: ArtifactStaging, access: FolderAccess): Promise<void> {
  if (access.kind === 'closed') throw closed(access.problem);
  if (!isAbsolute(path) || path.includes('\0')) throw unreadable('path must be the absolute path of a folder');
  try {
    const folder = await open(await realpath(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      await refuseOutsideRoots(folder, path, access);
      const listed = await listedFiles(folder, path, staging.limits.manifestBytes);
      await new FolderCopy(staging, listed).copy(folder, await realpath(path), '');
    } finally {
      await folder.close();
    }
  } catch (failure) {
    throw explained(failure);
  }
}

class FolderCopy {
  private readonly buffer = Buffer.allocUnsafe(pieceBytes);

  constructor(
    private readonly staging: ArtifactStaging,
    /** Undefined for a folder that has no manifest yet: its layout decides later what is kept. */
    private readonly listed: ReadonlySet<string> | undefined,
  ) {}

  async copy(folder: FileHandle, folderPath: string, prefix: string): Promise<void> {
    const base = throughHandle(folder, folderPath);
    for (const name of (await readdir(base)).sort()) {
      // A layout leaves them out in any case, and a history or a cache may be larger than the model.
      if (this.listed === undefined && name.startsWith('.')) continue;
      const path = `${prefix}${name}`;
      const kind = await lstat(join(base, name));
      if (kind.isDirectory()) {
        this.staging.addFolder(path);
        const inner = await open(join(base, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        try {
          await this.copy(inner, join(folderPath, name), `${path}/`);
        } finally {
          await inner.close();
        }
      } else {
        if (kind.isSymbolicLink()) throw refused(`${shownName(path)} is a symbolic link`);
        if (!kind.isFile()) throw refused(`${shownName(path)} is neither a file nor a folder`);
        if (this.listed?.has(path) === false)
          throw refused(`the file ${shownName(path)} is not listed in ${manifestFileName}`);
        await this.copyFile(join(base, name), path);
      }
    }
  }

  private async copyFile(source: string, path: string): Promise<void> {
    // O_NONBLOCK: should it have become a named pipe meanwhile, opening it must not wait for ever.
    const handle = await open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const { size, nlink } = await requireFile(handle, path);
      if (nlink > 1) throw refused(`${shownName(path)} is a hard link`);
      this.staging.admitFile(path, size);
      const file = await this.staging.openFile(path, size);
      for (;;) {
        const { bytesRead } = await handle.read(this.buffer, 0, this.buffer.length);
        if (bytesRead === 0) break;
        await file.write(this.buffer.subarray(0, bytesRead));
      }
      await file.close();
    } finally {
      await handle.close();
    }
  }
}

// Read first, so that a folder with a thousand other files is refused before any of them is copied. What counts in the
// end is the copy of the manifest, not this look at it.
async function listedFiles(
  folder: FileHandle,
  folderPath: string,
  limitBytes: number,
): Promise<Set<string> | undefined> {
  const source = join(throughHandle(folder, folderPath), manifestFileName);
  const handle = await open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((failure: NodeJS.ErrnoException) => {
    if (failure.code === 'ENOENT') return undefined;
    if (failure.code === 'ELOOP') throw refused(`${manifestFileName} is a symbolic link`);
    throw failure;
  });
  if (handle === undefined) {
    await refuseStrange(throughHandle(folder, folderPath));
    return undefined;
  }
  try {
    const { size } = await requireFile(handle, manifestFileName);
    if (size > limitBytes) {
      throw sluiceError('SLU_ARTIFACT_TOO_LARGE', { problem: `${manifestFileName} has more than ${limitBytes} bytes` });
    }
    const content = Buffer.alloc(size);
    const { bytesRead } = await handle.read(content, 0, size, 0);
    const manifest = parseManifest(content.subarray(0, bytesRead));
    return new Set([manifestFileName, ...manifest.files.map((file) => file.path), ...bundlePaths(manifest)]);
  } finally {
    await handle.close();
  }
}

/** Without a manifest a folder must look like a layout that is known, or it is not copied at all. */
async function refuseStrange(folder: string): Promise<void> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'));
  if (layoutOf(new Set(entries.map(({ name }) => name))) !== undefined) return;
  const [only] = entries;
  const inner = entries.length === 1 && only?.isDirectory() === true ? await readdir(join(folder, only.name)) : [];
  if (inner.includes(manifestFileName) || layoutOf(new Set(inner)) !== undefined) return;
  throw refused(noLayoutProblem);
}

async function requireFile(handle: FileHandle, path: string): Promise<{ size: number; nlink: number }> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw refused(`${shownName(path)} is neither a file nor a folder`);
  return stat;
}

// On Linux a child is opened through its parent's handle, so that nobody can swap a parent for a link in between.
// Elsewhere O_NOFOLLOW guards the last segment, and the hash of what was copied guards the content.
const throughHandle = (folder: FileHandle, path: string): string =>
  process.platform === 'linux' ? `/proc/self/fd/${folder.fd}` : path;

async function refuseOutsideRoots(folder: FileHandle, path: string, access: FolderAccess): Promise<void> {
  if (access.kind !== 'below') return;
  const real = process.platform === 'linux' ? await readlink(throughHandle(folder, path)) : await realpath(path);
  for (const root of access.roots) {
    const realRoot = await realpath(root).catch(() => undefined);
    if (
      realRoot !== undefined &&
      (real === realRoot || real.startsWith(realRoot.endsWith(sep) ? realRoot : `${realRoot}${sep}`))
    )
      return;
  }
  throw closed('the folder lies outside the folders that the operator opened for it');
}

const closed = (problem: string): Error => sluiceError('SLU_ARTIFACT_FOLDER_CLOSED', { problem });

function explained(failure: unknown): unknown {
  if (isSluiceError(failure)) return failure;
  const code = (failure as NodeJS.ErrnoException | undefined)?.code;
  switch (code) {
    case 'ENOENT':
      return unreadable('the folder, or a file in it, does not exist', failure);
    case 'ENOTDIR':
      return unreadable('path is not a folder', failure);
    case 'EACCES':
    case 'EPERM':
      return unreadable('the folder, or a file in it, may not be read by the server', failure);
    case 'ELOOP':
      return refused('the folder changed while it was read');
    default:
      return failure;
  }
}
