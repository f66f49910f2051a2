import { budgetPeriods, budgetUnits, mostLimitUnits, subjectKinds } from '#libs/access';
import { z } from 'zod';

const name = z.string().trim().min(1).max(100).describe('what people know it by; refusals name it');
const limit = z
  .int('must be a whole number')
  .min(0)
  .max(mostLimitUnits)
  .describe('in micro-units (millionths) of the currency, or in tokens');
const thresholds = z
  .array(z.int().min(1).max(1_000))
  .max(10)
  .describe('whole per cent of the limit; each is said once in a period, by an audit row and the webhook');
const isHard = z.boolean().describe('hard: what does not fit is refused; soft: it only warns');

export const newBudgetSchema = z.strictObject({
  name,
  subject: z.strictObject({ kind: z.enum(subjectKinds), id: z.uuid() }).describe('whose spending it bounds'),
  unit: z.enum(budgetUnits),
  limit,
  period: z.enum(budgetPeriods).describe('a week begins on Monday; total never starts anew'),
  timeZone: z.string().min(1).max(64).default('UTC').describe('IANA name; a period begins at midnight there'),
  isHard,
  thresholds: thresholds.default([80, 100]),
  webhookUrl: z
    .url({ protocol: /^https?$/, error: 'must be an http or https address' })
    .max(2_000)
    .optional()
    .describe('where warnings are sent, signed as Standard Webhooks have it'),
});
export type NewBudgetBody = z.infer<typeof newBudgetSchema>;

export const budgetChangeSchema = z
  .strictObject({
    name: name.optional(),
    limit: limit.optional(),
    isHard: isHard.optional(),
    thresholds: thresholds.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'must change something: name, limit, isHard or thresholds');
export type BudgetChangeBody = z.infer<typeof budgetChangeSchema>;

const count = z.int().min(0);

export const budgetSchema = z.object({
  id: z.uuid(),
  name: z.string(),
  tenantId: z.uuid(),
  subject: z.object({ kind: z.enum(subjectKinds), id: z.uuid() }),
  unit: z.enum(budgetUnits),
  limit: count,
  period: z.enum(budgetPeriods),
  timeZone: z.string(),
  isHard: z.boolean(),
  thresholds: z.array(z.int()),
  webhookUrl: z.string().nullable(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  endedAt: z.iso.datetime().nullable(),
  state: z
    .object({
      periodStartsAt: z.iso.datetime().nullable(),
      periodEndsAt: z.iso.datetime().nullable(),
      spent: count,
      held: count.describe('by API processes, for requests under way and those that come next'),
      left: count,
      writtenOff: count.describe('of spent: what processes held that were lost'),
      overrun: count.describe('what model servers used beyond the worst case when nothing was left'),
    })
    .describe('how the current period stands'),
});

export const shownBudgetSchema = budgetSchema.extend({
  webhookSecret: z.string().optional().describe('signs the webhook; shown this once'),
});
export const budgetListSchema = z.object({ currency: z.string(), budgets: z.array(budgetSchema) });
