import { longestWindowSeconds } from '#libs/audit';
import { z } from 'zod';

const reason = z.string().trim().min(10, 'must say why, in ten characters or more').max(500);

export const newPayloadLogSchema = z.strictObject({
  seconds: z.int().min(60).max(longestWindowSeconds).describe('how long, a day at most'),
  reason: reason.describe('stands in the audit trail and in the records of processing'),
});
export type NewPayloadLog = z.infer<typeof newPayloadLogSchema>;

export const payloadLogSchema = z.object({
  id: z.uuid(),
  endpoint: z.string(),
  reason: z.string(),
  openedAt: z.iso.datetime(),
  openedBy: z.string(),
  endsAt: z.iso.datetime(),
  dropped: z.int().describe('payloads that were not logged, as there were too many or they could not be written'),
});

export const payloadEntrySchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime(),
  requestId: z.uuid(),
  endpoint: z.string(),
  version: z.string(),
  subject: z.uuid().nullable().describe('the pseudonym of whom it is about'),
  redactions: z.record(z.string(), z.int()).describe('how often what was taken out'),
});

export const payloadListSchema = z.object({
  open: payloadLogSchema.nullable().describe('the log that runs now'),
  payloads: z.array(payloadEntrySchema).describe('the newest, without what is in them'),
});

export const payloadReadingSchema = z.strictObject({
  purpose: z.enum(['debugging', 'incident', 'safety-review', 'audit', 'legal']),
  reason,
});
export type PayloadReadingBody = z.infer<typeof payloadReadingSchema>;

export const readPayloadSchema = payloadEntrySchema.extend({
  content: z.looseObject({}).describe('what was asked and answered, after redaction'),
});
