import { isName } from '#libs/kernel';
import { z } from 'zod';
import { nextCursorSchema } from '../http/page-query.js';

const nameSchema = z
  .string()
  .refine(isName, 'must be 1 to 64 lower-case letters, digits, - and _')
  .refine((text) => !z.uuid().safeParse(text).success, 'must not look like an id');
const tierSchema = z.string().refine(isName, 'must be the name of a tier');
const fullNameSchema = z.string().trim().min(1).max(200);
const stateSchema = z.enum(['active', 'suspended']);
const tenantIdSchema = z.uuid().optional().describe('the id of its tenant; left out: that of the caller');

const entryShape = {
  id: z.uuid(),
  name: z.string(),
  state: stateSchema,
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
};

const refuseNothing = (change: object): boolean => Object.values(change).some((value) => value !== undefined);
const nothing = { error: 'change something, or leave the call out' };

export const newTenantSchema = z.strictObject({ name: nameSchema, tier: tierSchema.default('standard') });
export const tenantChangeSchema = z
  .strictObject({ name: nameSchema.optional(), tier: tierSchema.optional(), state: stateSchema.optional() })
  .refine(refuseNothing, nothing);
export const tenantSchema = z.object({ ...entryShape, tier: z.string() });
export const tenantListSchema = z.object({ tenants: z.array(tenantSchema), nextCursor: nextCursorSchema });

export const newProjectSchema = z.strictObject({ name: nameSchema, tenantId: tenantIdSchema });
export const projectChangeSchema = z
  .strictObject({ name: nameSchema.optional(), state: stateSchema.optional() })
  .refine(refuseNothing, nothing);
export const projectSchema = z.object({ ...entryShape, tenantId: z.uuid() });
export const projectListSchema = z.object({ projects: z.array(projectSchema), nextCursor: nextCursorSchema });

export const newPersonSchema = z
  .strictObject({
    name: fullNameSchema,
    tenantId: tenantIdSchema,
    issuer: z
      .url({ protocol: /^https?$/ })
      .max(500)
      .optional(),
    subject: z.string().min(1).max(255).optional().describe('who it is at the issuer: the claim sub'),
  })
  .refine(({ issuer, subject }) => (issuer === undefined) === (subject === undefined), {
    path: ['subject'],
    error: 'issuer and subject belong together: give both or neither',
  });
export const personChangeSchema = z
  .strictObject({ name: fullNameSchema.optional(), state: stateSchema.optional() })
  .refine(refuseNothing, nothing);
export const personSchema = z.object({
  ...entryShape,
  tenantId: z.uuid(),
  issuer: z.string().nullable(),
  subject: z.string().nullable(),
});
export const personListSchema = z.object({ people: z.array(personSchema), nextCursor: nextCursorSchema });

export const newServiceAccountSchema = z.strictObject({
  name: nameSchema,
  projectId: z.uuid().optional().describe('the id of its project; left out: that of the caller'),
});
export const serviceAccountSchema = z.object({ ...entryShape, tenantId: z.uuid(), projectId: z.uuid() });
export const serviceAccountListSchema = z.object({
  serviceAccounts: z.array(serviceAccountSchema),
  nextCursor: nextCursorSchema,
});
