import { rolloutPhases, rolloutCommands } from '#workflows/rollout/contract';
import { z } from 'zod';

export const rolloutQuerySchema = z.strictObject({ endpoint: z.string().max(64).optional() });
export type RolloutQuery = z.infer<typeof rolloutQuerySchema>;

export const commandSchema = z.strictObject({ reason: z.string().min(1).max(500).optional() }).optional();
export type CommandBody = z.infer<typeof commandSchema>;

export const rolloutSchema = z.object({
  id: z.uuid(),
  endpoint: z.string(),
  model: z.string(),
  stableVersion: z.string(),
  candidateVersion: z.string(),
  strategy: z.string(),
  phase: z.enum(rolloutPhases),
  stepIndex: z.int(),
  weight: z.number().describe('percent of the traffic that the candidate has'),
  verdict: z.looseObject({}).nullable(),
  reason: z.string().nullable(),
  commands: z.array(z.enum(rolloutCommands)).describe('what would be accepted now'),
  spec: z.looseObject({}),
  startedBy: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
});

export const rolloutDetailSchema = rolloutSchema.extend({
  events: z.array(z.object({ at: z.iso.datetime(), kind: z.string(), actor: z.string(), detail: z.looseObject({}) })),
});

export const rolloutListSchema = z.object({ rollouts: z.array(rolloutSchema) });
