import { describe, expect, it } from 'vitest';
import {
  commandTable,
  isOutcome,
  isRolloutPhase,
  legalCommands,
  ownTransitions,
  refusal,
  rolloutCommands,
  rolloutPhases,
  type RolloutCommand,
  type RolloutPhase,
} from './phases.js';

/** Written out once more, on purpose: what a person may do in each phase. */
const promised: Readonly<Record<RolloutPhase, readonly RolloutCommand[]>> = {
  requested: ['abort'],
  preparing: ['abort'],
  stepping: ['pause', 'promote', 'abort'],
  paused: ['resume', 'promote', 'abort'],
  'awaiting-approval': ['approve', 'promote', 'abort'],
  holding: ['resume', 'promote', 'abort'],
  promoting: ['abort'],
  'rolling-back': [],
  draining: [],
  promoted: [],
  'rolled-back': [],
  aborted: [],
  failed: [],
};

const everyPair = rolloutPhases.flatMap((phase) => rolloutCommands.map((command) => [phase, command] as const));

describe('the phases of a rollout', () => {
  it.each(everyPair)('in %s, %s is legal or refused as promised', (phase, command) => {
    const problem = refusal(phase, command);
    if (promised[phase].includes(command)) {
      expect(problem).toBeUndefined();
      expect(isRolloutPhase(commandTable[phase][command] ?? '')).toBe(true);
    } else {
      expect(problem).toMatch(/the (rollout|candidate|route) .+; (possible now: |nothing can be done now)/);
      for (const legal of promised[phase]) expect(problem).toContain(legal);
    }
  });

  it('lets nothing happen after the end', () => {
    for (const phase of rolloutPhases.filter(isOutcome)) {
      expect(legalCommands(phase)).toEqual([]);
      expect(ownTransitions[phase]).toEqual([]);
    }
  });

  it('reaches an end from every phase, and every end from the beginning', () => {
    const nextOf = (phase: RolloutPhase): RolloutPhase[] => [
      ...ownTransitions[phase],
      ...Object.values(commandTable[phase]),
    ];
    const reach = (from: RolloutPhase): Set<RolloutPhase> => {
      const seen = new Set<RolloutPhase>([from]);
      for (const phase of seen) for (const next of nextOf(phase)) seen.add(next);
      return seen;
    };
    for (const phase of rolloutPhases) expect([...reach(phase)].some(isOutcome)).toBe(true);
    expect([...reach('requested')].sort()).toEqual([...rolloutPhases].sort());
  });

  it('takes every way back over capacity and drain: no command leads straight to an end', () => {
    for (const phase of rolloutPhases)
      for (const next of Object.values(commandTable[phase])) expect(isOutcome(next)).toBe(false);
  });
});
