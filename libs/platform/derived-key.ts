import { createPrivateKey, hkdfSync, type KeyObject } from 'node:crypto';

const secretBytes = 32;
/** DER of a PKCS #8 Ed25519 private key, up to its 32 bytes (RFC 8410). */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The secret for one use, from the master key by HKDF-SHA-256 (RFC 5869) without a salt: each process of an installation finds
 * the same, and nobody finds the master key or another use's secret from it. @returns 32 bytes
 */
export const derivedSecret = (masterKey: Buffer, use: string): Buffer =>
  Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), use, secretBytes));

/** The Ed25519 private key for one use, from the master key in the same way. */
export const derivedSigningKey = (masterKey: Buffer, use: string): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([ed25519Prefix, derivedSecret(masterKey, use)]),
    format: 'der',
    type: 'pkcs8',
  });
