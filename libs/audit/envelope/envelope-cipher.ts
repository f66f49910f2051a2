import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
export const envelopeKeyBytes = 32;
/** NIST SP 800-38D: 96 random bits, and far fewer than 2^32 seals under one key. */
const nonceBytes = 12;
const tagBytes = 16;

/** What a sealed content is bound to. Moved to another row, purpose or subject, it does not open. */
export interface EnvelopeBinding {
  purpose: string;
  row: string;
  /** The subject's pseudonym; undefined where no subject is known. */
  subject: string | undefined;
}

/** @returns nonce, ciphertext and tag, in this order */
export function sealContent(
  key: Buffer,
  content: Buffer,
  binding: EnvelopeBinding,
  random: (bytes: number) => Buffer = randomBytes,
): Buffer {
  const nonce = random(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(boundTo(binding));
  return Buffer.concat([nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined when it was sealed with another key, bound to something else, or changed since */
export function openContent(key: Buffer, sealed: Buffer, binding: EnvelopeBinding): Buffer | undefined {
  if (key.length !== envelopeKeyBytes || sealed.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(boundTo(binding)).setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}

// As JSON, in which no two different bindings read the same.
const boundTo = ({ purpose, row, subject }: EnvelopeBinding): Buffer =>
  Buffer.from(JSON.stringify([purpose, row, subject ?? null]));
