import { sleep } from '@temporalio/workflow';
import { askCapacity, candidateCapacity } from './capacity.js';
import { drainVersion, finish } from './effects.js';
import type { RolloutRun } from './rollout-run.js';
import { giveAllTrafficTo } from './routing.js';

const capacityLookSeconds = 30;

/** Loads the candidate. Nothing is routed to it before it is warm, so a candidate that does not load does no harm. */
export async function prepareCandidate(run: RolloutRun): Promise<void> {
  const { spec, state } = run;
  const stable = await run.interruptible(() => askCapacity(run, spec.stableVersion, 0, capacityLookSeconds));
  if (stable === undefined || state.phase !== 'preparing') return;
  state.stableReplicas = Math.max(1, stable.desired);
  const candidate = await candidateCapacity(run, spec.replicas);
  if (candidate === undefined) return;
  if (candidate.isReady) {
    void run.enter('stepping', 'the candidate is loaded and warm');
    return;
  }
  const reason = `the candidate did not load: ${candidate.problem}`;
  state.ending = { outcome: 'failed', reason, actor: run.actor };
  void run.enter('draining', reason);
}

/** Capacity before traffic: the candidate gets as many replicas as stable had before it gets everything. */
export async function promote(run: RolloutRun): Promise<void> {
  const { spec, state } = run;
  const { reason } = state;
  const capacity = await candidateCapacity(run, Math.max(spec.replicas, state.stableReplicas));
  if (capacity === undefined) return;
  if (!capacity.isReady) {
    void run.enter('holding', `the candidate cannot carry all traffic yet: ${capacity.problem}`);
    return;
  }
  const problem = await giveAllTrafficTo(run, spec.candidateVersion, `promoted: ${reason}`);
  // An abort may have come while the route was being written; then the way back is next.
  if (state.phase !== 'promoting') return;
  if (problem !== undefined) {
    void run.enter('holding', problem);
    return;
  }
  state.ending = { outcome: 'promoted', reason, actor: run.actor };
  void run.enter('draining', reason);
}

/** Back to the stable version, once it can carry the traffic. */
export async function rollBack(run: RolloutRun): Promise<void> {
  const { spec, state } = run;
  const { reason } = state;
  if (state.fence > 0) {
    await awaitStableCapacity(run);
    const problem = await giveAllTrafficTo(run, spec.stableVersion, `rolled back: ${reason}`);
    if (problem !== undefined) state.ending = { outcome: 'failed', reason: `${problem}; ${reason}`, actor: run.actor };
  }
  state.ending ??= { outcome: 'rolled-back', reason, actor: run.actor };
  void run.enter('draining', state.ending.reason);
}

/** Takes the losing version's replicas away after its last answers are out, and closes the books. */
export async function drainAndFinish(run: RolloutRun): Promise<void> {
  const { spec, state } = run;
  const ending = state.ending ?? { outcome: 'failed', reason: 'it ended without an outcome', actor: run.actor };
  const loser = ending.outcome === 'promoted' ? spec.stableVersion : spec.candidateVersion;
  if (state.fence > 0 && spec.drainSeconds > 0) {
    await sleep(spec.drainSeconds * 1_000, { summary: `last answers of ${spec.model}/${loser}` });
  }
  // From the moment that the row says draining, no late activity brings replicas back up.
  await run.journal.flush();
  const drained = await drainVersion({ rolloutId: run.rolloutId, model: spec.model, version: loser });
  if (!drained.isDrained) void run.note('note', { kept: loser, usedBy: drained.usedBy ?? 'another route' });
  await run.journal.flush();
  await finish({ rolloutId: run.rolloutId, outcome: ending.outcome, reason: ending.reason, actor: ending.actor });
  run.move(ending.outcome, ending.reason);
}

// One ready replica is enough to go back when the full number does not come: the candidate is doing harm meanwhile.
async function awaitStableCapacity(run: RolloutRun): Promise<void> {
  const { spec, state } = run;
  for (let attempt = 1; ; attempt++) {
    const capacity = await askCapacity(run, spec.stableVersion, state.stableReplicas, capacityLookSeconds);
    if (capacity.isReady || capacity.ready > 0) return;
    if (attempt === 1)
      void run.note('note', { waitsFor: spec.stableVersion, problem: capacity.problem ?? 'not ready' });
    // A version that fails to start answers at once; do not ask it without a pause.
    await sleep('5 s', { summary: 'before asking for stable capacity again' });
  }
}
