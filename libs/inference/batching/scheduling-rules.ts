import { sluiceError } from '#libs/kernel';
import type { PlanRules } from './batcher-queue.js';
import type { ServedVersion } from '../routes/route-table.js';

/** How the requests of one version wait and leave: what its manifest says, and what holds where it says nothing. */
export interface SchedulingRules extends PlanRules {
  /** 1 is the most urgent. */
  priorityLevels: number;
  defaultPriority: number;
  maxRequests: number;
  /** For requests that state no timeout of their own. */
  defaultTimeoutMs: number;
  longestTimeoutMs: number;
}

export interface SchedulingDefaults {
  maxQueuedRequests: number;
  timeoutMs: number;
}

export function schedulingRules(version: ServedVersion, defaults: SchedulingDefaults): SchedulingRules {
  const { maxBatchRows: maxRows } = version;
  const { batching, queue } = version.settings;
  const preferred = (batching?.preferredRows ?? []).filter((rows) => rows <= maxRows);
  const priorityLevels = queue?.priorityLevels ?? 1;
  const defaultTimeoutMs = queue?.defaultTimeoutMs ?? defaults.timeoutMs;
  return {
    maxRows,
    preferredRows: preferred.length === 0 ? undefined : new Set(preferred),
    maxDelayMs: batching?.maxDelayMs ?? 0,
    priorityLevels,
    defaultPriority: Math.min(queue?.defaultPriority ?? middleOf(priorityLevels), priorityLevels),
    maxRequests: queue?.maxRequests ?? defaults.maxQueuedRequests,
    defaultTimeoutMs,
    longestTimeoutMs: Math.max(defaultTimeoutMs, defaults.timeoutMs),
  };
}

// Who says nothing leaves room for others to be more urgent.
const middleOf = (levels: number): number => Math.min(levels, Math.floor(levels / 2) + 1);

/** @throws SLU_INFERENCE_INPUT */
export function priorityOf(rules: SchedulingRules, version: ServedVersion, asked: number | undefined): number {
  if (asked === undefined || asked === 0) return rules.defaultPriority;
  if (Number.isInteger(asked) && asked >= 1 && asked <= rules.priorityLevels) return asked;
  const levels = rules.priorityLevels;
  const problem =
    levels === 1
      ? `is ${asked}, but version ${version.version} has no priority levels: leave it out, or state queue.priorityLevels in the manifest`
      : `is ${asked}, but version ${version.version} has the priorities 1 (most urgent) to ${levels}, or 0 for its default`;
  throw sluiceError('SLU_INFERENCE_INPUT', { field: 'parameters.priority', problem });
}

/** A caller may wait shorter than the version's own limit, and as long as the longest. */
export const timeoutOf = (rules: SchedulingRules, asked: number | undefined): number =>
  asked === undefined ? rules.defaultTimeoutMs : Math.min(asked, rules.longestTimeoutMs);
