import { allowanceSchema, limitScopes, tierLimitsSchema, type Allowance, type TierLimits } from '#libs/access';
import { namePattern, sluiceError } from '#libs/kernel';
import { z } from 'zod';

const expectedRevision = z.int().min(0).optional().describe('refuses the change when there is another revision by now');

const revised = {
  revision: z.int().positive(),
  changedAt: z.iso.datetime(),
  changedBy: z.string(),
};

export const tierBodySchema = tierLimitsSchema.extend({ expectedRevision });
export type TierBody = TierLimits & { expectedRevision?: number | undefined };
export const tierSchema = z.object({ name: z.string(), limits: tierLimitsSchema, ...revised });
export const tierListSchema = z.object({ tiers: z.array(tierSchema) });

export const overrideBodySchema = allowanceSchema.extend({ expectedRevision });
export type OverrideBody = Allowance & { expectedRevision?: number | undefined };
export const limitScopeSchema = z.enum(limitScopes);
export const overrideSchema = z.object({
  scope: limitScopeSchema,
  subject: z.string().describe('the id of the key, project or tenant, or the name of the endpoint'),
  limits: allowanceSchema,
  ...revised,
});
export const overrideListSchema = z.object({ limits: z.array(overrideSchema) });
export const overrideQuerySchema = z.strictObject({
  scope: limitScopeSchema.optional(),
  after: z.string().max(200).optional().describe('the last subject of the page before'),
});
export type OverrideQuery = z.infer<typeof overrideQuerySchema>;

/** A name as endpoints have them. @throws SLU_REQUEST_INVALID */
export function tierName(text: string): string {
  if (namePattern.test(text)) return text;
  throw sluiceError('SLU_REQUEST_INVALID', {
    field: 'name',
    problem: 'must be small letters, digits, dashes and underscores, 64 at most',
  });
}
