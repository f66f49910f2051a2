import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSluiceError, mebibytes } from '#libs/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleArtifact, writeFiles } from '../../../test/support/artifact-sample.js';
import type { FolderAccess } from './artifact-folder.js';
import type { ArtifactLimits } from './artifact-limits.js';
import { ArtifactStore } from './artifact-store.js';

let folder: string;
let made: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-folder-'));
  made = join(folder, 'made');
  await writeFiles(made, sampleArtifact());
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const store = (folderAccess: FolderAccess = { kind: 'any' }, limits: Partial<ArtifactLimits> = {}): ArtifactStore =>
  new ArtifactStore({ folder: join(folder, 'store'), folderAccess, limits });

async function refusal(path = made, access?: FolderAccess, limits?: Partial<ArtifactLimits>): Promise<string> {
  try {
    await store(access, limits).stageFolder(path);
  } catch (failure) {
    expect(await readdir(join(folder, 'store', '.staging'))).toEqual([]);
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`;
  }
  return 'accepted';
}

describe('a folder', () => {
  it('is copied and verified, empty folders left out', async () => {
    await mkdir(join(made, 'empty'));
    await using staged = await store().stageFolder(made);
    const place = await staged.place();
    expect((await readdir(place, { recursive: true })).sort()).toEqual([
      'data',
      'data/words.txt',
      'model.onnx',
      'sluice.json',
    ]);
  });

  it('may be reached through a link; what lies inside may not', async () => {
    await symlink(made, join(folder, 'current'));
    expect(await refusal(join(folder, 'current'))).toBe('accepted');
  });

  it.each([
    ['a symbolic link to a file', (at: string) => symlink('/etc/passwd', at), 'evil is a symbolic link'],
    ['a symbolic link to a folder', (at: string) => symlink('/etc', at), 'evil is a symbolic link'],
    ['a dangling link', (at: string) => symlink('nowhere', at), 'evil is a symbolic link'],
    ['a named pipe', async (at: string) => void execFileSync('mkfifo', [at]), 'evil is neither a file nor a folder'],
    ['an unlisted file', (at: string) => writeFile(at, 'x'), 'the file evil is not listed in sluice.json'],
  ])('is refused with %s in it', async (_what, make, problem) => {
    await make(join(made, 'evil'));
    expect(await refusal()).toBe(`SLU_ARTIFACT_REFUSED: the artifact is refused: ${problem}`);
  });

  it('is refused with a socket in it', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(made, 'evil'), done));
    expect(await refusal()).toContain('evil is neither a file nor a folder');
    await new Promise((done) => server.close(done));
  });

  it('is refused when a listed file is a link, hard or symbolic, to something else', async () => {
    await writeFile(join(folder, 'elsewhere'), 'no real graph');
    await rm(join(made, 'model.onnx'));
    await link(join(folder, 'elsewhere'), join(made, 'model.onnx'));
    expect(await refusal()).toContain('model.onnx is a hard link');
    await rm(join(made, 'model.onnx'));
    await symlink(join(folder, 'elsewhere'), join(made, 'model.onnx'));
    expect(await refusal()).toContain('model.onnx is a symbolic link');
  });

  it('is refused when its manifest is a link, a pipe, a folder, missing or too large', async () => {
    const manifest = join(made, 'sluice.json');
    await rm(manifest);
    expect(await refusal()).toContain('sluice.json is missing');
    await symlink('/etc/passwd', manifest);
    expect(await refusal()).toContain('sluice.json is a symbolic link');
    await rm(manifest);
    execFileSync('mkfifo', [manifest]);
    expect(await refusal()).toContain('sluice.json is neither a file nor a folder');
    await rm(manifest);
    await writeFile(manifest, Buffer.alloc(mebibytes(1) + 1, ' '));
    expect(await refusal()).toMatch(/^SLU_ARTIFACT_TOO_LARGE: .*sluice\.json/);
  });

  it('is refused with wrong content, naming the file', async () => {
    await writeFile(join(made, 'data/words.txt'), 'some WORDS');
    expect(await refusal()).toContain('data/words.txt has sha256');
    await rm(join(made, 'data/words.txt'));
    expect(await refusal()).toContain('data/words.txt is missing');
  });

  it('is refused beyond the limits before it is copied', async () => {
    expect(await refusal(made, undefined, { totalBytes: 20 })).toMatch(/^SLU_ARTIFACT_TOO_LARGE/);
    expect(await refusal(made, undefined, { fileBytes: 5 })).toMatch(/^SLU_ARTIFACT_TOO_LARGE/);
    expect(await refusal(made, undefined, { entries: 2 })).toMatch(/^SLU_ARTIFACT_TOO_LARGE/);
  });

  it.each(['relative/path', '', '/no/such/folder', 'x\0y'])(
    'is refused as a path that names none: %j',
    async (path) => {
      expect(await refusal(path)).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    },
  );

  it('is refused when it is a file', async () => {
    expect(await refusal(join(made, 'model.onnx'))).toContain('path is not a folder');
  });
});

describe('where folders may be', () => {
  it('is nowhere when it is closed', async () => {
    expect(await refusal(made, { kind: 'closed', problem: 'send an archive' })).toMatch(
      /^SLU_ARTIFACT_FOLDER_CLOSED: .*send an archive/,
    );
  });

  it('is below the opened roots only, whatever links and dots say', async () => {
    const roots: FolderAccess = { kind: 'below', roots: [join(folder, 'open')] };
    await mkdir(join(folder, 'open'));
    expect(await refusal(made, roots)).toMatch(/^SLU_ARTIFACT_FOLDER_CLOSED/);
    expect(await refusal(join(folder, 'open/../made'), roots)).toMatch(/^SLU_ARTIFACT_FOLDER_CLOSED/);
    await symlink(made, join(folder, 'open/link'));
    expect(await refusal(join(folder, 'open/link'), roots)).toMatch(/^SLU_ARTIFACT_FOLDER_CLOSED/);
    await mkdir(join(folder, 'open-as-well'));
    expect(await refusal(join(folder, 'open-as-well'), roots)).toMatch(/^SLU_ARTIFACT_FOLDER_CLOSED/);
    await writeFiles(join(folder, 'open/in'), sampleArtifact());
    expect(await refusal(join(folder, 'open/in'), roots)).toBe('accepted');
  });
});
