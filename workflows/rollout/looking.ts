import { judgeCanary, type Verdict } from '#libs/decisions';
import { isCancellation, log, sleep } from '@temporalio/workflow';
import type { SenseAsk } from './contract.js';
import { sense } from './effects.js';
import type { RolloutRun } from './rollout-run.js';

const retryLookSeconds = 5;

/** Numbers of an earlier look say nothing about now, so a look that failed is no verdict. */
const blind: Verdict = { outcome: 'undecided', reason: 'the counters could not be read', guardrails: [] };

export const isBlind = (verdict: Verdict): boolean => verdict.guardrails.length === 0;

/** @returns undefined when a command cut the look short */
export async function look(
  run: RolloutRun,
  how: Pick<SenseAsk, 'waitSeconds' | 'until'>,
): Promise<Verdict | undefined> {
  const { state } = run;
  const beganMs = Date.now();
  const verdict = await read(run, how);
  if (verdict === undefined) return undefined;
  const isNews = verdict.outcome !== state.verdict?.outcome;
  state.verdict = verdict;
  if (isNews) void run.note('verdict', { outcome: verdict.outcome, reason: verdict.reason });
  else run.show();
  const isAnswer = verdict.outcome === 'worse' || (how.until === 'any-verdict' && verdict.outcome === 'not-worse');
  if (!isAnswer) await sleepRest(run, beganMs, how.waitSeconds);
  return verdict;
}

async function read(run: RolloutRun, how: Pick<SenseAsk, 'waitSeconds' | 'until'>): Promise<Verdict | undefined> {
  const { spec, state } = run;
  const minRequests = spec.steps[state.stepIndex]?.minRequests ?? 1;
  const ask: SenseAsk = {
    rolloutId: run.rolloutId,
    endpoint: spec.endpoint,
    revisions: state.segments.map((segment) => segment.revision),
    guardrails: spec.guardrails,
    minRequests,
    ...how,
  };
  try {
    const answer = await run.interruptible(() => sense(ask));
    if (answer === undefined) return undefined;
    state.evidence = answer.evidence;
    return judgeCanary(answer.evidence, { ...spec.guardrails, minRequests });
  } catch (failure) {
    if (isCancellation(failure)) throw failure;
    log.warn('the counters could not be read; the rollout stays where it is', { failure: String(failure) });
    await run.interruptible(() => sleep(retryLookSeconds * 1_000, { summary: 'before reading the counters again' }));
    return blind;
  }
}

// A look that comes back early without the answer it waited for would otherwise be repeated without a pause.
async function sleepRest(run: RolloutRun, beganMs: number, waitSeconds: number): Promise<void> {
  const restMs = waitSeconds * 1_000 - (Date.now() - beganMs);
  if (restMs > (waitSeconds * 1_000) / 2)
    await run.interruptible(() => sleep(restMs, { summary: 'until the next look' }));
}
