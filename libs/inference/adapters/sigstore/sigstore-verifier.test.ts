import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../../test/support/database.js';
import { digestOf, modelRow } from '../../../../test/support/model-rows.js';
import { startSigstore, type Sigstore } from '../../../../test/support/sigstore.js';
import { endpointPolicySchema } from '../../routes/endpoint-policy.js';
import { Endpoints } from '../../routes/endpoints.js';
import { ModelSignatures } from '../../models/model-signatures.js';
import { ReplicaSets } from '../../replicas/replica-sets.js';
import { SigstoreVerifier } from './sigstore-verifier.js';

const subject = 'https://ci.example/build.yml@main';
const content = Buffer.from(digestOf('m', '1'));
let sigstore: Sigstore;
let verifier: SigstoreVerifier;
let bundle: Record<string, never>;
let issuer: string;
beforeAll(async () => {
  sigstore = await startSigstore();
  verifier = new SigstoreVerifier(sigstore.trustedRoot);
  bundle = (await sigstore.sign(content, subject)) as Record<string, never>;
  const found = verifier.verify(bundle, content);
  issuer = 'issuer' in found ? found.issuer : `none: ${found.problem}`;
});
afterAll(() => sigstore[Symbol.asyncDispose]());

/** The same bundle with one place changed. */
function changed(path: string[], value: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(bundle)) as Record<string, unknown>;
  const last = path.at(-1) ?? '';
  let at: Record<string, unknown> = copy;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[last] = value;
  return copy;
}

describe('a bundle of Sigstore', () => {
  it('says who signed, by the certificate that its log has seen', () => {
    expect(verifier.verify(bundle, content)).toEqual({ issuer, subject });
    expect(issuer).toMatch(/^https:\/\//);
  });

  it('over other content is no proof', () => {
    expect(verifier.verify(bundle, Buffer.from(digestOf('m', '2')))).toHaveProperty('problem');
  });

  it('by another certificate authority is no proof', async () => {
    await using stranger = await startSigstore();
    expect(verifier.verify(await stranger.sign(content, subject), content)).toHaveProperty('problem');
  });

  it.each<[string, string[], unknown]>([
    ['without its log entry', ['verificationMaterial', 'tlogEntries'], []],
    ['without its certificate', ['verificationMaterial'], {}],
    ['with another signature', ['messageSignature', 'signature'], Buffer.alloc(70, 1).toString('base64')],
    ['with another digest', ['messageSignature', 'messageDigest', 'digest'], Buffer.alloc(32, 1).toString('base64')],
    ['of another kind', ['mediaType'], 'application/json'],
  ])('%s is no proof', (_what, path, value) => {
    expect(verifier.verify(changed(path, value), content)).toHaveProperty('problem');
  });

  it.each([null, 1, 'x', [], {}, { mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json' }])(
    'that is %o is no proof',
    (value) => {
      expect(verifier.verify(value, content)).toHaveProperty('problem');
    },
  );
});

describe('the trust root', () => {
  it('is read from a file, and a wrong one is named as a setting', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-root-'));
    try {
      const file = join(folder, 'trusted_root.json');
      for (const [text, problem] of [
        ['{', 'cannot be read as JSON'],
        ['{"tlogs": 1}', 'is no Sigstore trusted root'],
      ] as const) {
        await writeFile(file, text);
        await expect(SigstoreVerifier.open(file)).rejects.toThrow(problem);
      }
      await expect(SigstoreVerifier.open(join(folder, 'none'))).rejects.toMatchObject({ code: 'SLU_PLATFORM_SETTING' });
      await writeFile(file, JSON.stringify(sigstore.trustedRoot));
      expect((await SigstoreVerifier.open(file)).verify(bundle, content)).toEqual({ issuer, subject });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

it('an endpoint that knows the signer gives the version traffic, and one that knows another does not', async () => {
  await using db = await freshDatabase();
  await modelRow(db.database, '1');
  const signatures = new ModelSignatures(db.database, verifier);
  const endpoints = new Endpoints(db.database, new ReplicaSets(db.database), signatures);
  await signatures.add({ model: 'm', version: '1' }, { algorithm: 'sigstore', bundle }, { actor: 'key:ci' });
  expect(await signatures.list('m', '1')).toMatchObject([{ algorithm: 'sigstore', subject, issuer, state: 'valid' }]);
  const create = (identities: object[]) =>
    endpoints.create({
      name: 'front',
      model: 'm',
      version: '1',
      actor: 'key:a',
      policy: endpointPolicySchema.parse({ signatures: { unsigned: 'refused', identities } }),
    });
  for (const identities of [
    [],
    [{ issuer, subject: 'https://ci.example/other*' }],
    [{ issuer: 'https://other.example', subject }],
  ])
    await expect(create(identities)).rejects.toMatchObject({ code: 'SLU_POLICY_SIGNATURE' });
  expect((await create([{ issuer, subject: 'https://ci.example/*' }])).route.warnings).toEqual([]);
});
