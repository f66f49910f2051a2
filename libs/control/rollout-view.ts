import type { Verdict } from '#libs/decisions';
import type { RolloutEntity, RolloutEventEntity } from '#libs/store';
import {
  isRolloutPhase,
  legalCommands,
  type RolloutCommand,
  type RolloutPhase,
  type RolloutSpec,
} from '#workflows/rollout/contract';

/** One line of the timeline. `at` is ISO 8601. */
export interface RolloutEventView {
  at: string;
  kind: string;
  actor: string;
  detail: Readonly<Record<string, unknown>>;
}

/** A rollout as people and the API read it, from PostgreSQL alone. Times are ISO 8601. */
export interface RolloutView {
  id: string;
  endpoint: string;
  model: string;
  stableVersion: string;
  candidateVersion: string;
  strategy: string;
  phase: RolloutPhase;
  stepIndex: number;
  /** Percent of the traffic that the candidate has now. */
  weight: number;
  verdict: Verdict | null;
  reason: string | null;
  /** What `command` would accept now. */
  commands: RolloutCommand[];
  spec: RolloutSpec;
  startedBy: string;
  createdAt: string;
  updatedAt: string;
  endedAt: string | null;
}

export interface RolloutDetailView extends RolloutView {
  events: RolloutEventView[];
}

export function rolloutViewOf(row: RolloutEntity): RolloutView {
  const { id, endpoint, model, stableVersion, candidateVersion, strategy, stepIndex, weight, reason, startedBy } = row;
  const phase = phaseOf(row);
  return {
    id,
    endpoint,
    model,
    stableVersion,
    candidateVersion,
    strategy,
    phase,
    stepIndex,
    weight,
    reason,
    startedBy,
    verdict: (row.verdict ?? null) as Verdict | null,
    commands: legalCommands(phase),
    spec: row.spec as RolloutSpec,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}

export function eventViewOf({ at, kind, actor, detail }: RolloutEventEntity): RolloutEventView {
  return { at: at.toISOString(), kind, actor, detail: detail as Record<string, unknown> };
}

function phaseOf({ id, phase }: RolloutEntity): RolloutPhase {
  if (!isRolloutPhase(phase)) throw new Error(`rollout ${id} is in the unknown phase ${phase}`);
  return phase;
}
