import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

/** A statement as it was signed, byte by byte, and an Ed25519 signature over it. */
export interface ErasureCertificate {
  /** JSON; see `ErasureStatement`. */
  statement: string;
  /** Base64. */
  signature: string;
  keyId: string;
}

export interface ErasureStatement {
  kind: 'sluice-erasure-certificate';
  version: 1;
  erasureId: string;
  /** The pseudonym. Whoever knows the person's name asks the API which one it is. */
  subject: string;
  tenantId: string;
  ground: string;
  requestedAt: string;
  finishedAt: string;
  stores: readonly { store: string; erased: number; finishedAt: string }[];
  /** What stays, and by what right. */
  kept: readonly { what: string; why: string }[];
  copies: string;
}

export const keptByRight = [
  {
    what: 'audit rows that name the pseudonym',
    why: 'GDPR Art. 17(3)(b) and (e): proof of who did what, kept for the time the law asks for; they hold no payload',
  },
] as const;

export const aboutCopies =
  'payloads in copies of the database cannot be read: the data key that sealed them is destroyed. A copy of the data keys from before stays readable for as long as it is kept and the master key of that time exists.';

export function signCertificate(statement: ErasureStatement, privateKey: KeyObject): ErasureCertificate {
  const text = JSON.stringify(statement);
  const signature = sign(null, Buffer.from(text), privateKey).toString('base64');
  return { statement: text, signature, keyId: certificateKeyId(createPublicKey(privateKey)) };
}

export function isCertificateGenuine({ statement, signature }: ErasureCertificate, publicKey: KeyObject): boolean {
  return verify(null, Buffer.from(statement), publicKey, Buffer.from(signature, 'base64'));
}

export const certificateKeyId = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex')
    .slice(0, 16);
