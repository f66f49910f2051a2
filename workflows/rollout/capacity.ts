import { secondsToMs } from '#libs/kernel';
import type { CapacityAnswer } from './contract.js';
import { prepareVersion } from './effects.js';
import { look } from './looking.js';
import type { RolloutRun } from './rollout-run.js';

/** A candidate with traffic is not left unwatched for longer than this. */
const unwatchedSeconds = 5;

export function askCapacity(
  run: RolloutRun,
  version: string,
  replicas: number,
  limitSeconds: number,
): Promise<CapacityAnswer> {
  return prepareVersion({ rolloutId: run.rolloutId, model: run.spec.model, version, replicas, limitSeconds });
}

/**
 * Waits for so many ready replicas of the candidate. Once it has traffic its guardrails are watched meanwhile: when its
 * replicas have died, what it gets is failing all the time.
 * @returns the reason when it has not got them; undefined when a command cut the wait short
 */
export async function candidateCapacity(
  run: RolloutRun,
  replicas: number,
): Promise<{ isReady: true } | { isReady: false; problem: string } | undefined> {
  const { spec, state } = run;
  const waitsIn = state.phase;
  const deadlineMs = Date.now() + secondsToMs(spec.loadLimitSeconds);
  for (;;) {
    const leftSeconds = Math.max(1, Math.ceil((deadlineMs - Date.now()) / 1_000));
    const limitSeconds = state.weight > 0 ? Math.min(leftSeconds, unwatchedSeconds) : leftSeconds;
    const answer = await run.interruptible(() => askCapacity(run, spec.candidateVersion, replicas, limitSeconds));
    if (answer === undefined || state.phase !== waitsIn) return undefined;
    if (answer.isReady) return { isReady: true };
    const problem = answer.problem ?? 'not ready';
    if (answer.isFailing === true || state.weight === 0 || Date.now() >= deadlineMs) return { isReady: false, problem };
    const verdict = await look(run, { waitSeconds: 1, until: 'worse' });
    if (state.phase !== waitsIn) return undefined;
    if (verdict?.outcome === 'worse') return { isReady: false, problem: verdict.reason };
  }
}
