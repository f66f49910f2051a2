import { erasureGrounds } from '#libs/control';
import { z } from 'zod';

export const subjectName = z
  .string()
  .min(1)
  .max(512)
  .describe("the caller's own name for the person, as requests carried it");
/** Whose person: names are apart by tenant. */
export const tenantId = z.uuid().optional().describe("left out: the caller's own tenant");

export const subjectQuestionSchema = z.strictObject({ subject: subjectName, tenantId });
export type SubjectQuestionBody = z.infer<typeof subjectQuestionSchema>;

export const newErasureSchema = z.strictObject({
  subject: subjectName,
  tenantId,
  ground: z.enum(erasureGrounds).describe('GDPR Art. 17(1), (a) to (f)'),
});
export type NewErasure = z.infer<typeof newErasureSchema>;

export const erasureQuerySchema = z.strictObject({ subject: subjectName.optional(), tenantId });
export type ErasureQuery = z.infer<typeof erasureQuerySchema>;

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
export const accessQuerySchema = z.strictObject({
  subject: subjectName,
  tenantId,
  since: moment.optional(),
  until: moment.optional(),
});
export type AccessQuery = z.infer<typeof accessQuerySchema>;

const pseudonym = z.uuid().describe('the pseudonym of the person');

export const certificateSchema = z.object({
  statement: z.string().describe('JSON, byte by byte as it was signed'),
  signature: z.string().describe('Ed25519, base64'),
  keyId: z.string(),
});

export const erasureSchema = z.object({
  id: z.uuid(),
  subject: pseudonym,
  ground: z.string(),
  state: z.enum(['running', 'erased']),
  requestedAt: z.iso.datetime(),
  requestedBy: z.string(),
  finishedAt: z.iso.datetime().nullable(),
  stores: z.array(z.object({ store: z.string(), erased: z.int(), finishedAt: z.string().nullable() })),
  certificate: certificateSchema.nullable(),
});
export const erasureListSchema = z.object({ erasures: z.array(erasureSchema) });

export const certificateKeySchema = z.object({ keyId: z.string(), publicKeyPem: z.string() });

const accessSchema = z.object({
  at: z.iso.datetime(),
  actor: z.string(),
  actorName: z.string().nullable(),
  action: z.string(),
  resource: z.string(),
  outcome: z.string(),
  requestId: z.string().nullable(),
  purpose: z.string().nullable(),
  reason: z.string().nullable(),
});

export const accessReportSchema = z.object({
  subject: pseudonym,
  madeAt: z.iso.datetime(),
  accesses: z.array(accessSchema),
  isCut: z.boolean().describe('there are more: narrow the time'),
});

const processing = {
  store: z.string(),
  holds: z.string(),
  purpose: z.string(),
  legalBasis: z.string(),
  retentionDays: z.number().nullable(),
};

export const subjectExportSchema = z.object({
  subject: pseudonym,
  madeAt: z.iso.datetime(),
  stores: z.array(z.object({ ...processing, isCut: z.boolean(), items: z.array(z.looseObject({})) })),
  accesses: z.array(accessSchema),
});

export const processingRecordsSchema = z.object({
  generatedAt: z.iso.datetime(),
  stores: z.array(z.object({ ...processing, protection: z.string() })),
  endpoints: z.array(
    z.object({
      endpoint: z.string(),
      model: z.string(),
      versions: z.array(
        z.object({ version: z.string(), arm: z.string(), weight: z.number(), trainedOn: z.looseObject({}).nullable() }),
      ),
      payloadLog: z.object({ reason: z.string(), endsAt: z.string() }).nullable(),
    }),
  ),
  recipients: z.array(z.object({ endpoint: z.string(), model: z.string(), version: z.string(), host: z.string() })),
  operatorsPart: z.array(z.string()),
});
