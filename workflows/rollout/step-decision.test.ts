import type { Verdict, VerdictOutcome } from '#libs/decisions';
import { describe, expect, it } from 'vitest';
import type { OnUndecided, RolloutStep } from './contract.js';
import { decideStep, lookSeconds, type StepDecision } from './step-decision.js';

interface Case {
  outcome: VerdictOutcome;
  elapsedSeconds: number;
  step?: Partial<RolloutStep>;
  isApproved?: boolean;
  onUndecided?: OnUndecided;
}

function decide({ outcome, elapsedSeconds, step, isApproved, onUndecided }: Case): StepDecision['kind'] {
  const verdict: Verdict = { outcome, reason: 'numbers', guardrails: [] };
  return decideStep({
    verdict,
    elapsedSeconds,
    step: { weight: 5, minRequests: 200, ...step },
    isApproved: isApproved ?? false,
    spec: { stepLimitSeconds: 600, onUndecided: onUndecided ?? 'hold' },
  }).kind;
}

describe('a step', () => {
  it('rolls back at once when the candidate is worse, whatever else is asked of the step', () => {
    const step = { minSeconds: 300, approval: true };
    expect(decide({ outcome: 'worse', elapsedSeconds: 0, step })).toBe('roll-back');
    expect(decide({ outcome: 'worse', elapsedSeconds: 9_999, step, isApproved: true, onUndecided: 'promote' })).toBe(
      'roll-back',
    );
  });

  it('advances only after its least duration', () => {
    expect(decide({ outcome: 'not-worse', elapsedSeconds: 299, step: { minSeconds: 300 } })).toBe('stay');
    expect(decide({ outcome: 'not-worse', elapsedSeconds: 300, step: { minSeconds: 300 } })).toBe('advance');
  });

  it('asks for its approval once it has passed, and goes on with it', () => {
    expect(decide({ outcome: 'not-worse', elapsedSeconds: 1, step: { approval: true } })).toBe('ask-approval');
    expect(decide({ outcome: 'not-worse', elapsedSeconds: 1, step: { approval: true }, isApproved: true })).toBe(
      'advance',
    );
    expect(decide({ outcome: 'undecided', elapsedSeconds: 1, step: { approval: true }, isApproved: true })).toBe(
      'advance',
    );
  });

  it('stays while it is undecided, until its limit', () => {
    expect(decide({ outcome: 'undecided', elapsedSeconds: 599 })).toBe('stay');
    expect(decide({ outcome: 'undecided', elapsedSeconds: 600 })).toBe('hold');
    expect(decide({ outcome: 'undecided', elapsedSeconds: 600, onUndecided: 'promote' })).toBe('promote');
    expect(decide({ outcome: 'undecided', elapsedSeconds: 600, onUndecided: 'rollback' })).toBe('roll-back');
  });

  it('is looked at again when time alone changes the decision', () => {
    expect(lookSeconds(0, { weight: 5, minRequests: 1 }, 600, 10)).toBe(10);
    expect(lookSeconds(595, { weight: 5, minRequests: 1 }, 600, 10)).toBe(5);
    expect(lookSeconds(4, { weight: 5, minRequests: 1, minSeconds: 7 }, 600, 10)).toBe(3);
    expect(lookSeconds(900, { weight: 5, minRequests: 1 }, 600, 10)).toBe(1);
  });
});
