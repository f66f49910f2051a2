import { isName } from '#libs/kernel';
import { z } from 'zod';
import { plainText } from '../http/plain-text.js';

const keyId = z.string().refine(isName, 'must be 1 to 64 lower-case letters, digits, - and _');

export const newSignatureSchema = z.discriminatedUnion('algorithm', [
  z.strictObject({
    algorithm: z.literal('ed25519'),
    keyId,
    value: z
      .string()
      .regex(/^[A-Za-z0-9+/]{86}==$/, 'must be the base64 of 64 bytes, on one line')
      .describe('over the 64 hex digits of contentDigest'),
  }),
  z.strictObject({
    algorithm: z.literal('sigstore'),
    bundle: z
      .looseObject({})
      .describe('as cosign sign-blob --bundle writes it, over the 64 hex digits of contentDigest'),
  }),
]);
export type NewSignatureBody = z.infer<typeof newSignatureSchema>;

export const signatureSchema = z.object({
  id: z.uuid(),
  algorithm: z.enum(['ed25519', 'sigstore']),
  keyId: z.string().nullable(),
  issuer: z.string().nullable(),
  subject: z.string().nullable(),
  state: z.enum(['valid', 'invalid', 'unknown-key', 'retired-key', 'revoked-key']),
  problem: z.string().nullable().describe('why it does not count'),
  addedAt: z.iso.datetime(),
  addedBy: z.string(),
});
export const signatureListSchema = z.object({ signatures: z.array(signatureSchema) });

export const newSigningKeySchema = z.strictObject({
  id: keyId,
  publicKeyPem: plainText(2_000).describe('an Ed25519 public key in PEM, BEGIN PUBLIC KEY'),
});
export type NewSigningKeyBody = z.infer<typeof newSigningKeySchema>;

export const revocationSchema = z.strictObject({
  reason: plainText(500),
  compromisedSince: z.iso
    .datetime({ offset: true })
    .refine((text) => Date.parse(text) <= Date.now(), 'must not lie in the future')
    .optional()
    .describe('signatures that came before stay good; without it none does'),
});
export type RevocationBody = z.infer<typeof revocationSchema>;

export const signingKeySchema = z.object({
  id: z.string(),
  publicKeyPem: z.string(),
  state: z.enum(['active', 'retired', 'revoked']),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  retiredAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
  compromisedSince: z.iso.datetime().nullable(),
  revocationReason: z.string().nullable(),
});
export const signingKeyListSchema = z.object({ keys: z.array(signingKeySchema) });
