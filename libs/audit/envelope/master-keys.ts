import { derivedSecret, derivedSigningKey } from '#libs/platform';
import { createHash, createHmac, type KeyObject } from 'node:crypto';

const keyIdLength = 16;

interface MasterKey {
  id: string;
  secret: Buffer;
}

/** The keys that wrap data keys: the current one, and earlier ones that still open what they wrapped. */
export class MasterKeys {
  readonly current: MasterKey;
  private readonly byId: ReadonlyMap<string, MasterKey>;

  constructor(current: Buffer, earlier: readonly Buffer[] = []) {
    this.current = wrappingKey(current);
    this.byId = new Map([...earlier.map(wrappingKey), this.current].map((key) => [key.id, key]));
  }

  find(id: string): MasterKey | undefined {
    return this.byId.get(id);
  }
}

function wrappingKey(master: Buffer): MasterKey {
  const secret = derivedSecret(master, 'sluice envelope');
  // Of the derived key, so that the id says nothing about anything else that hangs on the same master key.
  const id = createHash('sha256').update('sluice envelope id').update(secret).digest('hex').slice(0, keyIdLength);
  return { id, secret };
}

/**
 * Names of subjects that stand in tables, logs and certificates: HMAC-SHA-256 of tenant and subject id, as a UUID. They hang
 * on the installation's own key and not on the envelope's, so that a rotation leaves them as they are.
 */
export class SubjectPseudonyms {
  private readonly secret: Buffer;

  constructor(masterKey: Buffer) {
    this.secret = derivedSecret(masterKey, 'sluice subject pseudonym');
  }

  of(tenantId: string, subjectId: string): string {
    const text = createHmac('sha256', this.secret)
      .update(JSON.stringify([tenantId, subjectId]))
      .digest('hex');
    // Version 8 of RFC 9562: bits of one's own making.
    const variant = ((Number.parseInt(text[16]!, 16) & 0x3) | 0x8).toString(16);
    return `${text.slice(0, 8)}-${text.slice(8, 12)}-8${text.slice(13, 16)}-${variant}${text.slice(17, 20)}-${text.slice(20, 32)}`;
  }
}

/** The key that signs certificates of erasure: the same for every process of an installation. */
export const certificateKey = (masterKey: Buffer): KeyObject =>
  derivedSigningKey(masterKey, 'sluice erasure certificate');
