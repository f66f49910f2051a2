import type { CanaryEvidence, GuardrailSettings, Verdict } from '#libs/decisions';
import type { RolloutOutcome, RolloutPhase } from './phases.js';
import type { RolloutState } from './state.js';

export {
  isOutcome,
  isRolloutPhase,
  legalCommands,
  refusal,
  rolloutCommands,
  rolloutPhases,
  type RolloutCommand,
  type RolloutOutcome,
  type RolloutPhase,
} from './phases.js';

/** What a client needs to find and drive a rollout: plain types and pure functions, nothing of Temporal. */
export const rolloutWorkflowType = 'rollout';
export const rolloutTaskQueue = 'sluice';
export const rolloutWorkflowId = (rolloutId: string): string => `rollout:${rolloutId}`;

export interface RolloutStep {
  /** Percent of the endpoint's traffic that the candidate gets, above 0 and up to 100. */
  weight: number;
  /** Requests that the candidate must have answered in this step. */
  minRequests: number;
  /** Least duration of the step. */
  minSeconds?: number | undefined;
  /** After the step has passed, a person must approve before the rollout goes on. */
  approval?: boolean | undefined;
}

export type OnUndecided = 'hold' | 'promote' | 'rollback';

/** The rollout as asked, with defaults filled in. Stored in `rollouts.spec` and handed to the workflow. */
export interface RolloutSpec {
  endpoint: string;
  model: string;
  stableVersion: string;
  candidateVersion: string;
  strategy: 'canary';
  steps: readonly RolloutStep[];
  /** Ready replicas the candidate needs before it gets any traffic. */
  replicas: number;
  guardrails: GuardrailSettings;
  /** A step that is still undecided after this long is ended by `onUndecided`. Paused time does not count. */
  stepLimitSeconds: number;
  onUndecided: OnUndecided;
  /** How long a version may take to load and warm. */
  loadLimitSeconds: number;
  /** Between the last route change and the end of the losing version's replicas, so that its last answers get out. */
  drainSeconds: number;
}

export interface RolloutInput {
  rolloutId: string;
  spec: RolloutSpec;
  startedBy: string;
  /** Set when a long rollout goes on in a new run. */
  carried?: RolloutState;
}

/** Argument of every command (a Temporal update named as the command). `actor` is as in the audit trail: `key:<id>`. */
export interface CommandRequest {
  actor: string;
  reason?: string;
  requestId?: string;
}

export interface CommandAnswer {
  phase: RolloutPhase;
}

export interface CapacityAsk {
  rolloutId: string;
  model: string;
  version: string;
  /** Ready replicas that are wanted; more than that stay as they are. */
  replicas: number;
  limitSeconds: number;
}

export interface CapacityAnswer {
  isReady: boolean;
  ready: number;
  desired: number;
  /** It fails to start again and again, so that waiting does not help. */
  isFailing?: boolean;
  /** Why it is not ready. */
  problem?: string;
}

export interface RouteAsk {
  rolloutId: string;
  /** Rises with each route of one rollout: a late or repeated write changes nothing. */
  fence: number;
  endpoint: string;
  arms: readonly { name: string; version: string; weight: number }[];
  reason: string;
}

export interface SenseAsk {
  rolloutId: string;
  endpoint: string;
  revisions: readonly number[];
  guardrails: GuardrailSettings;
  minRequests: number;
  /** How long to watch at most. 0 is one look. */
  waitSeconds: number;
  /** Come back early when there is any verdict, or only when the candidate is worse. */
  until: 'any-verdict' | 'worse';
}

export interface SenseAnswer {
  evidence: CanaryEvidence;
}

/** One line of the timeline, and the row as it stands with it. */
export interface ProgressRecord {
  rolloutId: string;
  /** Rises by one with each line of a rollout. */
  sequence: number;
  kind: 'phase' | 'route' | 'command' | 'verdict' | 'note';
  actor: string;
  requestId?: string;
  detail: Readonly<Record<string, unknown>>;
  row: { phase: RolloutPhase; stepIndex: number; weight: number; reason: string; verdict?: Verdict };
}

export interface DrainAsk {
  rolloutId: string;
  model: string;
  version: string;
}

export interface DrainAnswer {
  isDrained: boolean;
  usedBy?: string;
}

export interface FinishAsk {
  rolloutId: string;
  outcome: RolloutOutcome;
  reason: string;
  actor: string;
}
