import { createHash, randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { assertNever, sluiceError } from '#libs/kernel';
import { ModelVersionEntity, type Database, type Tx } from '#libs/store';
import { canonicalJson } from '../artifacts/artifact-manifest.js';
import { noBundleVerifier, type BundleVerifier } from '../ports/bundle-verifier.js';
import { isSignedBy, keysInUse, type SigningKeyView } from './signing-keys.js';

export type NewSignature =
  | { algorithm: 'ed25519'; keyId: string; value: string }
  | { algorithm: 'sigstore'; bundle: unknown };

/** What a signature is worth now. Only `valid` ones count. */
export type SignatureState = 'valid' | 'invalid' | 'unknown-key' | 'retired-key' | 'revoked-key';

export interface SignatureView {
  id: string;
  algorithm: 'ed25519' | 'sigstore';
  keyId: string | null;
  /** Of a Sigstore bundle that verifies. */
  issuer: string | null;
  subject: string | null;
  state: SignatureState;
  /** Why it does not count. */
  problem: string | null;
  addedAt: Date;
  addedBy: string;
}

export interface VersionToSign {
  model: string;
  version: string;
  contentDigest: string;
}

interface SignatureRow {
  id: string;
  algorithm: 'ed25519' | 'sigstore';
  keyId: string | null;
  content: string;
  addedAt: Date;
  addedBy: string;
}

interface By {
  actor: string;
  requestId?: string | undefined;
}

const mostPerVersion = 64;

/** What is signed: the 64 hex digits of the content digest, as they stand in the answer of a registration. */
const signedContent = (contentDigest: string): Buffer => Buffer.from(contentDigest, 'ascii');

/** Statements of key holders about model versions. They are kept as they came, and judged anew whenever one counts on them. */
export class ModelSignatures {
  constructor(
    private readonly database: Database,
    private readonly bundles: BundleVerifier = noBundleVerifier,
  ) {}

  /**
   * Adds a signature to a registered version. One that is there already changes nothing.
   * @throws SLU_MODEL_VERSION_UNKNOWN, SLU_SIGNATURE_KEY_UNKNOWN, SLU_SIGNATURE_KEY_ENDED, SLU_SIGNATURE_INVALID
   */
  async add(
    { model, version }: { model: string; version: string },
    signature: NewSignature,
    by: By,
  ): Promise<{ created: boolean; signature: SignatureView }> {
    return this.database.run(async (tx) => {
      const row = await tx.findOne(ModelVersionEntity, {
        where: { model, version },
        lock: { mode: 'pessimistic_write' },
      });
      if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
      const { created, id } = await this.addIn(tx, row, signature, by, 'detached');
      const found = (await this.judged(tx, row)).find((each) => each.id === id);
      if (found === undefined) throw new Error('a signature that was just added is not there');
      return { created, signature: found };
    });
  }

  /** @throws SLU_MODEL_VERSION_UNKNOWN */
  async list(model: string, version: string): Promise<SignatureView[]> {
    return this.database.run(async (tx) => {
      const row = await tx.findOneBy(ModelVersionEntity, { model, version });
      if (row === null) throw sluiceError('SLU_MODEL_VERSION_UNKNOWN', { model, version });
      return this.judged(tx, row);
    });
  }

  /**
   * Within the caller's transaction.
   * @param manner a signature that came with the artifact may be by a key that is not known here, and counts for nothing
   *   then; one that is sent by itself must count
   */
  async addIn(
    tx: Tx,
    target: VersionToSign,
    signature: NewSignature,
    by: By,
    manner: 'detached' | 'with the artifact',
  ): Promise<{ created: boolean; id: string; problem: string | null }> {
    const { model, version, contentDigest } = target;
    const row = rowOf(signature, by.actor);
    const judged = this.judge(row, contentDigest, await keysInUse(tx, row.keyId === null ? [] : [row.keyId]));
    if (manner === 'detached' || judged.state === 'invalid') refuseUnlessValid(judged);
    const fingerprint = createHash('sha256')
      .update(`${row.algorithm}:${row.keyId ?? ''}:${row.content}`)
      .digest('hex');
    const inserted: { id: string }[] = await tx.query(
      `INSERT INTO model_signatures (id, model, version, algorithm, key_id, content, fingerprint, added_by)
       SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text
        WHERE (SELECT count(*) FROM model_signatures WHERE model = $2 AND version = $3) < ${mostPerVersion}
       ON CONFLICT (model, version, fingerprint) DO NOTHING RETURNING id`,
      [row.id, model, version, row.algorithm, row.keyId, row.content, fingerprint, by.actor],
    );
    if (inserted.length === 0)
      return { created: false, id: await existing(tx, target, fingerprint), problem: judged.problem };
    await appendAudit(tx, {
      actor: by.actor,
      action: 'model.sign',
      resource: `model:${model}/${version}`,
      outcome: 'done',
      requestId: by.requestId,
      detail: {
        algorithm: row.algorithm,
        state: judged.state,
        ...(judged.keyId !== null && { keyId: judged.keyId }),
        ...(judged.subject !== null && { subject: judged.subject, issuer: judged.issuer }),
      },
    });
    return { created: true, id: row.id, problem: judged.problem };
  }

  /** All signatures of a version with what they are worth; their keys stay as they are until the transaction ends. */
  async judged(tx: Tx, { model, version, contentDigest }: VersionToSign): Promise<SignatureView[]> {
    const rows: SignatureRow[] = await tx.query(
      `SELECT id, algorithm, key_id AS "keyId", content, added_at AS "addedAt", added_by AS "addedBy"
         FROM model_signatures WHERE model = $1 AND version = $2 ORDER BY seq`,
      [model, version],
    );
    const keys = await keysInUse(tx, [...new Set(rows.flatMap(({ keyId }) => keyId ?? []))]);
    return rows.map((row) => this.judge(row, contentDigest, keys));
  }

  private judge(row: SignatureRow, contentDigest: string, keys: ReadonlyMap<string, SigningKeyView>): SignatureView {
    const { id, algorithm, keyId, addedAt, addedBy } = row;
    const view = { id, algorithm, keyId, issuer: null, subject: null, addedAt, addedBy };
    const content = signedContent(contentDigest);
    if (algorithm === 'sigstore') {
      const found = this.bundles.verify(JSON.parse(row.content), content);
      if ('problem' in found) return { ...view, state: 'invalid', problem: found.problem };
      return { ...view, ...found, state: 'valid', problem: null };
    }
    const key = keys.get(keyId ?? '');
    if (key === undefined) return { ...view, state: 'unknown-key', problem: `there is no signing key ${keyId}` };
    if (!isSignedBy(key.publicKeyPem, content, row.content))
      return { ...view, state: 'invalid', problem: `it is no signature of key ${keyId} over this content digest` };
    return { ...view, ...worthOf(key, addedAt) };
  }
}

function worthOf(key: SigningKeyView, addedAt: Date): { state: SignatureState; problem: string | null } {
  switch (key.state) {
    case 'active':
      return { state: 'valid', problem: null };
    case 'retired':
      if (key.retiredAt !== null && addedAt <= key.retiredAt) return { state: 'valid', problem: null };
      return { state: 'retired-key', problem: `key ${key.id} was retired before the signature came` };
    case 'revoked':
      if (
        key.compromisedSince !== null &&
        addedAt < key.compromisedSince &&
        !(key.retiredAt !== null && addedAt > key.retiredAt)
      )
        return { state: 'valid', problem: null };
      return { state: 'revoked-key', problem: `key ${key.id} is revoked: ${key.revocationReason ?? ''}` };
    default:
      return assertNever(key.state, 'key state');
  }
}

function rowOf(signature: NewSignature, addedBy: string): SignatureRow {
  const row = { id: randomUUID(), addedAt: new Date(), addedBy };
  switch (signature.algorithm) {
    case 'ed25519':
      return { ...row, algorithm: 'ed25519', keyId: signature.keyId, content: signature.value };
    case 'sigstore':
      return { ...row, algorithm: 'sigstore', keyId: null, content: canonicalJson(signature.bundle) };
    default:
      return assertNever(signature, 'signature');
  }
}

function refuseUnlessValid({ state, keyId, problem }: SignatureView): void {
  switch (state) {
    case 'valid':
      return;
    case 'unknown-key':
      throw sluiceError('SLU_SIGNATURE_KEY_UNKNOWN', { id: keyId ?? '' });
    case 'retired-key':
    case 'revoked-key':
      throw sluiceError('SLU_SIGNATURE_KEY_ENDED', {
        id: keyId ?? '',
        state: state === 'retired-key' ? 'retired' : 'revoked',
      });
    case 'invalid':
      throw sluiceError('SLU_SIGNATURE_INVALID', { problem: problem ?? '' });
    default:
      assertNever(state, 'signature state');
  }
}

async function existing(tx: Tx, { model, version }: VersionToSign, fingerprint: string): Promise<string> {
  const rows: { id: string }[] = await tx.query(
    'SELECT id FROM model_signatures WHERE model = $1 AND version = $2 AND fingerprint = $3',
    [model, version, fingerprint],
  );
  const [found] = rows;
  if (found === undefined)
    throw sluiceError('SLU_SIGNATURE_INVALID', { problem: `the version has ${mostPerVersion} signatures already` });
  return found.id;
}
