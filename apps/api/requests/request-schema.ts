import { z } from 'zod';
import { nextCursorSchema, pageQueryShape } from '../http/page-query.js';

const count = z.int().min(0);
const nullableMs = z.number().nullable();

export const requestSchema = z.object({
  requestId: z.uuid(),
  at: z.string().describe('when it arrived, UTC with microseconds'),
  keyId: z.uuid().nullable(),
  tenantId: z.uuid().nullable(),
  projectId: z.uuid().nullable(),
  subject: z.uuid().nullable().describe('the pseudonym of whom it is about, where the caller named somebody'),
  endpoint: z.string(),
  model: z.string(),
  version: z.string(),
  arm: z.string(),
  revision: z.int().describe('of the route'),
  status: z.int(),
  errorCode: z.string().nullable(),
  outcome: z.string().nullable(),
  rows: count,
  bytesIn: count,
  bytesOut: count,
  queueMs: z.number().describe('waited for a replica'),
  modelMs: z.number().describe('in the model'),
  totalMs: z.number().describe('from its arrival to its answer'),
  isStreamed: z.boolean().nullable(),
  promptTokens: count.nullable(),
  completionTokens: count.nullable(),
  firstTokenMs: nullableMs.describe('from its arrival to the first token'),
  traceId: z.string().nullable(),
});

export const requestPageSchema = z.object({
  requests: z.array(requestSchema),
  nextCursor: nextCursorSchema,
});

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

export const requestQuerySchema = z.strictObject({
  endpoint: z.string().max(64).optional(),
  version: z.string().max(64).optional(),
  arm: z.string().max(64).optional(),
  keyId: z.uuid().optional(),
  subject: z.string().min(1).max(512).optional().describe("the caller's own name for the person"),
  outcome: z.enum(['ok', 'cached', 'caller', 'overload', 'model']).optional(),
  status: z.coerce.number().int().min(100).max(599).optional(),
  errorCode: z
    .string()
    .regex(/^SLU_[A-Z_]{1,60}$/, 'must be a code of ours: SLU_...')
    .optional(),
  since: moment.optional().describe('left out: a day before until'),
  until: moment.optional().describe('left out: now'),
  ...pageQueryShape,
});
export type RequestQuery = z.infer<typeof requestQuerySchema>;
