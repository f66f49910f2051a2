import { nextState, type TransitionTable } from '#libs/kernel';

export const rolloutPhases = [
  'requested',
  'preparing',
  'stepping',
  'paused',
  'awaiting-approval',
  'holding',
  'promoting',
  'rolling-back',
  'draining',
  'promoted',
  'rolled-back',
  'aborted',
  'failed',
] as const;
export type RolloutPhase = (typeof rolloutPhases)[number];

export const rolloutCommands = ['pause', 'resume', 'approve', 'promote', 'abort'] as const;
export type RolloutCommand = (typeof rolloutCommands)[number];

export type RolloutOutcome = Extract<RolloutPhase, 'promoted' | 'rolled-back' | 'aborted' | 'failed'>;

/** The one table of what a person may do in which phase, and where it leads. */
export const commandTable: TransitionTable<RolloutPhase, RolloutCommand> = {
  requested: { abort: 'rolling-back' },
  preparing: { abort: 'rolling-back' },
  stepping: { pause: 'paused', promote: 'promoting', abort: 'rolling-back' },
  paused: { resume: 'stepping', promote: 'promoting', abort: 'rolling-back' },
  'awaiting-approval': { approve: 'stepping', promote: 'promoting', abort: 'rolling-back' },
  holding: { resume: 'stepping', promote: 'promoting', abort: 'rolling-back' },
  promoting: { abort: 'rolling-back' },
  'rolling-back': {},
  draining: {},
  promoted: {},
  'rolled-back': {},
  aborted: {},
  failed: {},
};

/** Where the rollout goes by itself. */
export const ownTransitions: Readonly<Record<RolloutPhase, readonly RolloutPhase[]>> = {
  requested: ['preparing'],
  preparing: ['stepping', 'draining'],
  stepping: ['awaiting-approval', 'holding', 'promoting', 'rolling-back'],
  paused: ['rolling-back'],
  'awaiting-approval': ['rolling-back'],
  holding: ['rolling-back'],
  promoting: ['draining', 'holding'],
  'rolling-back': ['draining'],
  draining: ['promoted', 'rolled-back', 'aborted', 'failed'],
  promoted: [],
  'rolled-back': [],
  aborted: [],
  failed: [],
};

const whereItStands: Readonly<Record<RolloutPhase, string>> = {
  requested: 'the rollout has not begun',
  preparing: 'the candidate is being loaded',
  stepping: 'the rollout is running and waits for nobody',
  paused: 'the rollout is paused',
  'awaiting-approval': 'the rollout waits for an approval',
  holding: 'the rollout is on hold and waits for a decision',
  promoting: 'the candidate is being promoted',
  'rolling-back': 'the rollout is being rolled back',
  draining: 'the route is final and the losing version is draining',
  promoted: 'the rollout has ended: the candidate was promoted',
  'rolled-back': 'the rollout has ended: the candidate was rolled back',
  aborted: 'the rollout has ended: it was aborted',
  failed: 'the rollout has ended: it failed',
};

/** @returns why this command is not legal in this phase, or undefined when it is */
export function refusal(phase: RolloutPhase, command: RolloutCommand): string | undefined {
  if (nextState(commandTable, phase, command) !== undefined) return undefined;
  const legal = legalCommands(phase);
  return `${whereItStands[phase]}; ${legal.length === 0 ? 'nothing can be done now' : `possible now: ${legal.join(', ')}`}`;
}

export const legalCommands = (phase: RolloutPhase): RolloutCommand[] =>
  rolloutCommands.filter((command) => commandTable[phase][command] !== undefined);

const outcomes: ReadonlySet<RolloutPhase> = new Set<RolloutOutcome>(['promoted', 'rolled-back', 'aborted', 'failed']);

export const isOutcome = (phase: RolloutPhase): phase is RolloutOutcome => outcomes.has(phase);

export const isRolloutPhase = (text: string): text is RolloutPhase =>
  (rolloutPhases as readonly string[]).includes(text);
