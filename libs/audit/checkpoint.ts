import { z } from 'zod';
import { canonicalText } from './audit-event.js';
import { isSignedBy, type AuditKeys } from './audit-keys.js';
import type { ChainHead } from './chain-link.js';

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const keyId = z.string().regex(/^[0-9a-f]{16}$/);

export const checkpointSchema = z.strictObject({
  kind: z.literal('checkpoint'),
  /** Rows of the chain, purged ones included. */
  count: z.int().min(0),
  /** Hash of the last row. */
  head: hexDigest,
  at: z.iso.datetime(),
  keyId,
  signature: z.base64(),
});
/** How long the chain was at a time, and how it ended, under a signature. */
export type Checkpoint = z.infer<typeof checkpointSchema>;

export const tombstoneSchema = z.strictObject({
  kind: z.literal('tombstone'),
  firstPosition: z.int().min(1),
  lastPosition: z.int().min(1),
  /** Hash of the row before the first one. */
  previousHash: hexDigest,
  lastHash: hexDigest,
  oldestAt: z.string(),
  newestAt: z.string(),
  purgedAt: z.iso.datetime(),
  actor: z.string(),
  keyId,
  signature: z.base64(),
});
/** What stands in the place of rows that were kept as long as they had to be. */
export type Tombstone = z.infer<typeof tombstoneSchema>;

export const keyChangeSchema = z.strictObject({
  kind: z.literal('key'),
  keyId,
  publicKey: z.string(),
  addedAt: z.iso.datetime(),
  previousKeyId: keyId.nullable(),
  /** By the key itself, and by the key before: whoever trusts one of them may trust the other. */
  signature: z.base64(),
  previousSignature: z.base64().nullable(),
});
/** A signing key as it was added. */
export type KeyChange = z.infer<typeof keyChangeSchema>;

export function signedCheckpoint(keys: AuditKeys, head: ChainHead, now: Date): Checkpoint {
  const body = {
    kind: 'checkpoint' as const,
    count: head.position,
    head: head.hash.toString('hex'),
    at: now.toISOString(),
    keyId: keys.id,
  };
  return { ...body, signature: keys.sign(canonicalText(body)) ?? '' };
}

export function signedTombstone(keys: AuditKeys, stone: Omit<Tombstone, 'kind' | 'keyId' | 'signature'>): Tombstone {
  const body = { kind: 'tombstone' as const, ...stone, keyId: keys.id };
  return { ...body, signature: keys.sign(canonicalText(body)) ?? '' };
}

export function signedKeyChange(keys: AuditKeys, previousKeyId: string | null, now: Date): KeyChange {
  const body = {
    kind: 'key' as const,
    keyId: keys.id,
    publicKey: keys.publicKey,
    addedAt: now.toISOString(),
    previousKeyId,
  };
  const text = canonicalText(body);
  const previousSignature = previousKeyId === null ? undefined : keys.sign(text, previousKeyId);
  return { ...body, signature: keys.sign(text) ?? '', previousSignature: previousSignature ?? null };
}

/** @returns whether a checkpoint or tombstone bears the signature of this key */
export function isSigned(what: Checkpoint | Tombstone, publicKey: string): boolean {
  const { signature, ...body } = what;
  return isSignedBy(publicKey, canonicalText(body), signature);
}

/** @returns whether the new key is vouched for by the one before */
export function isEndorsed(change: KeyChange, previousPublicKey: string): boolean {
  const { signature, previousSignature, ...body } = change;
  const text = canonicalText(body);
  return (
    previousSignature !== null &&
    isSignedBy(change.publicKey, text, signature) &&
    isSignedBy(previousPublicKey, text, previousSignature)
  );
}
