import type { CanaryEvidence, Verdict } from '#libs/decisions';
import type { RolloutOutcome, RolloutPhase } from './phases.js';

/** One split of the traffic that this rollout made. */
export interface RoutedSegment {
  revision: number;
  stepIndex: number;
  weight: number;
}

export interface Ending {
  outcome: RolloutOutcome;
  reason: string;
  actor: string;
}

/** All that a rollout knows; plain data, because it is carried from run to run. */
export interface RolloutState {
  phase: RolloutPhase;
  stepIndex: number;
  /** Percent of the traffic that the candidate has now. */
  weight: number;
  reason: string;
  verdict?: Verdict | undefined;
  evidence: CanaryEvidence;
  segments: RoutedSegment[];
  /** Number of the last route write that was begun. */
  fence: number;
  /** Number of the last timeline line. */
  sequence: number;
  /** What the present step has run without the time since `stepResumedAtMs`. */
  stepActiveMs: number;
  stepResumedAtMs?: number | undefined;
  /** Index of the last step that a person approved; -1 for none. */
  approvedStep: number;
  /** Replicas that the stable version had when the rollout began: what a way back needs. */
  stableReplicas: number;
  ending?: Ending | undefined;
}

export function initialState(): RolloutState {
  return {
    phase: 'requested',
    stepIndex: 0,
    weight: 0,
    reason: 'asked for',
    evidence: { segments: [] },
    segments: [],
    fence: 0,
    sequence: 0,
    stepActiveMs: 0,
    approvedStep: -1,
    stableReplicas: 1,
  };
}

/** How long the present step has run, without the time it was paused. */
export function stepElapsedSeconds(state: RolloutState, nowMs: number): number {
  const running = state.stepResumedAtMs === undefined ? 0 : nowMs - state.stepResumedAtMs;
  return (state.stepActiveMs + running) / 1_000;
}

export function stopStepClock(state: RolloutState, nowMs: number): void {
  state.stepActiveMs = stepElapsedSeconds(state, nowMs) * 1_000;
  state.stepResumedAtMs = undefined;
}

export function startStepClock(state: RolloutState, nowMs: number): void {
  state.stepResumedAtMs ??= nowMs;
}

export function resetStepClock(state: RolloutState): void {
  state.stepActiveMs = 0;
  state.stepResumedAtMs = undefined;
}

/** Has the traffic of the present step been set? */
export const isStepRouted = (state: RolloutState): boolean => state.segments.at(-1)?.stepIndex === state.stepIndex;
