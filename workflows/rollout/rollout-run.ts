import { CancellationScope, isCancellation, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { CommandAnswer, CommandRequest, ProgressRecord, RolloutInput, RolloutSpec } from './contract.js';
import { currentDetails } from './current-details.js';
import { Journal } from './journal.js';
import { commandTable, ownTransitions, refusal, type RolloutCommand, type RolloutPhase } from './phases.js';
import { phaseAttribute } from './search-attributes.js';
import { initialState, resetStepClock, startStepClock, stopStepClock, type RolloutState } from './state.js';

/**
 * One rollout in progress: its state, the doors through which that state changes, and what shows it to people. A command
 * changes the phase at once and interrupts whatever may be interrupted; the loop then goes on from the new phase.
 */
export class RolloutRun {
  readonly spec: RolloutSpec;
  readonly rolloutId: string;
  readonly actor: string;
  readonly state: RolloutState;
  readonly journal = new Journal();
  private interruptibleScope: CancellationScope | undefined;

  constructor(readonly input: RolloutInput) {
    this.spec = input.spec;
    this.rolloutId = input.rolloutId;
    this.actor = `workflow:rollout:${input.rolloutId}`;
    this.state = input.carried ?? initialState();
    this.show();
  }

  /** Where the rollout goes by itself. @returns as `note` does */
  enter(phase: RolloutPhase, reason: string): Promise<boolean> {
    const from = this.state.phase;
    if (!ownTransitions[from].includes(phase))
      throw new Error(`a rollout does not go from ${from} to ${phase} by itself`);
    this.move(phase, reason);
    return this.note('phase', { from, to: phase, reason });
  }

  /** A person's command; the validator has found it legal. */
  async obey(command: RolloutCommand, request: CommandRequest): Promise<CommandAnswer> {
    const from = this.state.phase;
    const to = commandTable[from][command];
    if (to === undefined) throw new Error(refusal(from, command));
    const reason = request.reason ?? `${command} by ${request.actor}`;
    this.prepareFor(command, reason, request.actor);
    this.move(to, reason);
    this.interruptibleScope?.cancel();
    await this.note('command', { command, from, to, reason }, request);
    return { phase: this.state.phase };
  }

  /** Work that a command may cut short. @returns undefined when one did */
  async interruptible<T>(work: () => Promise<T>): Promise<T | undefined> {
    const scope = new CancellationScope({ cancellable: true });
    this.interruptibleScope = scope;
    try {
      return await scope.run(work);
    } catch (failure) {
      if (isCancellation(failure) && scope.consideredCancelled) return undefined;
      throw failure;
    } finally {
      this.interruptibleScope = undefined;
    }
  }

  /** Adds a line to the timeline. @returns when it is written: false when the rollout's row is over */
  note(
    kind: ProgressRecord['kind'],
    detail: Readonly<Record<string, unknown>>,
    by: Pick<CommandRequest, 'actor' | 'requestId'> = { actor: this.actor },
  ): Promise<boolean> {
    this.state.sequence += 1;
    this.show();
    const { phase, stepIndex, weight, reason, verdict, sequence } = this.state;
    return this.journal.append({
      rolloutId: this.rolloutId,
      sequence,
      kind,
      actor: by.actor,
      ...(by.requestId === undefined ? {} : { requestId: by.requestId }),
      detail,
      row: { phase, stepIndex, weight, reason, ...(verdict === undefined ? {} : { verdict }) },
    });
  }

  /** Brings what the Temporal UI shows up to the state. */
  show(): void {
    setCurrentDetails(currentDetails(this.spec, this.state));
  }

  move(phase: RolloutPhase, reason: string): void {
    this.state.phase = phase;
    this.state.reason = reason;
    upsertSearchAttributes([{ key: phaseAttribute, value: phase }]);
    this.show();
  }

  private prepareFor(command: RolloutCommand, reason: string, actor: string): void {
    const { state } = this;
    switch (command) {
      case 'pause':
        return stopStepClock(state, Date.now());
      case 'resume':
        // A hold ended because its time was up, so going on means a new allowance; a pause keeps what it had.
        if (state.phase === 'holding') resetStepClock(state);
        return startStepClock(state, Date.now());
      case 'approve':
        state.approvedStep = state.stepIndex;
        return startStepClock(state, Date.now());
      case 'promote':
        return undefined;
      case 'abort':
        state.ending = { outcome: 'aborted', reason, actor };
        return undefined;
    }
  }
}
