import { derivedSecret } from '#libs/platform';
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
/** NIST SP 800-38D: 96 random bits, and far fewer than 2^32 seals under one key. */
const nonceBytes = 12;
const tagBytes = 16;
const keyIdLength = 16;

/** A text that only holders of the master key can read. `sealed` is nonce, ciphertext and tag. */
export interface SealedText {
  keyId: string;
  sealed: Buffer;
}

interface SealKey {
  id: string;
  secret: Buffer;
}

/**
 * Seals small texts with AES-256-GCM under a key that is derived from the master key (HKDF-SHA-256). What a text is for is
 * authenticated with it: moved to another row, it does not open.
 */
export class SecretSeal {
  private readonly current: SealKey;
  private readonly keys: ReadonlyMap<string, SealKey>;

  /** @param earlierMasterKeys open what was sealed before a change of the master key */
  constructor(masterKey: Buffer, earlierMasterKeys: readonly Buffer[] = []) {
    this.current = sealKey(masterKey);
    this.keys = new Map([...earlierMasterKeys.map(sealKey), this.current].map((key) => [key.id, key]));
  }

  seal(text: string, purpose: readonly string[], random: (bytes: number) => Buffer = randomBytes): SealedText {
    const nonce = random(nonceBytes);
    const cipher = createCipheriv(algorithm, this.current.secret, nonce).setAAD(purposeBytes(purpose));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { keyId: this.current.id, sealed };
  }

  /** @returns undefined when it was sealed with another key, for another purpose, or was changed since */
  open({ keyId, sealed }: SealedText, purpose: readonly string[]): string | undefined {
    const key = this.keys.get(keyId);
    if (key === undefined || sealed.length < nonceBytes + tagBytes) return undefined;
    const decipher = createDecipheriv(algorithm, key.secret, sealed.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(purposeBytes(purpose)).setAuthTag(sealed.subarray(-tagBytes));
    try {
      const text = decipher.update(sealed.subarray(nonceBytes, -tagBytes));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
  }
}

function sealKey(masterKey: Buffer): SealKey {
  const secret = derivedSecret(masterKey, 'sluice secret seal');
  // Of the derived key, so that the id says nothing about anything else that hangs on the master key.
  const id = createHash('sha256').update('sluice secret seal id').update(secret).digest('hex').slice(0, keyIdLength);
  return { id, secret };
}

// As JSON, in which no two different lists read the same.
const purposeBytes = (purpose: readonly string[]): Buffer => Buffer.from(JSON.stringify(purpose));
