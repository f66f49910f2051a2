import { z } from 'zod';
import type { Manifest } from '../models/manifest.js';

type Evaluation = NonNullable<Manifest['evaluation']>;

const metricName = z.string().min(1).max(128);
const bound = z.number().min(-1e300).max(1e300);

const gateObject = z
  .strictObject({
    metric: metricName.describe('a name below evaluation.metrics in the manifest'),
    min: bound.optional(),
    max: bound.optional(),
    maxRegression: z
      .number()
      .min(0)
      .max(1e300)
      .optional()
      .describe("how much worse than the live version's value it may be, in the metric's own unit"),
    better: z.enum(['higher', 'lower']).default('higher').describe('which way the metric gets better'),
    dataset: z.string().min(1).max(256).optional().describe('the evaluation must be on this dataset'),
    split: z.string().min(1).max(256).optional().describe('and on this split'),
    minRows: z.int().min(1).optional().describe('and on at least so many rows'),
  })
  .refine(({ min, max, maxRegression }) => min !== undefined || max !== undefined || maxRegression !== undefined, {
    message: 'needs min, max or maxRegression',
  })
  .refine(({ min, max }) => min === undefined || max === undefined || min <= max, { message: 'min is above max' });

const shortForm =
  /^\s{0,8}([^\s<>=]{1,128})\s{0,8}(>=|<=)\s{0,8}([-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?)\s{0,8}$/;

/** `"f1 >= 0.80"` says the same as `{"metric": "f1", "min": 0.8}`. */
const gateText = z
  .string()
  .max(256)
  .regex(shortForm, 'must be like "f1 >= 0.80" or "loss <= 0.1"')
  .transform((text, ctx) => {
    const [, metric = '', sign, number = ''] = shortForm.exec(text) ?? [];
    const value = Number(number);
    if (!Number.isFinite(value)) {
      ctx.addIssue({ code: 'custom', message: 'is no number that can be kept' });
      return z.NEVER;
    }
    return {
      metric,
      better: sign === '>=' ? ('higher' as const) : ('lower' as const),
      ...(sign === '>=' ? { min: value } : { max: value }),
    };
  });

/** One threshold on what the manifest says about the version's evaluation. */
export const evaluationGateSchema = z.union([gateText, gateObject]);
export type EvaluationGate = z.infer<typeof gateObject>;

export interface GateMiss {
  metric: string;
  wanted: string;
  got: string;
}

/** A version with what its manifest says of its evaluation. */
export interface Evaluated {
  version: string;
  evaluation: Evaluation | undefined;
}

/** What is lost by rounding when two decimal numbers are subtracted. */
const rounding = 1e-12;

/**
 * Holds a version against one threshold. Fails closed: what cannot be compared is a miss.
 * @param live the version that it is to take traffic from; undefined when there is none
 * @returns undefined when it passes
 */
export function gateMiss(
  gate: EvaluationGate,
  candidate: Evaluated,
  live: Evaluated | undefined,
): GateMiss | undefined {
  const { metric, min, max, maxRegression, dataset, split, minRows } = gate;
  const miss = (wanted: string, got: string): GateMiss => ({ metric, wanted, got });
  const { evaluation } = candidate;
  if (evaluation === undefined) return miss(`an evaluation with ${metric}`, 'none in its manifest');
  if (dataset !== undefined && evaluation.dataset !== dataset)
    return miss(`dataset ${dataset}`, `dataset ${evaluation.dataset}`);
  if (split !== undefined && evaluation.split !== split)
    return miss(`split ${split}`, `split ${evaluation.split ?? 'not stated'}`);
  if (minRows !== undefined && !(evaluation.rows !== undefined && evaluation.rows >= minRows))
    return miss(`at least ${minRows} rows`, `${evaluation.rows ?? 'rows not stated'}`);
  const value = metricOf(evaluation, metric);
  if (value === undefined) return miss(metric, 'no such metric');
  if (min !== undefined && !(value >= min)) return miss(`${metric} >= ${min}`, String(value));
  if (max !== undefined && !(value <= max)) return miss(`${metric} <= ${max}`, String(value));
  if (maxRegression === undefined || live === undefined) return undefined;
  return regressionMiss(gate, { evaluation, value }, live);
}

function regressionMiss(
  { metric, maxRegression = 0, better }: EvaluationGate,
  { evaluation, value }: { evaluation: Evaluation; value: number },
  live: Evaluated,
): GateMiss | undefined {
  const wanted = `${metric} at most ${maxRegression} worse than that of the live version ${live.version}`;
  const before = live.evaluation;
  const liveValue = before === undefined ? undefined : metricOf(before, metric);
  if (before === undefined || liveValue === undefined)
    return { metric, wanted, got: `version ${live.version} states no ${metric}` };
  if (before.dataset !== evaluation.dataset || before.split !== evaluation.split) {
    const place = ({ dataset, split }: Evaluation): string => (split === undefined ? dataset : `${dataset}/${split}`);
    return { metric, wanted, got: `${place(evaluation)} cannot be compared with ${place(before)}` };
  }
  const loss = better === 'higher' ? liveValue - value : value - liveValue;
  if (loss <= maxRegression + rounding) return undefined;
  return { metric, wanted: `${wanted} (${liveValue})`, got: String(value) };
}

const metricOf = ({ metrics }: Evaluation, metric: string): number | undefined =>
  Object.hasOwn(metrics, metric) ? metrics[metric] : undefined;
