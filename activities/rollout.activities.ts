import { judgeCanary, type CanaryEvidence, type EvidenceSegment, type Verdict } from '#libs/decisions';
import { isSluiceError, secondsToMs } from '#libs/kernel';
import type {
  CapacityAnswer,
  CapacityAsk,
  DrainAnswer,
  DrainAsk,
  FinishAsk,
  ProgressRecord,
  RouteAsk,
  SenseAnswer,
  SenseAsk,
} from '#workflows/rollout/contract';
import { activityInfo, cancellationSignal, sleep } from '@temporalio/activity';
import { mapped } from './mapped-failure.js';

/** What the activities need of the world. */
export interface RolloutPorts {
  capacity: {
    /**
     * Raises the wanted number of replicas to at least this; never lowers it. @returns the wanted number now
     * @throws SLU_ROUTE_STALE when the rollout is draining or over: what a late attempt brings up, nobody would take away
     */
    raise(ask: CapacityAsk): Promise<number>;
    /** Resolves when so many are ready. @throws SLU_REPLICA_FAILED when the version does not start */
    waitUntilReady(ask: { model: string; version: string; count: number; signal: AbortSignal }): Promise<void>;
    readyCount(model: string, version: string): Promise<number>;
    /** Takes the replicas away, unless a live route or another rollout uses the version. */
    drain(ask: DrainAsk): Promise<DrainAnswer>;
  };
  routes: { write(ask: RouteAsk): Promise<{ revision: number }> };
  evidence: { read(question: { endpoint: string; revisions: readonly number[] }): Promise<EvidenceSegment[]> };
  ledger: {
    record(progress: ProgressRecord): Promise<'written' | 'ended'>;
    showVerdict(rolloutId: string, verdict: Verdict): Promise<void>;
    finish(ask: FinishAsk): Promise<void>;
  };
}

export type RolloutActivities = ReturnType<typeof createRolloutActivities>;

const lookEveryMs = 250;
const showEveryMs = 5_000;

/** The rollout's effects. Each may run twice; none changes anything the second time. */
export function createRolloutActivities(ports: RolloutPorts) {
  return {
    prepareVersion: (ask: CapacityAsk): Promise<CapacityAnswer> => mapped(() => prepare(ports, ask)),
    writeRoute: (ask: RouteAsk): Promise<{ revision: number }> => mapped(() => ports.routes.write(ask)),
    sense: (ask: SenseAsk): Promise<SenseAnswer> => mapped(() => senseUntil(ports, ask)),
    recordProgress: (progress: ProgressRecord): Promise<'written' | 'ended'> =>
      mapped(() => ports.ledger.record(progress)),
    drainVersion: (ask: DrainAsk): Promise<DrainAnswer> => mapped(() => ports.capacity.drain(ask)),
    finish: (ask: FinishAsk): Promise<void> => mapped(() => ports.ledger.finish(ask)),
  };
}

async function prepare({ capacity }: RolloutPorts, ask: CapacityAsk): Promise<CapacityAnswer> {
  const { model, version, replicas } = ask;
  const desired = await capacity.raise(ask);
  // The limit counts from the first attempt, so that a restarted worker does not begin it anew.
  const leftMs = activityInfo().scheduledTimestampMs + secondsToMs(ask.limitSeconds) - Date.now();
  const timeUp = AbortSignal.timeout(Math.max(500, leftMs));
  const signal = AbortSignal.any([timeUp, cancellationSignal()]);
  try {
    await capacity.waitUntilReady({ model, version, count: replicas, signal });
    return { isReady: true, ready: await capacity.readyCount(model, version), desired };
  } catch (failure) {
    if (isSluiceError(failure) && failure.code === 'SLU_REPLICA_FAILED') {
      const ready = await capacity.readyCount(model, version);
      return { isReady: false, isFailing: true, ready, desired, problem: failure.message };
    }
    if (!timeUp.aborted) throw failure;
    const ready = await capacity.readyCount(model, version);
    const problem = `${ready} of ${replicas} replicas of ${model}/${version} were ready after ${ask.limitSeconds} s`;
    return { isReady: ready >= replicas, ready, desired, problem };
  }
}

async function senseUntil({ evidence, ledger }: RolloutPorts, ask: SenseAsk): Promise<SenseAnswer> {
  const settings = { ...ask.guardrails, minRequests: ask.minRequests };
  const deadline = Date.now() + secondsToMs(ask.waitSeconds);
  let shownMs = Date.now();
  for (;;) {
    const seen: CanaryEvidence = { segments: await evidence.read(ask) };
    const verdict = judgeCanary(seen, settings);
    const isDecided = verdict.outcome === 'worse' || (ask.until === 'any-verdict' && verdict.outcome === 'not-worse');
    const isOver = isDecided || Date.now() + lookEveryMs > deadline;
    if (isOver || Date.now() - shownMs >= showEveryMs) {
      await ledger.showVerdict(ask.rolloutId, verdict);
      shownMs = Date.now();
    }
    if (isOver) return { evidence: seen };
    await sleep(lookEveryMs);
  }
}
