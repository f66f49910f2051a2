import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import { writeRoute } from './effects.js';
import type { RolloutRun } from './rollout-run.js';

/**
 * Writes the next route: the candidate gets this share of the traffic. At 100 the candidate is the stable arm from now on,
 * at 0 the stable version has everything again.
 * @returns why the route can never be written, or undefined when it is
 */
export async function shiftTraffic(run: RolloutRun, weight: number, reason: string): Promise<string | undefined> {
  return write(run, weight, reason, [
    { name: 'stable', version: run.spec.stableVersion, weight: 100 - weight },
    { name: 'candidate', version: run.spec.candidateVersion, weight },
  ]);
}

export async function giveAllTrafficTo(run: RolloutRun, version: string, reason: string): Promise<string | undefined> {
  const weight = version === run.spec.candidateVersion ? 100 : 0;
  return write(run, weight, reason, [{ name: 'stable', version, weight: 100 }]);
}

async function write(
  run: RolloutRun,
  weight: number,
  reason: string,
  arms: readonly { name: string; version: string; weight: number }[],
): Promise<string | undefined> {
  const { state, spec } = run;
  state.fence += 1;
  const { fence } = state;
  try {
    const { revision } = await writeRoute({ rolloutId: run.rolloutId, fence, endpoint: spec.endpoint, arms, reason });
    state.weight = weight;
    if (arms.length > 1) state.segments.push({ revision, stepIndex: state.stepIndex, weight });
    void run.note('route', { revision, weight, fence, reason });
    return undefined;
  } catch (failure) {
    // The activity retries whatever may pass; what arrives here is a refusal.
    if (!(failure instanceof ActivityFailure)) throw failure;
    const cause = failure.cause instanceof ApplicationFailure ? failure.cause.message : failure.message;
    return `the route was refused: ${cause}`;
  }
}
