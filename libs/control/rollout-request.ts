import { defaultGuardrails } from '#libs/decisions';
import { hours, isName, isVersion, minutes, sluiceError } from '#libs/kernel';
import { z } from 'zod';

const defaultMinRequests = 200;
const mostSteps = 20;
const longestStepSeconds = hours(24 * 30);
const mostReplicas = 64;

const step = z.strictObject({
  weight: z.number().gt(0).max(100),
  minRequests: z.number().int().min(1).max(100_000_000).default(defaultMinRequests),
  minSeconds: z.number().min(0).max(longestStepSeconds).optional(),
  approval: z.boolean().optional(),
});

const guardrails = z.strictObject({
  alpha: z.number().gt(0).max(0.5).default(defaultGuardrails.alpha),
  errors: z.strictObject({ margin: z.number().min(0).max(1).default(defaultGuardrails.errors.margin) }).prefault({}),
  latency: z
    .strictObject({
      maxRatio: z.number().min(1).max(100).default(defaultGuardrails.latency.maxRatio),
      minExcessMs: z.number().min(0).max(600_000).default(defaultGuardrails.latency.minExcessMs),
    })
    .prefault({}),
});

const defaultSteps = [5, 25, 50].map((weight) => ({ weight, minRequests: defaultMinRequests }));

/** The body of `POST /api/rollouts`. Every setting but `endpoint` and `candidate` may be left out. */
export const rolloutRequestSchema = z
  .strictObject({
    endpoint: z.string().refine(isName, 'must be the name of an endpoint'),
    candidate: z.string().refine(isVersion, 'must be a model version'),
    strategy: z.literal('canary').default('canary'),
    steps: z.array(step).min(1).max(mostSteps).default(defaultSteps),
    /** As the candidate's manifest says when left out (`instances.count`), else one. */
    replicas: z.number().int().min(1).max(mostReplicas).optional(),
    guardrails: guardrails.prefault({}),
    stepLimitSeconds: z.number().min(1).max(longestStepSeconds).default(hours(6)),
    onUndecided: z.enum(['hold', 'promote', 'rollback']).default('hold'),
    loadLimitSeconds: z.number().min(1).max(hours(6)).default(minutes(5)),
    drainSeconds: z.number().min(0).max(hours(1)).default(5),
  })
  .superRefine(({ steps, stepLimitSeconds }, ctx) => {
    for (const [index, current] of steps.entries()) {
      const before = steps[index - 1];
      if (before !== undefined && current.weight <= before.weight) {
        ctx.addIssue({
          code: 'custom',
          path: ['steps', index, 'weight'],
          message: `must be above the ${before.weight} of the step before`,
        });
      }
      if ((current.minSeconds ?? 0) > stepLimitSeconds) {
        ctx.addIssue({
          code: 'custom',
          path: ['steps', index, 'minSeconds'],
          message: 'must not be above stepLimitSeconds',
        });
      }
    }
  });

export type RolloutRequest = z.infer<typeof rolloutRequestSchema>;

/** Parses a request and fills in the defaults. @throws SLU_ROLLOUT_INVALID naming the field */
export function validateRolloutRequest(body: unknown): RolloutRequest {
  const parsed = rolloutRequestSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw sluiceError('SLU_ROLLOUT_INVALID', {
    field: fieldName(issue?.path ?? []),
    problem: issue?.message ?? 'is not valid',
  });
}

function fieldName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'body';
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('');
}
