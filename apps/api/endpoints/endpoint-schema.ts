import { isName, isVersion } from '#libs/kernel';
import { z } from 'zod';

const name = z.string().refine(isName, 'must be 1 to 64 lower-case letters, digits, - and _');
const version = z.string().refine(isVersion, 'must be letters, digits, dots, - and _');

export const newEndpointSchema = z.strictObject({
  name,
  model: name.optional().describe('by default the model of the same name'),
  version,
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
export const routeListSchema = z.object({ routes: z.array(routeSchema) });
