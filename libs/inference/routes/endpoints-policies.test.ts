import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { isSluiceError } from '#libs/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { actionsIn, digestOf, evaluated, modelRow } from '../../../test/support/model-rows.js';
import { endpointPolicySchema } from './endpoint-policy.js';
import { Endpoints } from './endpoints.js';
import { ModelSignatures } from '../models/model-signatures.js';
import { ReplicaSets } from '../replicas/replica-sets.js';
import { SigningKeys } from '../models/signing-keys.js';

const by = { actor: 'key:admin', requestId: 'r-1' };
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
let db: FreshDatabase;
let endpoints: Endpoints;
let signatures: ModelSignatures;
let keys: SigningKeys;
beforeEach(async () => {
  db = await freshDatabase();
  signatures = new ModelSignatures(db.database);
  keys = new SigningKeys(db.database);
  endpoints = new Endpoints(db.database, new ReplicaSets(db.database), signatures);
  await modelRow(db.database, '1', evaluated(0.8));
  await modelRow(db.database, '2', evaluated(0.9));
  await modelRow(db.database, 'bad', evaluated(0.5));
  await modelRow(db.database, 'blank');
});
afterEach(() => db[Symbol.asyncDispose]());

const parsed = (policy: unknown) => endpointPolicySchema.parse(policy);
const create = (version: string, policy?: unknown) =>
  endpoints.create({
    name: 'front',
    model: 'm',
    version,
    actor: 'key:a',
    ...(policy !== undefined && { policy: parsed(policy) }),
  });
const put = (policy: unknown) => endpoints.policies.put('front', parsed(policy), by);
const all = (version: string) => [{ name: 'stable', version, weight: 100 }];
const split = (stable: string, candidate: string, weight = 5) => [
  { name: 'stable', version: stable, weight: 100 - weight },
  { name: 'candidate', version: candidate, weight },
];
const write = (arms: ReturnType<typeof all>, rest: Partial<Parameters<Endpoints['writeRoute']>[0]> = {}) =>
  endpoints.writeRoute({ endpoint: 'front', arms, reason: 'test', madeBy: 'key:a', ...rest });
const problem = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (failure: unknown) => (isSluiceError(failure) ? `${failure.code}: ${failure.message}` : String(failure)),
  );
const addKey = (id = 'ci') => keys.add(id, publicKey.export({ type: 'spki', format: 'pem' }).toString(), by);
const signVersion = (version: string, keyId = 'ci') =>
  signatures.add(
    { model: 'm', version },
    {
      algorithm: 'ed25519',
      keyId,
      value: sign(null, Buffer.from(digestOf('m', version)), privateKey).toString('base64'),
    },
    by,
  );
const replica = (version: string) =>
  db.database.query(
    `INSERT INTO replicas (id, model, version, host, address, state, ready_at) VALUES ($1, 'm', $2, 'h', 'unix:/x', 'ready', now())`,
    [randomUUID(), version],
  );
const policyAudit = () => actionsIn(db.database, 'policy.%');

describe('a threshold on the evaluation', () => {
  it('keeps a version from a new endpoint, naming metric, wanted and got, and leaves proof and nothing else', async () => {
    expect(await problem(create('bad', { evaluation: ['f1 >= 0.80'] }))).toBe(
      'SLU_POLICY_EVALUATION: endpoint front refuses version bad: metric f1: wanted f1 >= 0.8, got 0.5',
    );
    expect(await endpoints.list()).toEqual([]);
    expect(await policyAudit()).toEqual(['policy.refuse']);
    expect((await create('2', { evaluation: ['f1 >= 0.80'] })).route.warnings).toEqual([]);
  });

  it('keeps it from every share of a route, the share of nobody included, and from the start of a rollout', async () => {
    await create('1', { evaluation: ['f1 >= 0.80'] });
    for (const weight of [100, 5, 0])
      expect(await problem(write(split('1', 'bad', weight)))).toContain('SLU_POLICY_EVALUATION');
    const endpoint = { name: 'front', model: 'm', revision: 1 } as never;
    expect(await problem(db.database.run((tx) => endpoints.admitCandidate(tx, endpoint, 'bad', by)))).toContain(
      'SLU_POLICY_EVALUATION',
    );
    expect(await db.database.run((tx) => endpoints.admitCandidate(tx, endpoint, '2', by))).toEqual([]);
    expect((await endpoints.get('front')).route.revision).toBe(1);
  });

  it('on regression is held against the live version', async () => {
    await create('1', { evaluation: [{ metric: 'f1', maxRegression: 0.05 }] });
    await write(split('1', '2'));
    expect(await problem(write(split('1', 'bad')))).toContain('of the live version 1 (0.8), got 0.5');
    expect(await problem(write(split('1', 'blank')))).toContain('got none in its manifest');
  });

  it('that comes later takes nothing away, and lets what is live shrink but not grow', async () => {
    await create('bad');
    await write(split('bad', '2'));
    const { warnings, revision } = await put({ evaluation: ['f1 >= 0.80'] });
    expect([revision, warnings]).toEqual([
      1,
      ['version bad has traffic and keeps it: metric f1: wanted f1 >= 0.8, got 0.5'],
    ]);
    expect(await problem(write(split('bad', '2', 1)))).toContain('SLU_POLICY_EVALUATION');
    await write(split('bad', '2', 50));
    expect((await endpoints.get('front')).route.arms).toEqual(split('bad', '2', 50));
  });
});

describe('an unsigned version', () => {
  it('is allowed by default, warned about aloud, or refused', async () => {
    await create('1');
    expect((await write(split('1', '2'))).warnings).toEqual([]);
    await put({ signatures: { unsigned: 'warned' } });
    expect((await write(all('2'))).warnings).toEqual(['version 2: it has no signature']);
    expect((await endpoints.history('front'))[0]?.warnings).toHaveLength(1);
    await put({ signatures: { unsigned: 'refused' } });
    expect(await problem(write(all('1')))).toBe(
      'SLU_POLICY_SIGNATURE: endpoint front refuses version 1: it has no signature',
    );
    expect(await policyAudit()).toEqual(['policy.write', 'policy.warn', 'policy.write', 'policy.refuse']);
  });

  it('is let in once it is signed by a key that counts, and by no other', async () => {
    await addKey();
    await addKey('other');
    await create('1');
    await put({ signatures: { unsigned: 'refused', keys: ['ci'] } });
    await signVersion('2', 'other');
    expect(await problem(write(all('2')))).toContain(
      "none of its signatures counts: key other is none of the endpoint's",
    );
    await signVersion('2');
    expect((await write(all('2'))).warnings).toEqual([]);
  });

  it('counts as such when its key is revoked between two steps of a rollout, and the way back stays open', async () => {
    const rolloutId = randomUUID();
    await addKey();
    await signVersion('2');
    await create('1');
    await put({ signatures: { unsigned: 'refused' } });
    await db.database.query(
      `INSERT INTO rollouts (id, endpoint, model, stable_version, candidate_version, strategy, spec, phase, started_by)
       VALUES ($1, 'front', 'm', '1', '2', 'canary', '{}', 'stepping', 'key:a')`,
      [rolloutId],
    );
    await db.database.run((tx) => endpoints.hold(tx, 'front', rolloutId));
    await write(split('1', '2', 5), { rolloutId, fence: 1 });
    await keys.revoke('ci', 'lost', null, by);
    expect(await problem(write(split('1', '2', 50), { rolloutId, fence: 2 }))).toContain('key ci is revoked: lost');
    const back = await write(all('1'), { rolloutId, fence: 3 });
    expect(back.warnings).toEqual(['version 1 was live before and may come back: it has no signature']);
    expect(await policyAudit()).toEqual(['policy.write', 'policy.refuse', 'policy.waive']);
  });

  it('cannot slip in while its key is being revoked: one waits for the other', async () => {
    await addKey();
    await signVersion('2');
    await create('1', { signatures: { unsigned: 'allowed' } });
    await put({ signatures: { unsigned: 'refused' } });
    const [routed, revoked] = await Promise.allSettled([write(all('2')), keys.revoke('ci', 'lost', null, by)]);
    expect(revoked.status).toBe('fulfilled');
    const order = (await actionsIn(db.database))
      .filter((action) => /^(route\.write|signing-key\.revoke|policy\.refuse)$/.test(action))
      .slice(1);
    expect(order).toEqual(
      routed.status === 'fulfilled' ? ['route.write', 'signing-key.revoke'] : ['signing-key.revoke', 'policy.refuse'],
    );
  });
});

describe('a rollback', () => {
  beforeEach(async () => {
    await addKey();
    for (const version of ['1', '2', 'bad']) await replica(version);
  });

  it('to what had all traffic before is possible against the policy, and loud', async () => {
    await create('bad');
    await write(all('2'));
    await put({ evaluation: ['f1 >= 0.80'], signatures: { unsigned: 'refused' } });
    const route = await endpoints.rollbackTo({ endpoint: 'front', actor: 'key:a' });
    expect(route.arms).toEqual(all('bad'));
    expect(route.warnings).toEqual([
      'version bad was live before and may come back: it has no signature',
      'version bad was live before and may come back: metric f1: wanted f1 >= 0.8, got 0.5',
    ]);
    expect(await policyAudit()).toEqual(['policy.write', 'policy.waive', 'policy.waive']);
  });

  it('to a route whose candidate never had all traffic is refused like any other way in', async () => {
    await create('1');
    await write(split('1', 'bad'));
    await write(all('2'));
    await put({ evaluation: ['f1 >= 0.80'] });
    expect(await problem(endpoints.rollbackTo({ endpoint: 'front', revision: 2, actor: 'key:a' }))).toContain(
      'SLU_POLICY_EVALUATION',
    );
  });

  it('to what a revoked key has signed needs an admin', async () => {
    await signVersion('1');
    await create('1');
    await write(all('2'));
    await put({ signatures: { unsigned: 'refused' } });
    await keys.revoke('ci', 'lost', null, by);
    expect(await problem(endpoints.rollbackTo({ endpoint: 'front', actor: 'key:a' }))).toContain(
      'SLU_POLICY_SIGNATURE',
    );
    await endpoints.policies.override('front', '1', 'the live one loses money', by);
    expect((await endpoints.rollbackTo({ endpoint: 'front', actor: 'key:a' })).warnings).toEqual([
      'version 1 was let in by key:admin: none of its signatures counts: key ci is revoked: lost',
    ]);
    expect(await policyAudit()).toEqual(['policy.write', 'policy.refuse', 'policy.override', 'policy.override-use']);
  });
});

describe('the policy itself', () => {
  it('is a row of revisions, and an override holds for one of them', async () => {
    await create('1');
    expect(await endpoints.policies.get('front')).toMatchObject({
      revision: 0,
      policy: { signatures: { unsigned: 'allowed' } },
    });
    expect(await problem(endpoints.policies.override('front', 'bad', 'x', by))).toContain('SLU_POLICY_UNKNOWN');
    await put({ evaluation: ['f1 >= 0.80'] });
    expect(await problem(endpoints.policies.override('front', 'none', 'x', by))).toContain('SLU_MODEL_VERSION_UNKNOWN');
    expect(await endpoints.policies.override('front', 'bad', 'we must', by)).toMatchObject({
      overrides: [{ version: 'bad', reason: 'we must', madeBy: 'key:admin' }],
    });
    expect((await write(split('1', 'bad'))).warnings).toHaveLength(1);
    expect(await put({ evaluation: ['f1 >= 0.80'] })).toMatchObject({ revision: 2, overrides: [] });
    expect(await problem(write(split('1', 'bad', 50)))).toContain('SLU_POLICY_EVALUATION');
  });

  it('written by two at once keeps both revisions, and says so to the one who came too late', async () => {
    await create('1');
    await Promise.all(Array.from({ length: 8 }, () => put({})));
    expect((await endpoints.policies.get('front')).revision).toBe(8);
    const late = endpoints.policies.put('front', parsed({}), { ...by, expectedRevision: 3 });
    expect(await problem(late)).toBe('SLU_POLICY_STALE: the policy of endpoint front is at revision 8 by now');
    expect(await problem(endpoints.policies.put('none', parsed({}), by))).toContain('SLU_ENDPOINT_UNKNOWN');
    expect(await problem(endpoints.policies.get('none'))).toContain('SLU_ENDPOINT_UNKNOWN');
  });
});
