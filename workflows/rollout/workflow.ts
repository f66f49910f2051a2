import { assertNever } from '#libs/kernel';
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { CommandAnswer, CommandRequest, RolloutInput } from './contract.js';
import { drainAndFinish, prepareCandidate, promote, rollBack } from './ending.js';
import { isOutcome, refusal, rolloutCommands, type RolloutOutcome, type RolloutPhase } from './phases.js';
import { RolloutRun } from './rollout-run.js';
import { isStepRouted } from './state.js';
import { takeStep, watchWhileWaiting } from './stepping.js';

/** The server suggests a new run when the history grows large; this is for servers that do not. */
const mostEventsPerRun = 4_000;

export const stateQuery = defineQuery<RolloutRun['state']>('state');

/** Carries one canary from the request to its end. The phases are the states; this is the order of things. */
export async function rollout(input: RolloutInput): Promise<{ outcome: RolloutOutcome; reason: string }> {
  const run = new RolloutRun(input);
  openDoors(run);
  // A cancellation from the Temporal UI is an abort like any other: it must find its way back to stable traffic.
  CancellationScope.current().cancelRequested.catch(async () => {
    if (refusal(run.state.phase, 'abort') === undefined) {
      await run.obey('abort', { actor: 'temporal', reason: 'cancelled through Temporal' });
    }
  });
  return CancellationScope.nonCancellable(() => goOn(run));
}

async function goOn(run: RolloutRun): Promise<{ outcome: RolloutOutcome; reason: string }> {
  for (;;) {
    const { phase } = run.state;
    if (isOutcome(phase)) {
      await condition(allHandlersFinished);
      return { outcome: phase, reason: run.state.reason };
    }
    if (isTimeForNewRun(run)) await startNewRun(run);
    await live(run, run.state.phase);
  }
}

async function live(run: RolloutRun, phase: Exclude<RolloutPhase, RolloutOutcome> | RolloutOutcome): Promise<void> {
  switch (phase) {
    case 'requested':
      return begin(run);
    case 'preparing':
      return prepareCandidate(run);
    case 'stepping':
      return takeStep(run);
    case 'paused':
    case 'awaiting-approval':
    case 'holding':
      return watchWhileWaiting(run);
    case 'promoting':
      return promote(run);
    case 'rolling-back':
      return rollBack(run);
    case 'draining':
      return drainAndFinish(run);
    case 'promoted':
    case 'rolled-back':
    case 'aborted':
    case 'failed':
      return;
    default:
      return assertNever(phase, 'phase');
  }
}

async function begin(run: RolloutRun): Promise<void> {
  const isWanted = await run.enter('preparing', 'loading the candidate');
  // Its start was taken back (the answer of Temporal came too late for who asked): nothing was done, nothing is to be done.
  if (!isWanted) run.move('failed', 'the start of this rollout was taken back');
}

function openDoors(run: RolloutRun): void {
  for (const command of rolloutCommands) {
    setHandler(
      defineUpdate<CommandAnswer, [CommandRequest]>(command),
      (request) => {
        refuseIllegal();
        return run.obey(command, request);
      },
      { validator: (_request: CommandRequest) => refuseIllegal(), description: `${command} this rollout` },
    );
    function refuseIllegal(): void {
      const problem = refusal(run.state.phase, command);
      if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'SLU_ROLLOUT_REFUSED');
    }
  }
  setHandler(stateQuery, () => run.state, { description: 'everything this rollout knows' });
}

function isTimeForNewRun({ state }: RolloutRun): boolean {
  const isQuiet =
    state.phase === 'paused' ||
    state.phase === 'awaiting-approval' ||
    state.phase === 'holding' ||
    (state.phase === 'stepping' && isStepRouted(state));
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return isQuiet && (continueAsNewSuggested || historyLength > mostEventsPerRun);
}

async function startNewRun(run: RolloutRun): Promise<void> {
  await run.journal.flush();
  await condition(allHandlersFinished);
  await continueAsNew<typeof rollout>({ ...run.input, carried: run.state });
}
