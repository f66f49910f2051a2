import { generateKeyPairSync, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ArtifactSources } from '#libs/inference';
import { OciFetcher } from '#libs/inference/adapters/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  entriesOf,
  sampleArtifact,
  sampleFiles,
  sampleManifest,
  tarGz,
  writeFiles,
} from '../../../test/support/artifact-sample.js';
import { managementApi, type ManagementApi } from '../../../test/support/management-api.js';
import { smallOnnx } from '../../../test/support/onnx-bytes.js';
import { scriptedRegistry, type ScriptedRegistry } from '../../../test/support/registry-server.js';
import { startSigstore } from '../../../test/support/sigstore.js';
import { SigstoreVerifier } from '#libs/inference/adapters/sigstore';

let api: ManagementApi;
let registry: ScriptedRegistry;
let fetcher: OciFetcher;
beforeEach(async () => {
  registry = await scriptedRegistry();
  fetcher = new OciFetcher({});
  const sources = new ArtifactSources({ access: { kind: 'any' }, fetchers: { oci: fetcher } });
  api = await managementApi({ kind: 'any' }, {}, {}, { sources });
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await fetcher[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

type Role = keyof ManagementApi['as'];
const call = (method: 'GET' | 'POST' | 'PUT', url: string, payload?: object, role: Role = 'admin') =>
  api.app.inject({ method, url, headers: api.as[role], ...(payload !== undefined && { payload }) });
const upload = (query = '', rest: Record<string, unknown> = {}, files = sampleArtifact(rest)) =>
  api.app.inject({
    method: 'POST',
    url: `/api/models${query}`,
    headers: { ...api.as.operator, 'content-type': 'application/gzip' },
    payload: tarGz(entriesOf(files)),
  });
const evaluated = (f1: number) => ({
  evaluation: { dataset: 'held-out', metrics: { f1 } },
  trainedOn: { dataset: 'dialogues', version: '2026-11' },
});

describe('registering what CI made', () => {
  it('shows the manifest that a foreign layout became, from which layout, and what is not honoured', async () => {
    await writeFiles(join(api.folder, 'made'), {
      'config.pbtxt': 'name: "tone" max_batch_size: 4 optimization { }',
      '1/model.onnx': smallOnnx(),
    });
    const answer = await call('POST', '/api/models', { path: join(api.folder, 'made'), manifest: evaluated(0.9) });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({
      model: 'tone',
      version: '1',
      layout: 'triton',
      source: null,
      warnings: ['config.pbtxt: not used: optimization'],
      manifest: { format: 'onnx', batching: { maxBatchRows: 4 }, evaluation: { metrics: { f1: 0.9 } } },
    });
    expect((await call('GET', '/api/models/tone/versions/1')).json()).toEqual(answer.json());
    expect(
      (await call('POST', '/api/models', { path: join(api.folder, 'made'), manifest: evaluated(0.9) })).statusCode,
    ).toBe(200);
  });

  it('takes the name and version of an upload from its address', async () => {
    const answer = await upload('?name=tone&version=3', {}, { 'model.onnx': smallOnnx() });
    expect([answer.statusCode, answer.json<{ layout: string }>().layout]).toEqual([201, 'file']);
    expect((await upload('', {}, { 'model.onnx': smallOnnx() })).json()).toMatchObject({
      code: 'SLU_ARTIFACT_REFUSED',
      detail: expect.stringContaining('send name and version') as string,
    });
  });

  it('fetches from a source, and says where a version came from', async () => {
    registry.push('team/model', 'v1', sampleArtifact());
    const source = `oci://${registry.host}/team/model:v1`;
    expect((await call('POST', '/api/models', { source })).json()).toMatchObject({
      model: 'sample',
      source,
      layout: 'sluice',
    });
    expect((await call('POST', '/api/models', { source: `oci://${registry.host}/none` })).json()).toMatchObject({
      status: 400,
      code: 'SLU_ARTIFACT_UNREADABLE',
    });
  });

  it.each([
    [{}, 'body'],
    [{ path: '/x', source: 'oci://x/y' }, 'body'],
    [{ source: 'https://x/y' }, 'source'],
    [{ source: 's3://x\u0000' }, 'source'],
    [{ path: '/x', manifest: { files: [] } }, 'manifest'],
    [{ path: '/x', manifest: { inputs: [] } }, 'manifest.inputs'],
  ])('refuses %j by its field', async (body, field) => {
    const answer = await call('POST', '/api/models', body);
    expect(answer.json()).toMatchObject({ status: 422, code: 'SLU_REQUEST_INVALID' });
    expect(answer.json<{ problems: { field: string }[] }>().problems.map((each) => each.field)).toContain(field);
  });

  it('refuses a manifest with a NUL, or nested without end, as a bad artifact', async () => {
    for (const rest of [
      { description: 'a\u0000b' },
      { warmup: [{ x: [JSON.parse(`${'['.repeat(1_000)}${']'.repeat(1_000)}`) as unknown] }] },
    ])
      expect((await upload('', rest)).json()).toMatchObject({ status: 422, code: 'SLU_ARTIFACT_REFUSED' });
  });
});

describe('signing', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const signed = (digest: string): string => sign(null, Buffer.from(digest), privateKey).toString('base64');

  it('is by keys that admins keep, over the content digest that registering answers', async () => {
    expect((await call('POST', '/api/signing-keys', { id: 'ci', publicKeyPem }, 'operator')).statusCode).toBe(403);
    expect((await call('POST', '/api/signing-keys', { id: 'ci', publicKeyPem })).json()).toMatchObject({
      state: 'active',
    });
    const { contentDigest } = (await upload()).json<{ contentDigest: string }>();
    const url = '/api/models/sample/versions/1/signatures';
    const body = { algorithm: 'ed25519', keyId: 'ci', value: signed(contentDigest) };
    expect((await call('POST', url, body, 'operator')).statusCode).toBe(201);
    expect((await call('POST', url, body, 'operator')).statusCode).toBe(200);
    expect((await call('POST', url, { ...body, value: signed('0'.repeat(64)) })).json()).toMatchObject({
      code: 'SLU_SIGNATURE_INVALID',
    });
    expect((await call('POST', url, { ...body, value: 'x' })).json()).toMatchObject({ code: 'SLU_REQUEST_INVALID' });
    expect((await call('GET', url)).json()).toMatchObject({ signatures: [{ keyId: 'ci', state: 'valid' }] });
    expect((await call('POST', '/api/signing-keys/ci/retire')).json()).toMatchObject({ state: 'retired' });
    expect((await call('POST', '/api/signing-keys/ci/revoke', { reason: 'lost' })).json()).toMatchObject({
      state: 'revoked',
    });
    expect((await call('GET', url)).json()).toMatchObject({ signatures: [{ state: 'revoked-key' }] });
    expect((await call('GET', '/api/signing-keys')).json()).toMatchObject({
      keys: [{ id: 'ci', revocationReason: 'lost' }],
    });
  });

  it('may come with the artifact: a good one counts, a stranger warns, a false one refuses the artifact', async () => {
    await call('POST', '/api/signing-keys', { id: 'ci', publicKeyPem });
    const { contentDigest } = (await upload()).json<{ contentDigest: string }>();
    const value = signed(contentDigest);
    // The same content with a signature is the same version, and keeps the signature.
    const again = await upload('', { signatures: [{ algorithm: 'ed25519', keyId: 'ci', value }] });
    expect([again.statusCode, again.json<{ contentDigest: string }>().contentDigest]).toEqual([200, contentDigest]);
    expect((await call('GET', '/api/models/sample/versions/1/signatures')).json()).toMatchObject({
      signatures: [{ state: 'valid' }],
    });
    const stranger = await upload('', { version: '2', signatures: [{ algorithm: 'ed25519', keyId: 'nobody', value }] });
    expect(stranger.json()).toMatchObject({ warnings: ['a signature does not count: there is no signing key nobody'] });
    const wrong = await upload('', { version: '3', signatures: [{ algorithm: 'ed25519', keyId: 'ci', value }] });
    expect(wrong.json()).toMatchObject({ status: 422, code: 'SLU_SIGNATURE_INVALID' });
    expect((await call('GET', '/api/models/sample/versions/3')).statusCode).toBe(404);
  });

  it('by Sigstore may lie as a bundle beside the manifest, and nothing else may', async () => {
    await using sigstore = await startSigstore();
    await using other = await managementApi(
      { kind: 'any' },
      {},
      {},
      { bundles: new SigstoreVerifier(sigstore.trustedRoot) },
    );
    const { contentDigest } = (await upload()).json<{ contentDigest: string }>();
    const bundle = JSON.stringify(await sigstore.sign(Buffer.from(contentDigest)));
    const signatures = [{ algorithm: 'sigstore', bundlePath: 'bundle.json' }];
    const files = { 'sluice.json': JSON.stringify(sampleManifest(sampleFiles, { signatures })), ...sampleFiles };
    const send = (content: object) =>
      other.app.inject({
        method: 'POST',
        url: '/api/models',
        headers: { ...other.as.operator, 'content-type': 'application/gzip' },
        payload: tarGz(entriesOf(content as typeof files)),
      });
    expect((await send(files)).json()).toMatchObject({
      detail: expect.stringContaining('bundle.json is missing') as string,
    });
    expect((await send({ ...files, 'bundle.json': '{' })).json()).toMatchObject({
      detail: expect.stringContaining('not valid JSON') as string,
    });
    expect((await send({ ...files, 'bundle.json': bundle, 'more.json': '{}' })).json()).toMatchObject({
      detail: expect.stringContaining('more.json is not listed') as string,
    });
    expect((await send({ ...files, 'bundle.json': bundle })).json()).toMatchObject({ contentDigest, warnings: [] });
    const headers = other.as.operator;
    const list = await other.app.inject({ url: '/api/models/sample/versions/1/signatures', headers });
    expect(list.json()).toMatchObject({ signatures: [{ algorithm: 'sigstore', state: 'valid' }] });
  });
});

describe('a policy', () => {
  beforeEach(async () => {
    await upload('', evaluated(0.9));
    await upload('', { version: '2', ...evaluated(0.5) });
    await call('POST', '/api/endpoints', { name: 'sample', version: '1' });
  });
  const policy = { evaluation: ['f1 >= 0.80'], signatures: { unsigned: 'warned' } };

  it('is written by admins alone, in revisions, and kept from whoever comes too late', async () => {
    const url = '/api/endpoints/sample/policy';
    expect((await call('PUT', url, policy, 'operator')).statusCode).toBe(403);
    expect((await call('PUT', url, { ...policy, expectedRevision: 0 })).json()).toMatchObject({
      revision: 1,
      policy: {
        evaluation: [{ metric: 'f1', min: 0.8, better: 'higher' }],
        signatures: { unsigned: 'warned', identities: [] },
      },
      warnings: ['version 1 has traffic and keeps it: it has no signature'],
    });
    expect((await call('PUT', url, { expectedRevision: 0 })).json()).toMatchObject({
      status: 409,
      code: 'SLU_POLICY_STALE',
    });
    expect((await call('PUT', url, { evaluation: ['f1'] })).json()).toMatchObject({ code: 'SLU_REQUEST_INVALID' });
    expect((await call('GET', url, undefined, 'operator')).json()).toMatchObject({ revision: 1 });
    expect((await call('GET', '/api/endpoints/none/policy')).statusCode).toBe(404);
  });

  it('stops a rollout before it begins, and an override opens it with a warning in its timeline', async () => {
    await call('PUT', '/api/endpoints/sample/policy', policy);
    const start = () => call('POST', '/api/rollouts', { endpoint: 'sample', candidate: '2' }, 'operator');
    expect((await start()).json()).toMatchObject({
      status: 409,
      code: 'SLU_POLICY_EVALUATION',
      detail: 'endpoint sample refuses version 2: metric f1: wanted f1 >= 0.8, got 0.5',
    });
    expect((await call('GET', '/api/endpoints/sample')).json()).toMatchObject({ rolloutId: null });
    const override = { version: '2', reason: 'the old one is worse' };
    expect((await call('POST', '/api/endpoints/sample/policy/overrides', override, 'operator')).statusCode).toBe(403);
    expect((await call('POST', '/api/endpoints/sample/policy/overrides', override)).json()).toMatchObject({
      overrides: [override],
    });
    const started = await start();
    expect(started.statusCode).toBe(202);
    expect(started.json<{ events: { detail: { warnings: string[] } }[] }>().events[0]?.detail.warnings).toEqual([
      expect.stringContaining('it has no signature') as string,
      expect.stringContaining('was let in by key:') as string,
    ]);
  });

  it('may stand there from the first moment of an endpoint', async () => {
    const create = (version: string) =>
      call('POST', '/api/endpoints', { name: 'front', model: 'sample', version, policy });
    expect((await create('2')).json()).toMatchObject({ status: 409, code: 'SLU_POLICY_EVALUATION' });
    expect((await create('1')).json()).toMatchObject({ route: { warnings: ['version 1: it has no signature'] } });
  });

  it('and what a version was trained on and where it served are found both ways', async () => {
    const lineage = await call('GET', '/api/models/sample/versions/1/lineage');
    expect(lineage.json()).toMatchObject({
      trainedOn: { dataset: 'dialogues', version: '2026-11' },
      routes: [{ endpoint: 'sample', revision: 1, arm: 'stable', weight: 100, until: null }],
    });
    const back = await call('GET', '/api/lineage?dataset=dialogues&version=2026-11');
    expect(back.json<{ versions: unknown[] }>().versions).toContainEqual(lineage.json());
    for (const query of ['', '?dataset=', '?dataset=x&more=1', '?dataset=%00'])
      expect((await call('GET', `/api/lineage${query}`)).json()).toMatchObject({
        status: 422,
        code: 'SLU_REQUEST_INVALID',
      });
    expect((await call('GET', '/api/models/%00/versions/%00/lineage')).statusCode).toBe(400);
  });
});

it('the layouts that MLflow itself made register over HTTP', async () => {
  const models = fileURLToPath(new URL('../../../test/models/', import.meta.url));
  const files = {
    MLmodel: await readFile(join(models, 'layouts/mlflow-onnx/MLmodel')),
    'model.onnx': await readFile(join(models, 'dense/model.onnx')),
  };
  expect((await upload('?name=dense&version=1', {}, files)).json()).toMatchObject({ layout: 'mlflow', format: 'onnx' });
});
