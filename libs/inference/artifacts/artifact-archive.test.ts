import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import { isSluiceError, kibibytes, mebibytes } from '#libs/kernel';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  endOfTar,
  entriesOf,
  sampleArtifact,
  sampleFiles,
  sampleManifest,
  tar,
  tarEntry,
  tarGz,
  writeFiles,
  type TarEntry,
} from '../../../test/support/artifact-sample.js';
import type { ArtifactLimits } from './artifact-limits.js';
import { ArtifactStore } from './artifact-store.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-archive-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const store = (limits: Partial<ArtifactLimits> = {}): ArtifactStore =>
  new ArtifactStore({ folder: join(folder, 'store'), folderAccess: { kind: 'any' }, limits });

const left = async (): Promise<string[]> => readdir(join(folder, 'store', '.staging'));

/** @returns `code: message`, after making sure that nothing is left on disk. */
async function refusal(archive: Buffer | Readable, limits?: Partial<ArtifactLimits>): Promise<string> {
  try {
    await store(limits).stageArchive(archive instanceof Readable ? archive : Readable.from([archive]));
  } catch (failure) {
    expect(await left()).toEqual([]);
    expect(await readdir(join(folder, 'store'))).toEqual(['.staging']);
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`;
  }
  return 'accepted';
}

const sound = (): TarEntry[] => entriesOf(sampleArtifact());
const refusalOf = async (...extra: TarEntry[]): Promise<string> => refusal(tarGz([...sound(), ...extra]));

describe('a sound archive', () => {
  it('is known by its manifest, not by any name of its own', async () => {
    const files = {
      'sluice.json': JSON.stringify(sampleManifest(sampleFiles, { version: '2.0-rc.1' })),
      ...sampleFiles,
    };
    await using staged = await store().stageArchive(Readable.from([tarGz(entriesOf(files))]));
    expect(staged.manifest.version).toBe('2.0-rc.1');
  });

  it.each<[string, TarEntry[]]>([
    ['files at the root', sound()],
    ['./ before every name', [{ path: './', type: 'Directory' }, ...entriesOf(sampleArtifact(), './')]],
    ['one top folder', [{ path: 'top/', type: 'Directory' }, ...entriesOf(sampleArtifact(), 'top/')]],
    ['the manifest at the end', sound().reverse()],
  ])('is accepted with %s, and placed whole and read-only', async (_how, entries) => {
    await using staged = await store().stageArchive(Readable.from([tarGz(entries)]));
    const place = await staged.place();
    expect(place).toBe(join(folder, 'store/sample/1'));
    for (const [path, content] of Object.entries(sampleArtifact())) {
      expect(await readFile(join(place, path), 'utf8')).toBe(content);
      expect((await stat(join(place, path))).mode & 0o222).toBe(0);
    }
  });

  it('is read the same however its bytes are cut into chunks', async () => {
    const archive = tarGz(sound());
    for (const size of [1, 7, 511, 513]) {
      const chunks = Array.from({ length: Math.ceil(archive.length / size) }, (_, at) =>
        archive.subarray(at * size, (at + 1) * size),
      );
      await using staged = await store().stageArchive(Readable.from(chunks));
      expect(staged.manifest.name).toBe('sample');
    }
  });

  it('may be what tar itself packs, with a file of many blocks', async () => {
    const files = { 'model.onnx': Buffer.alloc(mebibytes(3) + 17, 'weights') };
    await writeFiles(join(folder, 'made'), sampleArtifact({}, files));
    await create({ gzip: true, file: join(folder, 'made.tgz'), cwd: join(folder, 'made') }, ['.']);
    await using staged = await store().stageArchive(Readable.from([await readFile(join(folder, 'made.tgz'))]));
    expect(staged.manifest.files[0]?.bytes).toBe(mebibytes(3) + 17);
  });
});

describe('an archive is refused whole, with nothing left on disk', () => {
  it.each(['../escape.txt', 'a/../../escape.txt', '/etc/escape', 'a//b', 'a\\b', 'C:/x'])(
    'when an entry is called %s',
    async (path) => {
      expect(await refusalOf({ path, content: 'x' })).toMatch(/^SLU_ARTIFACT_REFUSED: .*the path .*(is|has|leaves)/);
    },
  );

  it.each([
    ['SymbolicLink', 'a symbolic link'],
    ['Link', 'a hard link'],
    ['CharacterDevice', 'a device'],
    ['BlockDevice', 'a device'],
    ['FIFO', 'a named pipe'],
  ] as const)('when it holds a %s', async (type, name) => {
    const link = type.endsWith('Link') ? { linkpath: '/etc/passwd' } : {};
    expect(await refusalOf({ path: 'evil', type, ...link })).toBe(
      `SLU_ARTIFACT_REFUSED: the artifact is refused: evil is ${name}`,
    );
  });

  it('when a link comes first and a file is to be written through it', async () => {
    const archive = tarGz([{ path: 'data', type: 'SymbolicLink', linkpath: '/tmp' }, ...sound()]);
    expect(await refusal(archive)).toContain('data is a symbolic link');
  });

  it.each([
    [{ path: 'model.onnx', content: 'again' }, 'model.onnx appears twice'],
    [{ path: './model.onnx', content: 'again' }, 'model.onnx appears twice'],
    [{ path: 'Model.onnx', content: 'other' }, 'differ in case only'],
    [{ path: 'model.onnx/x', content: 'other' }, 'is a file and a folder'],
    [{ path: 'extra.bin', content: 'x' }, 'extra.bin is not listed'],
    [{ path: '.hidden', content: 'x' }, '.hidden is not listed'],
  ])('when a name collides or is not listed (%j)', async (entry, problem) => {
    expect(await refusalOf(entry)).toContain(problem);
  });

  it('when the manifest is missing, malformed, too large or not alone on top', async () => {
    expect(await refusal(tarGz(entriesOf(sampleFiles)))).toContain('sluice.json is missing');
    expect(await refusal(tarGz([{ path: 'sluice.json', content: '{' }]))).toContain('sluice.json is not valid JSON');
    expect(await refusal(tarGz([{ path: 'sluice.json', content: Buffer.alloc(mebibytes(1) + 1, ' ') }]))).toMatch(
      /TOO_LARGE.*sluice\.json/,
    );
    expect(await refusal(tarGz([...entriesOf(sampleArtifact(), 'a/'), { path: 'b', content: '' }]))).toContain(
      'sluice.json is missing',
    );
    expect(await refusal(tarGz([...entriesOf(sampleArtifact(), 'a/b/')]))).toContain('sluice.json is missing');
  });

  it('when a file is missing, or has other content than stated', async () => {
    expect(await refusal(tarGz(sound().filter(({ path }) => path !== 'model.onnx')))).toContain(
      'model.onnx is missing',
    );
    const swapped = sound().map((entry) =>
      entry.path === 'model.onnx' ? { ...entry, content: 'no REAL graph' } : entry,
    );
    expect(await refusal(tarGz(swapped))).toContain('model.onnx has sha256');
  });

  it('when it is no gzip, a plain tar, empty, or packed twice', async () => {
    for (const archive of [Buffer.from('PK\u0003\u0004'), tar(sound()), Buffer.alloc(0)])
      expect(await refusal(archive)).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    const noise = { path: 'model.onnx', content: randomBytes(2_048) };
    expect(await refusal(gzipSync(tarGz([noise])))).toContain('packed twice');
    expect(await refusal(gzipSync('just text'))).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    expect(await refusal(gzipSync(Buffer.alloc(4_096, 'text')))).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
  });

  it('when it is cut off at any place', async () => {
    const archive = tarGz(sound());
    for (const at of [1, 10, 30, Math.floor(archive.length / 2), archive.length - 8, archive.length - 1]) {
      expect(await refusal(archive.subarray(0, at))).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    }
    const unpacked = tar(sound());
    for (const at of [512, 700, 1_024, unpacked.length - 1_024, unpacked.length - 512]) {
      expect(await refusal(gzipSync(unpacked.subarray(0, at)))).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    }
  });

  it('when something hides behind its end', async () => {
    for (const more of [Buffer.from('garbage'), Buffer.alloc(3), Buffer.from('\0garbage')]) {
      expect(await refusal(Buffer.concat([tarGz(sound()), more]))).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    }
    expect(await refusal(gzipSync(Buffer.concat([tar(sound()), tarEntry({ path: 'x', content: 'x' })])))).toContain(
      'after the end of the tar archive',
    );
    expect(await refusal(gzipSync(Buffer.concat([tar(sound()), endOfTar, Buffer.from('x')])))).toMatch(
      /^SLU_ARTIFACT_UNREADABLE/,
    );
  });

  it('when a header is damaged, or a hidden header speaks with a NUL', async () => {
    const damaged = tar(sound());
    damaged[3] = 0x21;
    expect(await refusal(gzipSync(damaged))).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    const pax = { path: 'PaxHeader', type: 'ExtendedHeader', content: '20 path=model\0/../x\n' } as const;
    expect(await refusal(tarGz([pax, ...sound()]))).toContain('NUL');
  });

  it('when a hidden header gives an entry another name', async () => {
    const pax = { path: 'PaxHeader', type: 'ExtendedHeader', content: '19 path=../escape\n\n' } as const;
    expect(
      await refusal(tarGz([...sound(), { ...pax, content: '18 path=../escape\n' }, { path: 'ok', content: 'x' }])),
    ).toContain('../escape');
  });
});

describe('a bomb never lands on disk', () => {
  it('is refused by what its header states, before any of it is written', async () => {
    const bomb = Buffer.concat([tarEntry({ path: 'big.bin', statedBytes: mebibytes(3_000) }), Buffer.alloc(4_096)]);
    expect(await refusal(gzipSync(bomb))).toMatch(/^SLU_ARTIFACT_TOO_LARGE: .*big\.bin/);
  });

  it('is refused by the sum of its files', async () => {
    const files = Array.from({ length: 8 }, (_, at) => ({ path: `f${at}`, content: Buffer.alloc(kibibytes(200)) }));
    expect(await refusal(tarGz(files), { totalBytes: mebibytes(1) })).toMatch(
      /^SLU_ARTIFACT_TOO_LARGE: .*reached at f5/,
    );
  });

  it('is refused by its ratio', async () => {
    const zeros = Readable.from(
      (function* () {
        yield tarEntry({ path: 'zeros', statedBytes: mebibytes(500) });
        for (let count = 0; count < 500; count += 1) yield Buffer.alloc(mebibytes(1));
      })(),
    );
    expect(await refusal(zeros.pipe(createGzip()))).toMatch(/^SLU_ARTIFACT_TOO_LARGE: .*200 times/);
  });

  it('is refused by the number of its entries', async () => {
    const files = Array.from({ length: 2_001 }, (_, at) => ({ path: `f${at}`, content: '' }));
    expect(await refusal(tarGz(files))).toMatch(/^SLU_ARTIFACT_TOO_LARGE: .*2000 files/);
  });
});

describe('an upload that breaks off', () => {
  it('leaves nothing on disk', async () => {
    const archive = tarGz(sound());
    const broken = Readable.from(
      (function* () {
        yield archive.subarray(0, archive.length - 20);
        throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
      })(),
    );
    expect(await refusal(broken)).toBe('SLU_ARTIFACT_UNREADABLE: the artifact cannot be read: the upload broke off');
  });

  it('is not waited for once it was refused, and stays open for the answer', async () => {
    const source = new PassThrough();
    source.write('no gzip at all');
    expect(await refusal(source)).toMatch(/^SLU_ARTIFACT_UNREADABLE/);
    expect(source.destroyed).toBe(false);
  });
});
