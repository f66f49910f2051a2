import { usageGroups } from '#libs/access';
import { z } from 'zod';

const day = z.iso.date('must be a day as 2026-01-31');

export const usageQuerySchema = z
  .strictObject({
    from: day.optional().describe('first day (UTC); left out: the first of this month'),
    to: day.optional().describe('last day (UTC), included; left out: today'),
    groupBy: z
      .string()
      .default('day,project,key,model')
      .refine(
        (text) => text === '' || text.split(',').every((part) => (usageGroups as readonly string[]).includes(part)),
        `must be some of ${usageGroups.join(', ')}, separated by commas`,
      ),
    tenantId: z.uuid().optional(),
    projectId: z.uuid().optional(),
    keyId: z.uuid().optional(),
    endpoint: z.string().max(64).optional(),
    model: z.string().max(64).optional(),
    format: z.enum(['json', 'csv']).optional().describe('left out: by the Accept header'),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    path: ['to'],
    error: 'must not be before from',
  });
export type UsageQueryBody = z.infer<typeof usageQuerySchema>;

const count = z.int().min(0);

export const usageSchema = z.object({
  currency: z.string(),
  from: day,
  to: day,
  isComplete: z.boolean().describe('false: there are more groups than are shown; ask for fewer'),
  usage: z.array(
    z.object({
      day: day.optional(),
      tenantId: z.uuid().optional(),
      projectId: z.uuid().optional(),
      keyId: z.uuid().optional(),
      endpoint: z.string().optional(),
      model: z.string().optional(),
      version: z.string().optional(),
      requests: count,
      failures: count,
      tokensIn: count,
      tokensOut: count,
      replicaMs: count,
      rows: count,
      costMicros: count,
    }),
  ),
});
