import { z } from 'zod';
import { plainText } from '../http/plain-text.js';

const instant = z.iso.datetime({ offset: true });
const wholeNumber = (most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= 1 && value <= most, `must be from 1 to ${most}`);

export const auditQuerySchema = z.strictObject({
  actor: plainText(200).optional(),
  action: plainText(100).optional(),
  resource: plainText(300).optional(),
  outcome: z.enum(['done', 'refused', 'failed']).optional(),
  requestId: plainText(100).optional(),
  tenantId: plainText(100).optional(),
  from: instant.optional().describe('inclusive'),
  until: instant.optional().describe('exclusive'),
  limit: wholeNumber(1_000).optional().describe('1 to 1000, 100 when left out'),
  cursor: wholeNumber(Number.MAX_SAFE_INTEGER).optional().describe('`next` of the page before'),
});
export type AuditQuery = z.infer<typeof auditQuerySchema>;

export const verifyQuerySchema = z.strictObject({
  after: wholeNumber(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('verify only what came after the checkpoint at or before this position'),
});
export type VerifyQuery = z.infer<typeof verifyQuerySchema>;

const rowSchema = z.object({
  seq: z.int(),
  position: z.int().nullable().describe('place in the chain; null for the moment until it is linked'),
  id: z.uuid(),
  at: z.string().describe('UTC with microseconds'),
  actor: z.string(),
  onBehalfOf: z.string().nullable(),
  action: z.string(),
  resource: z.string(),
  purpose: z.string().nullable(),
  outcome: z.enum(['done', 'refused', 'failed']),
  requestId: z.string().nullable(),
  tenantId: z.string().nullable(),
  detail: z.looseObject({}),
});

export const auditListSchema = z.object({
  rows: z.array(rowSchema),
  next: z.string().nullable().describe('the cursor of the next page; null after the last one'),
});

export const verificationSchema = z.object({
  isClean: z.boolean(),
  findings: z.array(z.object({ kind: z.string(), position: z.int().nullable(), problem: z.string() })),
  isShortened: z.boolean().describe('more was found than is listed'),
  after: z.int().describe('position after which rows were looked at'),
  count: z.int().describe('rows of the chain, purged ones included'),
  rows: z.int().describe('rows whose content was compared'),
  checkpoints: z.int(),
  vouchedFor: z.int().describe('up to here a signed checkpoint agrees with the rows'),
  head: z.string(),
  verifiedAt: z.iso.datetime(),
});

export const auditKeySchema = z.object({
  keyId: z.string(),
  publicKey: z.string().describe('Ed25519, SPKI, PEM'),
  changes: z.array(z.looseObject({})).describe('how each key was added, signed by itself and by the one before'),
});

export const newHoldSchema = z
  .strictObject({
    reason: plainText(500),
    actor: plainText(200).optional(),
    resource: plainText(300).optional(),
    tenantId: plainText(100).optional(),
    from: instant.optional(),
    until: instant.optional(),
  })
  .refine(({ from, until }) => from === undefined || until === undefined || Date.parse(from) < Date.parse(until), {
    path: ['until'],
    message: 'must come after from',
  });
export type NewHoldBody = z.infer<typeof newHoldSchema>;

export const holdSchema = z.object({
  id: z.uuid(),
  reason: z.string(),
  actor: z.string().nullable(),
  resource: z.string().nullable(),
  tenantId: z.string().nullable(),
  from: z.iso.datetime().nullable(),
  until: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  releasedAt: z.iso.datetime().nullable(),
  releasedBy: z.string().nullable(),
});
export const holdListSchema = z.object({ holds: z.array(holdSchema) });
