import type { Verdict } from '#libs/decisions';
import type { RolloutSpec, RolloutStep } from './contract.js';

export type StepDecision =
  | { kind: 'stay' }
  | { kind: 'advance'; reason: string }
  | { kind: 'ask-approval'; reason: string }
  | { kind: 'hold'; reason: string }
  | { kind: 'promote'; reason: string }
  | { kind: 'roll-back'; reason: string };

export interface StepSituation {
  step: RolloutStep;
  verdict: Verdict;
  elapsedSeconds: number;
  isApproved: boolean;
  spec: Pick<RolloutSpec, 'stepLimitSeconds' | 'onUndecided'>;
}

/** What a step does with a verdict. Worse is acted on at once; passing takes the requests, the time and the approval. */
export function decideStep({ step, verdict, elapsedSeconds, isApproved, spec }: StepSituation): StepDecision {
  switch (verdict.outcome) {
    case 'worse':
      return { kind: 'roll-back', reason: verdict.reason };
    case 'not-worse':
      if (elapsedSeconds < (step.minSeconds ?? 0)) return { kind: 'stay' };
      if (step.approval === true && !isApproved) return { kind: 'ask-approval', reason: verdict.reason };
      return { kind: 'advance', reason: verdict.reason };
    case 'undecided':
      // Old counters are forgotten after a day; a person who approved the step has seen them.
      if (isApproved) return { kind: 'advance', reason: 'approved' };
      return elapsedSeconds < spec.stepLimitSeconds ? { kind: 'stay' } : endUndecided(spec, verdict.reason);
  }
}

function endUndecided({ onUndecided, stepLimitSeconds }: StepSituation['spec'], verdictReason: string): StepDecision {
  const reason = `undecided after ${stepLimitSeconds} s: ${verdictReason}`;
  switch (onUndecided) {
    case 'hold':
      return { kind: 'hold', reason };
    case 'promote':
      return { kind: 'promote', reason };
    case 'rollback':
      return { kind: 'roll-back', reason };
  }
}

/** How long the next look may last: not beyond the moment at which time alone changes the decision. */
export function lookSeconds(
  elapsedSeconds: number,
  step: RolloutStep,
  stepLimitSeconds: number,
  longest: number,
): number {
  const minSeconds = step.minSeconds ?? 0;
  const border = elapsedSeconds < minSeconds ? minSeconds : stepLimitSeconds;
  return Math.max(1, Math.min(longest, Math.ceil(border - elapsedSeconds)));
}
