import { minutes } from '#libs/kernel';
import { candidateCapacity } from './capacity.js';
import { isBlind, look } from './looking.js';
import type { RolloutRun } from './rollout-run.js';
import { shiftTraffic } from './routing.js';
import { isStepRouted, resetStepClock, startStepClock, stepElapsedSeconds, stopStepClock } from './state.js';
import { decideStep, lookSeconds, type StepDecision } from './step-decision.js';

/** At first people watch the numbers; later a look only has to be long enough to keep the history short. */
const firstLookSeconds = 10;
const firstLooksEndSeconds = minutes(10);
const laterLookSeconds = 60;
const watchSeconds = minutes(10);

/** One look of the present step, and what follows from it. */
export async function takeStep(run: RolloutRun): Promise<void> {
  const { spec, state } = run;
  if (!isStepRouted(state) && !(await routeStep(run))) return;
  startStepClock(state, Date.now());
  const step = spec.steps[state.stepIndex];
  if (step === undefined) throw new Error(`there is no step ${state.stepIndex}`);

  const isApproved = state.approvedStep >= state.stepIndex;
  const elapsedSeconds = stepElapsedSeconds(state, Date.now());
  const longestSeconds = elapsedSeconds < firstLooksEndSeconds ? firstLookSeconds : laterLookSeconds;
  const verdict = await look(run, {
    waitSeconds: lookSeconds(elapsedSeconds, step, spec.stepLimitSeconds, longestSeconds),
    until: elapsedSeconds < (step.minSeconds ?? 0) ? 'worse' : 'any-verdict',
  });
  if (verdict === undefined || state.phase !== 'stepping') return;
  const decision = decideStep({
    step,
    verdict,
    elapsedSeconds: stepElapsedSeconds(state, Date.now()),
    // An approval stands for numbers that were forgotten, not for numbers that cannot be read.
    isApproved: isApproved && !isBlind(verdict),
    spec,
  });
  act(run, decision);
}

/**
 * While the rollout waits for a person, paused or not, its candidate has traffic, so the guardrails go on watching. The
 * look comes back at once when the candidate turns out worse.
 */
export async function watchWhileWaiting(run: RolloutRun): Promise<void> {
  const { state } = run;
  const waitsIn = state.phase;
  const verdict = await look(run, { waitSeconds: watchSeconds, until: 'worse' });
  if (state.phase === waitsIn && verdict?.outcome === 'worse') act(run, { kind: 'roll-back', reason: verdict.reason });
}

async function routeStep(run: RolloutRun): Promise<boolean> {
  const { spec, state } = run;
  const weight = spec.steps[state.stepIndex]?.weight ?? 0;
  const capacity = await candidateCapacity(run, spec.replicas);
  if (capacity === undefined) return false;
  if (!capacity.isReady) {
    act(run, { kind: 'roll-back', reason: `the candidate lost its capacity: ${capacity.problem}` });
    return false;
  }
  resetStepClock(state);
  const problem = await shiftTraffic(run, weight, `step ${state.stepIndex + 1} of ${spec.steps.length}`);
  // The row may show a command by now: the loop looks at the phase again.
  if (state.phase !== 'stepping') return false;
  if (problem !== undefined) act(run, { kind: 'roll-back', reason: problem });
  return problem === undefined;
}

function act(run: RolloutRun, decision: StepDecision): void {
  const { spec, state } = run;
  if (decision.kind === 'stay') return;
  stopStepClock(state, Date.now());
  switch (decision.kind) {
    case 'advance':
      if (state.stepIndex + 1 >= spec.steps.length) void run.enter('promoting', decision.reason);
      else {
        state.stepIndex += 1;
        resetStepClock(state);
        void run.note('note', { passed: state.stepIndex, reason: decision.reason });
      }
      return;
    case 'ask-approval':
      void run.enter('awaiting-approval', `step ${state.stepIndex + 1} has passed: ${decision.reason}`);
      return;
    case 'hold':
      void run.enter('holding', decision.reason);
      return;
    case 'promote':
      void run.enter('promoting', decision.reason);
      return;
    case 'roll-back':
      state.ending = { outcome: 'rolled-back', reason: decision.reason, actor: run.actor };
      void run.enter('rolling-back', decision.reason);
      return;
  }
}
