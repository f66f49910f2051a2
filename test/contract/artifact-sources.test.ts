import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ArtifactSources, ArtifactStore } from '#libs/inference';
import { OciFetcher } from '#libs/inference/adapters/oci';
import { S3Fetcher } from '#libs/inference/adapters/s3';
import { isSluiceError } from '#libs/kernel';
import { freePort } from '#libs/platform';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { entriesOf, sampleArtifact, tar, tarGz, writeFiles, type SampleFiles } from '../support/artifact-sample.js';
import { childServer, type ChildServer } from '../support/child-server.js';
import { debianPackage } from '../support/debian-package.js';
import { smallOnnx } from '../support/onnx-bytes.js';
import { pythonEnvironment } from '../support/python-environment.js';

const run = promisify(execFile);
let folder: string;
let python: string;
beforeAll(async () => {
  python = await pythonEnvironment('artifact-stores', ['moto[server,s3]==5.2.5', 'oras==0.2.43']);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  // Whoever runs this must not reach a store of his own by his own profile.
  vi.stubEnv('AWS_CONFIG_FILE', '/dev/null');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null');
});
afterAll(() => vi.unstubAllEnvs());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-sources-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fetched(sources: ArtifactSources, source: string, wish = {}): Promise<string> {
  const store = new ArtifactStore({ folder: join(folder, 'store'), folderAccess: { kind: 'any' }, sources });
  try {
    await using staged = await store.stageSource(source, wish);
    const place = await staged.place();
    for (const { path } of staged.manifest.files) await readFile(join(place, path));
    return `${staged.layout} ${staged.manifest.name}/${staged.manifest.version} ${staged.manifest.files.map(({ path }) => path).join(' ')}`;
  } catch (failure) {
    expect(await readdir(join(folder, 'store/.staging'))).toEqual([]);
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`;
  }
}

describe('an S3-compatible store', () => {
  let server: ChildServer;
  let client: S3Client;
  let fetcher: S3Fetcher;
  let sources: ArtifactSources;
  beforeAll(async () => {
    const port = await freePort();
    server = await childServer(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { port });
    const endpoint = `http://127.0.0.1:${port}`;
    client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'models' }));
    fetcher = new S3Fetcher({ endpoint, region: 'us-east-1' });
    sources = new ArtifactSources({ access: { kind: 'any' }, fetchers: { s3: fetcher } });
  });
  afterAll(async () => {
    fetcher?.[Symbol.dispose]();
    client?.destroy();
    await server?.[Symbol.asyncDispose]();
  });
  const put = async (files: SampleFiles, prefix = ''): Promise<void> => {
    for (const [key, content] of Object.entries(files))
      await client.send(new PutObjectCommand({ Bucket: 'models', Key: `${prefix}${key}`, Body: content }));
  };

  it('gives every object below a prefix, the marks of folders left out', async () => {
    await put(sampleArtifact(), 'one/');
    await put({ 'one/': Buffer.alloc(0), 'one/data/': Buffer.alloc(0), 'one-more/x': 'not below the prefix' });
    expect(await fetched(sources, 's3://models/one')).toBe('sluice sample/1 model.onnx data/words.txt');
    expect(await fetched(sources, 's3://models/one/')).toBe('sluice sample/1 model.onnx data/words.txt');
  });

  it('gives an archive, and a foreign layout', async () => {
    await put({ 'a.tar.gz': tarGz(entriesOf(sampleArtifact())), 'b.tar': tar(entriesOf(sampleArtifact())) }, 'two/');
    await put({ 'config.json': '{}', 'model.onnx': smallOnnx() }, 'three/');
    for (const name of ['a.tar.gz', 'b.tar'])
      expect(await fetched(sources, `s3://models/two/${name}`)).toBe('sluice sample/1 model.onnx data/words.txt');
    expect(await fetched(sources, 's3://models/three', { name: 'tone', version: '1' })).toBe(
      'huggingface tone/1 config.json model.onnx',
    );
  });

  it('with more objects than one page of a listing is read whole', async () => {
    // They come first in the order of a listing, so that the artifact itself stands on its second page.
    const marks = Array.from({ length: 1_001 }, (_, at) => `a-folder-${at}/`);
    for (let at = 0; at < marks.length; at += 100)
      await Promise.all(marks.slice(at, at + 100).map((key) => put({ [key]: Buffer.alloc(0) }, 'many/')));
    await put(sampleArtifact(), 'many/');
    expect(await fetched(sources, 's3://models/many')).toBe('sluice sample/1 model.onnx data/words.txt');
  });

  it('with a key that leads out is refused', async () => {
    await put({ ...sampleArtifact(), '../../escape.txt': 'x' }, 'evil/');
    expect(await fetched(sources, 's3://models/evil')).toMatch(
      /SLU_ARTIFACT_REFUSED: .*\.\.\/\.\.\/escape\.txt leaves/,
    );
  });

  it.each([
    ['s3://models/none', 'SLU_ARTIFACT_UNREADABLE: the artifact cannot be read: there is nothing below'],
    ['s3://models/none.tar.gz', 'there is nothing at s3://models/none.tar.gz'],
    ['s3://no-such-bucket/x', 'there is nothing at s3://no-such-bucket/x'],
    ['s3://models/a/../b', 'must not have . or ..'],
    ['s3://MODELS/x', 'source: must be s3://bucket/prefix'],
    ['s3://x', 'source: must be s3://bucket/prefix'],
    ['s3://models?x', 'source: must be s3://bucket/prefix'],
  ])('has nothing at %s', async (source, problem) => {
    expect(await fetched(sources, source)).toContain(problem);
  });

  it('that is away, or on a metadata address, says so', async () => {
    for (const [endpoint, problem] of [
      ['http://127.0.0.1:9', 'SLU_ARTIFACT_SOURCE_FAILED'],
      ['http://169.254.169.254', 'SLU_ARTIFACT_SOURCE_CLOSED'],
    ] as const) {
      using away = new S3Fetcher({ endpoint });
      const closed = new ArtifactSources({ access: { kind: 'any' }, fetchers: { s3: away } });
      expect(await fetched(closed, 's3://models/x')).toContain(problem);
    }
  });
});

/** `ci:secret` by bcrypt, as the registry wants it. */
const htpasswd = 'ci:$2b$05$mmRwnob0L.qYV6Wwjab2fe2crp9/.CLjTPrvQCL8AauEilMIZGi0e\n';

describe.skipIf((await debianPackage('docker-registry')) === undefined)('an OCI registry', () => {
  let server: ChildServer;
  let fetcher: OciFetcher;
  let sources: ArtifactSources;
  let host: string;
  let home: string;
  beforeAll(async () => {
    const place = (await debianPackage('docker-registry')) ?? '';
    home = await mkdtemp(join(tmpdir(), 'sluice-registry-'));
    const port = await freePort();
    host = `127.0.0.1:${port}`;
    await writeFile(join(home, 'htpasswd'), htpasswd);
    const config = {
      version: 0.1,
      storage: { filesystem: { rootdirectory: join(home, 'data') } },
      http: { addr: host },
      auth: { htpasswd: { realm: 'test', path: join(home, 'htpasswd') } },
    };
    await writeFile(join(home, 'config.yml'), JSON.stringify(config));
    server = await childServer(join(place, 'usr/bin/docker-registry'), ['serve', join(home, 'config.yml')], { port });
    fetcher = new OciFetcher({ auth: JSON.stringify({ auths: { [host]: { username: 'ci', password: 'secret' } } }) });
    sources = new ArtifactSources({ access: { kind: 'any' }, fetchers: { oci: fetcher } });
  });
  afterAll(async () => {
    await fetcher?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    if (home !== undefined) await rm(home, { recursive: true, force: true });
  });

  async function push(tag: string, files: SampleFiles, paths: readonly string[]): Promise<string> {
    const made = join(folder, 'made');
    await writeFiles(made, files);
    const script = fileURLToPath(new URL('./oras_push.py', import.meta.url));
    // ORAS keeps its log-in in the home folder.
    const env = { ...process.env, HOME: home, DOCKER_CONFIG: home };
    const { stdout } = await run(python, [script, made, host, 'ci', 'secret', tag, ...paths], { env });
    return stdout.trim().split('\n').at(-1) ?? '';
  }

  it('gives what ORAS pushed, file by file, by tag and by digest', async () => {
    // This client of ORAS keeps no folders in the titles of files.
    const files = sampleArtifact({}, { 'model.onnx': 'no real graph', 'words.txt': 'some words' });
    const digest = await push('team/files:v1', files, Object.keys(files));
    const expected = 'sluice sample/1 model.onnx words.txt';
    expect(await fetched(sources, `oci://${host}/team/files:v1`)).toBe(expected);
    expect(await fetched(sources, `oci://${host}/team/files@${digest}`)).toBe(expected);
  });

  it('gives a folder, and an archive, that ORAS pushed', async () => {
    await push(
      'team/folder:v1',
      {
        'whole/sluice.json': sampleArtifact()['sluice.json'] ?? '',
        'whole/model.onnx': 'no real graph',
        'whole/data/words.txt': 'some words',
      },
      ['whole'],
    );
    expect(await fetched(sources, `oci://${host}/team/folder:v1`)).toBe('sluice sample/1 model.onnx data/words.txt');
    await push('team/archive:v1', { 'a.tar.gz': tarGz(entriesOf(sampleArtifact())) }, ['a.tar.gz']);
    expect(await fetched(sources, `oci://${host}/team/archive:v1`)).toBe('sluice sample/1 model.onnx data/words.txt');
  });

  it('refuses whoever has no credentials, or wrong ones, and says what is not there', async () => {
    for (const auth of [undefined, JSON.stringify({ auths: { [host]: { username: 'ci', password: 'wrong' } } })]) {
      await using stranger = new OciFetcher({ auth });
      const closed = new ArtifactSources({ access: { kind: 'any' }, fetchers: { oci: stranger } });
      expect(await fetched(closed, `oci://${host}/team/files:v1`)).toMatch(/SLU_ARTIFACT_SOURCE_FAILED: .*credentials/);
    }
    expect(await fetched(sources, `oci://${host}/team/files:v9`)).toContain('there is no manifests/v9');
  });
});
