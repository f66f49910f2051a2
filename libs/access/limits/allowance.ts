import { z } from 'zod';

/** What can be limited. `requests-per-second` fills a bucket of `burst`; days are calendar days of UTC. */
export const limitNames = [
  'requests-per-second',
  'requests-per-day',
  'tokens-per-minute',
  'tokens-per-day',
  'concurrent-requests',
  'concurrent-streams',
] as const;
export type LimitName = (typeof limitNames)[number];

/** Whose use is counted together. An endpoint counts what all its callers do. */
export const limitScopes = ['key', 'project', 'tenant', 'endpoint'] as const;
export type LimitScope = (typeof limitScopes)[number];

export const isLimitScope = (text: string): text is LimitScope => (limitScopes as readonly string[]).includes(text);

const mostPerSecond = 1_000_000;
const mostCount = 1_000_000_000_000;
const mostSlots = 1_000_000;

const rateSchema = z.strictObject({
  perSecond: z
    .number()
    .positive()
    .max(mostPerSecond)
    .describe('requests per second over time; 0.5 is one in two seconds'),
  burst: z.int().min(1).max(mostPerSecond).describe('requests that may come at once after a rest'),
});
const count = z.int().min(0).max(mostCount);
const slots = z.int().min(0).max(mostSlots);

/** The limits of one scope. What is left out says nothing; null lifts what would hold otherwise. */
export const allowanceSchema = z.strictObject({
  requestsPerSecond: rateSchema.nullable().optional(),
  requestsPerDay: count.nullable().optional(),
  tokensPerMinute: count.nullable().optional(),
  tokensPerDay: count.nullable().optional(),
  concurrentRequests: slots.nullable().optional(),
  concurrentStreams: slots.nullable().optional(),
});
export type Allowance = z.infer<typeof allowanceSchema>;

/** What a tier allows to each key, project and tenant that has it, and how fast a key may call the management routes. */
export const tierLimitsSchema = z.strictObject({
  key: allowanceSchema.default({}),
  project: allowanceSchema.default({}),
  tenant: allowanceSchema.default({}),
  management: rateSchema,
});
export type TierLimits = z.infer<typeof tierLimitsSchema>;

/** What is set for one subject counts instead of what its tier says, member by member. */
export const overridden = (tier: Allowance, override: Allowance | undefined): Allowance =>
  override === undefined ? tier : { ...tier, ...definedOf(override) };

function definedOf(allowance: Allowance): Allowance {
  return Object.fromEntries(Object.entries(allowance).filter(([, value]) => value !== undefined));
}
