import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSluiceError, kibibytes, mebibytes } from '#libs/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entriesOf, sampleArtifact, tar, tarEntry, tarGz } from '../../../../test/support/artifact-sample.js';
import { digestOf, scriptedRegistry, type ScriptedRegistry } from '../../../../test/support/registry-server.js';
import type { ArtifactLimits } from '../../artifacts/artifact-limits.js';
import { ArtifactSources, type SourceAccess } from '../../artifacts/artifact-sources.js';
import { ArtifactStore } from '../../artifacts/artifact-store.js';
import { OciFetcher, type OciFetcherSettings } from './oci-fetcher.js';
import { OciHttp } from './oci-http.js';
import { authorizationFor } from './oci-token.js';

let folder: string;
let registry: ScriptedRegistry;
let fetcher: OciFetcher | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-oci-'));
  registry = await scriptedRegistry();
});
afterEach(async () => {
  await fetcher?.[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Setting extends OciFetcherSettings {
  access?: SourceAccess;
  limits?: Partial<ArtifactLimits>;
}

async function fetched(source = `oci://${registry.host}/team/model:v1`, setting: Setting = {}): Promise<string> {
  const { access = { kind: 'any' }, limits = {}, ...oci } = setting;
  await fetcher?.[Symbol.asyncDispose]();
  fetcher = new OciFetcher(oci);
  const sources = new ArtifactSources({ access, fetchers: { oci: fetcher } });
  const store = new ArtifactStore({ folder: join(folder, 'store'), folderAccess: { kind: 'any' }, sources, limits });
  try {
    await using staged = await store.stageSource(source);
    return `${staged.layout} ${staged.manifest.name}/${staged.manifest.version}`;
  } catch (failure) {
    expect(await readdir(join(folder, 'store/.staging'))).toEqual([]);
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`;
  }
}

const blob = (digest: string): string => `/v2/team/model/blobs/${digest}`;
const push = () => registry.push('team/model', 'v1', sampleArtifact());
const layer = (content: Buffer, mediaType: string, annotations?: Record<string, string>) => {
  registry.answers.set(blob(digestOf(content)), (_req, res) => res.end(content));
  const manifest = {
    ...push(),
    layers: [{ mediaType, digest: digestOf(content), size: content.length, ...(annotations && { annotations }) }],
  };
  registry.put('team/model', 'v1', manifest);
};

describe('an artifact in a registry', () => {
  it('is fetched file by file, by tag and by digest', async () => {
    const manifest = push();
    expect(await fetched()).toBe('sluice sample/1');
    const digest = digestOf(JSON.stringify(manifest));
    registry.put('team/model', digest, manifest);
    expect(await fetched(`oci://${registry.host}/team/model@${digest}`)).toBe('sluice sample/1');
    expect(await fetched(`oci://${registry.host}/team/model:any@${digest}`)).toBe('sluice sample/1');
  });

  it.each<[string, string, Record<string, string> | undefined, Buffer]>([
    [
      'a layer of an image',
      'application/vnd.oci.image.layer.v1.tar+gzip',
      undefined,
      tarGz(entriesOf(sampleArtifact())),
    ],
    [
      'a plain layer of an image',
      'application/vnd.oci.image.layer.v1.tar',
      undefined,
      tar(entriesOf(sampleArtifact())),
    ],
    [
      'a layer by Docker',
      'application/vnd.docker.image.rootfs.diff.tar.gzip',
      undefined,
      tarGz(entriesOf(sampleArtifact())),
    ],
    [
      'a folder that ORAS packed',
      'application/vnd.oci.image.layer.v1.tar+gzip',
      { 'org.opencontainers.image.title': 'made', 'io.deis.oras.content.unpack': 'true' },
      tarGz(entriesOf(sampleArtifact(), 'made/')),
    ],
    [
      'one archive as a file',
      'application/vnd.oci.image.layer.v1.tar',
      { 'org.opencontainers.image.title': 'sample.tar.gz' },
      tarGz(entriesOf(sampleArtifact())),
    ],
  ])('is unpacked from %s', async (_what, mediaType, annotations, content) => {
    layer(content, mediaType, annotations);
    expect(await fetched()).toBe('sluice sample/1');
  });
});

describe('a registry that asks who calls', () => {
  const guard = (repository = 'team/model'): void => {
    push();
    for (const [path, answer] of registry.answers)
      registry.answers.set(path, (req, res) => {
        if (req.headers.authorization === 'Bearer good-token') answer(req, res);
        else {
          const challenge = `Bearer realm="http://${registry.host}/token",service="registry",scope="repository:${repository}:pull,push"`;
          res.writeHead(401, { 'www-authenticate': challenge }).end();
        }
      });
    registry.answers.set('/token', (_req, res) => res.end('{"token": "good-token"}'));
  };

  it('gets a token for reading this repository and nothing more, with the credentials of this registry alone', async () => {
    guard();
    const auth = JSON.stringify({
      auths: { [registry.host]: { username: 'ci', password: 'secret' }, other: { auth: 'x' } },
    });
    expect(await fetched(undefined, { auth })).toBe('sluice sample/1');
    const asked = registry.requests.filter(({ url }) => url.startsWith('/token'));
    expect(asked).toEqual([
      {
        url: '/token?service=registry&scope=repository%3Ateam%2Fmodel%3Apull',
        authorization: `Basic ${Buffer.from('ci:secret').toString('base64')}`,
      },
    ]);
  });

  it.each<[string, () => void, string]>([
    ['gives no token', () => registry.answers.set('/token', (_req, res) => res.end('{}')), 'gives no token'],
    [
      'gives a token that breaks a header',
      () => registry.answers.set('/token', (_req, res) => res.end('{"token": "a\\r\\nx: y"}')),
      'gives no token',
    ],
    [
      'refuses to give one',
      () => registry.answers.set('/token', (_req, res) => res.writeHead(403).end()),
      'gives no token (403)',
    ],
    [
      'gives a token without end',
      () => registry.answers.set('/token', (_req, res) => res.end(Buffer.alloc(kibibytes(200), 'a'))),
      'where few are expected',
    ],
    [
      'does not take its own token',
      () => registry.answers.set('/token', (_req, res) => res.end('{"token": "bad"}')),
      'refuses the credentials',
    ],
  ])('and %s is given up', async (_what, change, problem) => {
    guard();
    change();
    expect(await fetched()).toMatch(/^SLU_ARTIFACT_SOURCE_FAILED/);
    expect(await fetched()).toContain(problem);
  });

  it('over TLS gets no password, and no request, at a realm without it: none of the services beside us', async () => {
    await using http = new OciHttp([]);
    const reference = { registry: 'registry.example', repository: 'team/model', reference: 'v1' };
    const credentials = new Map([['registry.example', 'Y2k6c2VjcmV0']]);
    const asked = { http, credentials, signal: AbortSignal.timeout(5_000) };
    registry.answers.set('/token', (_req, res) => res.end('{"token": "t"}'));
    const challenge = `Bearer realm="http://${registry.host}/token"`;
    await expect(authorizationFor(challenge, reference, asked)).rejects.toMatchObject({
      code: 'SLU_ARTIFACT_SOURCE_CLOSED',
    });
    expect(registry.requests).toEqual([]);
  });

  it('with a realm on the metadata service, or a strange challenge, gets nothing', async () => {
    for (const challenge of [
      'Bearer realm="http://169.254.169.254/token"',
      'Negotiate',
      'Basic realm="x"',
      'Bearer realm="file:///etc/passwd"',
    ]) {
      registry.answers.set('/v2/team/model/manifests/v1', (_req, res) =>
        res.writeHead(401, { 'www-authenticate': challenge }).end(),
      );
      expect(await fetched()).toMatch(/^SLU_ARTIFACT_SOURCE_(CLOSED|FAILED)/);
    }
  });
});

describe('a redirect', () => {
  it('to a store is followed, and no credential goes along', async () => {
    await using store = await scriptedRegistry();
    const manifest = push();
    for (const { digest } of manifest.layers) {
      const path = blob(digest);
      const answer = registry.answers.get(path);
      store.answers.set(path, (req, res) => answer?.(req, res));
      registry.answers.set(path, (_req, res) => res.writeHead(307, { location: `http://${store.host}${path}` }).end());
    }
    const guarded = registry.answers.get('/v2/team/model/manifests/v1');
    registry.answers.set('/v2/team/model/manifests/v1', (req, res) => {
      if (req.headers.authorization === undefined) res.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else guarded?.(req, res);
    });
    const auth = JSON.stringify({ auths: { [registry.host]: { auth: 'Y2k6c2VjcmV0' } } });
    expect(await fetched(undefined, { auth })).toBe('sluice sample/1');
    expect(store.requests.map(({ authorization }) => authorization)).toEqual(store.requests.map(() => undefined));
    expect(store.requests).toHaveLength(manifest.layers.length);
  });

  it.each([
    ['http://169.254.169.254/latest/meta-data', 'SLU_ARTIFACT_SOURCE_CLOSED'],
    ['http://[::ffff:169.254.169.254]/', 'SLU_ARTIFACT_SOURCE_CLOSED'],
    ['http://10.255.255.1/', 'SLU_ARTIFACT_SOURCE_CLOSED'],
    ['file:///etc/passwd', 'SLU_ARTIFACT_SOURCE_CLOSED'],
    ['http://user:password@127.0.0.1:9/', 'SLU_ARTIFACT_SOURCE_CLOSED'],
    ['http://[', 'SLU_ARTIFACT_SOURCE_FAILED'],
  ])('to %s is not followed', async (location, code) => {
    push();
    registry.answers.set('/v2/team/model/manifests/v1', (_req, res) => res.writeHead(302, { location }).end());
    expect(await fetched()).toContain(code);
  });

  it('in a circle ends', async () => {
    registry.answers.set('/v2/team/model/manifests/v1', (req, res) => res.writeHead(302, { location: req.url }).end());
    expect(await fetched()).toContain('redirects more than 5 times');
  });
});

describe('a registry that lies', () => {
  it('about a layer is found out by its digest', async () => {
    const { digest, size } = push().layers[1]!;
    registry.answers.set(blob(digest), (_req, res) => res.end(Buffer.alloc(size, 'x')));
    expect(await fetched()).toMatch(/SLU_ARTIFACT_REFUSED: .* not the [0-9a-f]{64} stated/);
  });

  it('about an archive is found out by its digest', async () => {
    const content = tarGz(entriesOf(sampleArtifact()));
    layer(content, 'application/vnd.oci.image.layer.v1.tar+gzip');
    const other = tarGz(entriesOf(sampleArtifact({ description: 'other' })));
    const manifest = push();
    const stated = {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: digestOf(content),
      size: other.length,
    };
    registry.answers.set(blob(stated.digest), (_req, res) => res.end(other));
    registry.put('team/model', 'v1', { ...manifest, layers: [stated] });
    expect(await fetched()).toContain('has sha256');
  });

  it('about a length is found out, with a header and without', async () => {
    const { digest, size } = push().layers[1]!;
    for (const more of [-1, 1, 500_000]) {
      const content = Buffer.alloc(size + more, 'x');
      registry.answers.set(blob(digest), (_req, res) => res.end(content));
      expect(await fetched()).toContain(`has ${size + more} bytes, not the ${size} stated`);
      registry.answers.set(
        blob(digest),
        (_req, res) => void (res.write(content.subarray(0, 1)), res.end(content.subarray(1))),
      );
      expect(await fetched()).toMatch(more < 0 ? /ended after/ : /longer than the/);
    }
  });

  it('about its manifest is found out by the digest in the reference, and by that in the header', async () => {
    const manifest = push();
    const digest = digestOf('something else');
    registry.put('team/model', digest, manifest);
    expect(await fetched(`oci://${registry.host}/team/model@${digest}`)).toContain('the OCI manifest has sha256:');
    const answer = registry.answers.get('/v2/team/model/manifests/v1');
    registry.answers.set('/v2/team/model/manifests/v1', (req, res) => {
      res.setHeader('docker-content-digest', digest);
      answer?.(req, res);
    });
    expect(await fetched()).toContain('the OCI manifest has sha256:');
  });

  it.each<[string, string, string]>([
    ['no JSON', '{', 'is not valid JSON'],
    [
      'an index',
      '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}',
      'index of several',
    ],
    ['nothing in it', '{"schemaVersion": 2, "layers": []}', 'layers'],
    [
      'a digest of another kind',
      '{"schemaVersion": 2, "layers": [{"mediaType": "x", "digest": "md5:0", "size": 1}]}',
      'layers.0.digest',
    ],
    [
      'a negative size',
      `{"schemaVersion": 2, "layers": [{"mediaType": "x", "digest": "${digestOf('')}", "size": -1}]}`,
      'layers.0.size',
    ],
    [
      'a layer without a name',
      `{"schemaVersion": 2, "layers": [{"mediaType": "x", "digest": "${digestOf('')}", "size": 0}]}`,
      'neither a title nor an archive',
    ],
    [
      'a path that leads out',
      `{"schemaVersion": 2, "layers": [{"mediaType": "x", "digest": "${digestOf('')}", "size": 0, "annotations": {"org.opencontainers.image.title": "../x"}}]}`,
      '',
    ],
    [
      'four exbibytes',
      `{"schemaVersion": 2, "layers": [{"mediaType": "x", "digest": "${digestOf('')}", "size": 4503599627370496, "annotations": {"org.opencontainers.image.title": "x"}}]}`,
      'TOO_LARGE',
    ],
    ['megabytes of blanks', ' '.repeat(mebibytes(5)), 'where few are expected'],
  ])('with a manifest that is %s is refused', async (_what, manifest, problem) => {
    push();
    registry.put('team/model', 'v1', manifest);
    const answer = await fetched();
    expect(answer).toMatch(/^SLU_ARTIFACT_/);
    expect(answer).toContain(problem);
  });

  it('with a bomb in a layer is stopped by the ratio', async () => {
    layer(
      tarGz([{ path: 'zeros', content: Buffer.alloc(mebibytes(64)) }]),
      'application/vnd.oci.image.layer.v1.tar+gzip',
    );
    expect(await fetched()).toContain('200 times its size');
  });

  it('with a path that leads out of a tar layer is refused', async () => {
    layer(tar([{ path: '../x', content: 'x' }]), 'application/vnd.oci.image.layer.v1.tar');
    expect(await fetched()).toContain('../x');
    layer(
      Buffer.concat([tarEntry({ path: 'big', statedBytes: mebibytes(9_000) }), Buffer.alloc(2_048)]),
      'application/vnd.oci.image.layer.v1.tar',
    );
    expect(await fetched()).toContain('SLU_ARTIFACT_TOO_LARGE');
  });
});

describe('a registry that fails', () => {
  it('in the middle of a layer leaves nothing', async () => {
    const { digest } = push().layers[1]!;
    registry.answers.set(blob(digest), (_req, res) => {
      res.writeHead(200, { 'transfer-encoding': 'chunked' });
      res.write('no');
      setImmediate(() => res.destroy());
    });
    expect(await fetched()).toMatch(/SLU_ARTIFACT_SOURCE_FAILED: .* broke off/);
  });

  it('by answering drop by drop is given up', async () => {
    const { digest } = push().layers[1]!;
    registry.answers.set(blob(digest), (_req, res) => {
      res.writeHead(200, { 'transfer-encoding': 'chunked' });
      res.write('n');
    });
    expect(await fetched(undefined, { limits: { patienceSeconds: 0.3 } })).toContain('comes too slowly');
  });

  it.each([
    [404, 'SLU_ARTIFACT_UNREADABLE: the artifact cannot be read: there is no manifests/v1'],
    [403, 'SLU_ARTIFACT_SOURCE_FAILED: the artifact cannot be fetched: 127.0.0.1:'],
    [500, 'answered 500'],
  ])('with %i says so', async (status, problem) => {
    registry.answers.set('/v2/team/model/manifests/v1', (_req, res) => res.writeHead(status).end());
    expect(await fetched()).toContain(problem);
  });

  it('by not being there says so', async () => {
    expect(await fetched('oci://127.0.0.1:9/team/model')).toContain(
      'SLU_ARTIFACT_SOURCE_FAILED: the artifact cannot be fetched: ECONNREFUSED',
    );
  });
});

describe('what may be fetched', () => {
  it.each([
    'oci://',
    'oci://x',
    'oci://x/Y',
    'oci://x/y:',
    'oci://x/../y',
    'oci://u:p@x/y',
    'oci://x/y@sha256:0',
    `oci://x/${'y'.repeat(600)}`,
  ])('is no %s', async (source) => {
    expect(await fetched(source)).toContain('source: must be oci://registry/repository');
  });

  it('is what the operator listed, to the end of a name', async () => {
    push();
    const listed = (...prefixes: string[]): Setting => ({ access: { kind: 'listed', prefixes } });
    expect(await fetched(undefined, listed(`oci://${registry.host}/team`))).toBe('sluice sample/1');
    expect(await fetched(undefined, listed(`oci://${registry.host}/team/model`))).toBe('sluice sample/1');
    for (const prefix of [`oci://${registry.host}/tea`, `oci://${registry.host}/team/mod`, 's3://models'])
      expect(await fetched(undefined, listed(prefix))).toContain('SLU_ARTIFACT_SOURCE_CLOSED');
    expect(await fetched(undefined, { access: { kind: 'closed', problem: 'not here' } })).toContain('not here');
    expect(await fetched('ftp://x/y')).toContain('must begin with oci://');
  });

  it('is nothing without TLS beyond this machine, and nothing on a metadata address', async () => {
    expect(await fetched('oci://169.254.169.254/team/model')).toContain('SLU_ARTIFACT_SOURCE_CLOSED');
    expect(await fetched('oci://169.254.169.254/team/model', { plainHttp: ['169.254.169.254'] })).toContain(
      'metadata address',
    );
  });

  it.each(['{', '{"auths": 1}', '{}'])('is nothing while the credentials are %s', (auth) => {
    expect(() => new OciFetcher({ auth })).toThrow(/SLUICE_OCI_AUTH/);
  });
});
