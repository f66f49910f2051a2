import { derivedSecret, derivedSigningKey } from '#libs/platform';
import { createHash, createPublicKey, sign, timingSafeEqual, verify, type KeyObject } from 'node:crypto';
import { HmacSha256 } from './hmac-sha256.js';

const keyIdLength = 16;

interface KeySet {
  id: string;
  chain: HmacSha256;
  seal: HmacSha256;
  signing: KeyObject;
  publicKey: string;
}

/**
 * The keys of the trail, derived from the master key (HKDF-SHA-256): one that binds the rows, one that seals a row before
 * it is bound, and an Ed25519 key that signs. Earlier master keys go on verifying what they have bound.
 */
export class AuditKeys {
  private readonly current: KeySet;
  private readonly sets: ReadonlyMap<string, KeySet>;

  constructor(masterKey: Buffer, earlierMasterKeys: readonly Buffer[] = []) {
    this.current = keySet(masterKey);
    this.sets = new Map([...earlierMasterKeys.map(keySet), this.current].map((set) => [set.id, set]));
  }

  /** Names all three keys, and says nothing about them: it is a digest of the public one. */
  get id(): string {
    return this.current.id;
  }

  /** SPKI, PEM. */
  get publicKey(): string {
    return this.current.publicKey;
  }

  publicKeyOf(id: string): string | undefined {
    return this.sets.get(id)?.publicKey;
  }

  /** @returns hexadecimal */
  mac(text: string): string {
    return this.current.chain.hex(text);
  }

  /** @returns undefined when no known master key has this id */
  isMac(text: string, mac: Buffer, id: string): boolean | undefined {
    const set = this.sets.get(id);
    return set === undefined ? undefined : isEqual(set.chain.hex(text), mac);
  }

  /** @returns hexadecimal */
  seal(text: string): string {
    return this.current.seal.hex(text);
  }

  isSeal(text: string, seal: Buffer | null, id: string | null): boolean {
    const set = id === null ? undefined : this.sets.get(id);
    if (set === undefined || seal === null) return false;
    return isEqual(set.seal.hex(text), seal);
  }

  /** @returns base64. @param id of an earlier key, when its own word is wanted */
  sign(text: string, id = this.current.id): string | undefined {
    const set = this.sets.get(id);
    return set === undefined ? undefined : sign(null, Buffer.from(text), set.signing).toString('base64');
  }
}

/** @param signature base64 @param publicKey SPKI, PEM */
export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
  try {
    return verify(null, Buffer.from(text), createPublicKey(publicKey), Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}

/** The id that a public key has here. @throws Error when it is no Ed25519 public key */
export function keyIdOf(publicKeyPem: string): string {
  const key = createPublicKey(publicKeyPem);
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is not an Ed25519 public key');
  return digestOf(key);
}

function keySet(masterKey: Buffer): KeySet {
  const signing = derivedSigningKey(masterKey, 'sluice audit signature');
  const publicKey = createPublicKey(signing);
  return {
    id: digestOf(publicKey),
    chain: new HmacSha256(derivedSecret(masterKey, 'sluice audit chain')),
    seal: new HmacSha256(derivedSecret(masterKey, 'sluice audit seal')),
    signing,
    publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

const digestOf = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest('hex')
    .slice(0, keyIdLength);

function isEqual(hex: string, other: Buffer): boolean {
  const one = Buffer.from(hex, 'hex');
  return one.length === other.length && timingSafeEqual(one, other);
}
