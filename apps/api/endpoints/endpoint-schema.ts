import { endpointPolicySchema } from '#libs/inference';
import { isName, isVersion } from '#libs/kernel';
import { z } from 'zod';
import { plainText } from '../http/plain-text.js';

const name = z.string().refine(isName, 'must be 1 to 64 lower-case letters, digits, - and _');
const version = z.string().refine(isVersion, 'must be letters, digits, dots, - and _');

export const newEndpointSchema = z.strictObject({
  name,
  model: name.optional().describe('by default the model of the same name'),
  version,
  policy: endpointPolicySchema.optional().describe('what it asks of versions from the start, of this one too'),
});
export type NewEndpointBody = z.infer<typeof newEndpointSchema>;

export const rollbackSchema = z
  .strictObject({
    revision: z
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .optional()
      .describe('by default the latest one that gave all traffic to another version'),
  })
  .optional();
export type RollbackBody = z.infer<typeof rollbackSchema>;

export const routeSchema = z.object({
  endpoint: z.string(),
  revision: z.int(),
  arms: z.array(z.object({ name: z.string(), version: z.string(), weight: z.number().describe('percent') })),
  reason: z.string(),
  madeBy: z.string(),
  rolloutId: z.uuid().nullable(),
  fence: z.int().nullable(),
  warnings: z.array(z.string()).describe("what the endpoint's policy did not like about it and let pass"),
  at: z.iso.datetime(),
});

export const endpointSchema = z.object({
  name: z.string(),
  model: z.string(),
  rolloutId: z.uuid().nullable().describe('the rollout that holds the endpoint, if one does'),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  route: routeSchema,
  readyReplicas: z.record(z.string(), z.int()).describe('by version of the live route'),
});

export const endpointListSchema = z.object({ endpoints: z.array(endpointSchema) });
export const policyBodySchema = endpointPolicySchema.extend({
  expectedRevision: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional()
    .describe('refuse when another revision of the policy is in force by now; 0: none'),
});
export type PolicyBody = z.infer<typeof policyBodySchema>;

export const overrideSchema = z.strictObject({
  version,
  reason: plainText(500).describe('why it may take traffic all the same; it stands in the audit trail'),
});
export type OverrideBody = z.infer<typeof overrideSchema>;

export const policySchema = z.object({
  endpoint: z.string(),
  revision: z.int().describe('0 while none was ever set'),
  policy: endpointPolicySchema,
  madeBy: z.string().nullable(),
  at: z.iso.datetime().nullable(),
  overrides: z.array(z.object({ version: z.string(), reason: z.string(), madeBy: z.string(), at: z.iso.datetime() })),
  warnings: z.array(z.string()).describe('what the live versions do not fulfil; they keep their traffic'),
});

export const routeListSchema = z.object({ routes: z.array(routeSchema) });
