import { assertNever, sluiceError } from '#libs/kernel';
import {
  rolloutTaskQueue,
  rolloutWorkflowId,
  rolloutWorkflowType,
  type CommandAnswer,
  type CommandRequest,
  type RolloutCommand,
  type RolloutInput,
} from '#workflows/rollout/contract';
import { endpointAttribute, modelVersionAttribute, phaseAttribute } from '#workflows/rollout/search-attributes';
import {
  ApplicationFailure,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type WorkflowExecutionStatusName,
} from '@temporalio/client';
import type { TemporalLink } from './temporal-link.js';

const startDeadlineMs = 2_500;
const commandDeadlineMs = 8_000;
/** When a worker is killed while it decides, another one decides after this long. A decision takes milliseconds. */
const workflowTaskSeconds = 5;

/** The rollouts as Temporal knows them. */
export class RolloutWorkflows {
  constructor(private readonly link: TemporalLink) {}

  /** Starts the workflow; one that runs already is left as it is. @throws SLU_PLATFORM_TEMPORAL_DOWN */
  async start(input: RolloutInput): Promise<void> {
    const { rolloutId, spec } = input;
    await this.link.call(startDeadlineMs, (client) =>
      client.workflow.start(rolloutWorkflowType, {
        workflowId: rolloutWorkflowId(rolloutId),
        taskQueue: rolloutTaskQueue,
        args: [input],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowTaskTimeout: `${workflowTaskSeconds} s`,
        typedSearchAttributes: [
          { key: endpointAttribute, value: spec.endpoint },
          { key: modelVersionAttribute, value: `${spec.model}/${spec.candidateVersion}` },
          { key: phaseAttribute, value: 'requested' },
        ],
        staticSummary: `${spec.endpoint}: ${spec.model} ${spec.stableVersion} to ${spec.candidateVersion}`,
        staticDetails: `Canary of **${spec.model}/${spec.candidateVersion}** on endpoint **${spec.endpoint}**, by ${spec.steps
          .map((step) => `${step.weight} %`)
          .join(', ')}.`,
      }),
    );
  }

  /**
   * Sends a person's command and waits until the rollout has taken it.
   * @throws SLU_ROLLOUT_REFUSED with the rollout's reason, SLU_ROLLOUT_UNKNOWN, SLU_ROLLOUT_UNANSWERED, SLU_PLATFORM_TEMPORAL_DOWN
   */
  async command(rolloutId: string, command: RolloutCommand, request: CommandRequest): Promise<CommandAnswer> {
    try {
      // A command may wait for its worker; that Temporal is away is known sooner.
      await this.link.call(startDeadlineMs, (client) => client.workflowService.getSystemInfo({}));
      return await this.link.call(commandDeadlineMs, (client) =>
        client.workflow
          .getHandle(rolloutWorkflowId(rolloutId))
          .executeUpdate<CommandAnswer, [CommandRequest]>(command, { args: [request] }),
      );
    } catch (failure) {
      if (failure instanceof WorkflowUpdateFailedError) {
        const problem = failure.cause instanceof ApplicationFailure ? failure.cause.message : failure.message;
        throw sluiceError('SLU_ROLLOUT_REFUSED', { command, problem }, { cause: failure });
      }
      if (failure instanceof WorkflowNotFoundError)
        throw sluiceError('SLU_ROLLOUT_UNKNOWN', { rolloutId }, { cause: failure });
      if (failure instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
        throw sluiceError('SLU_ROLLOUT_UNANSWERED', {}, { cause: failure, retryAfterSeconds: 5 });
      }
      throw failure;
    }
  }

  /** @returns whether its workflow runs, has ended in whatever way, or was never started */
  async presence(rolloutId: string): Promise<'running' | 'ended' | 'absent'> {
    try {
      const { status } = await this.link.call(startDeadlineMs, (client) =>
        client.workflow.getHandle(rolloutWorkflowId(rolloutId)).describe(),
      );
      return isRunning(status.name) ? 'running' : 'ended';
    } catch (failure) {
      if (failure instanceof WorkflowNotFoundError) return 'absent';
      throw failure;
    }
  }
}

function isRunning(status: WorkflowExecutionStatusName): boolean {
  switch (status) {
    case 'RUNNING':
    case 'CONTINUED_AS_NEW':
    case 'PAUSED':
    case 'UNSPECIFIED':
    case 'UNKNOWN':
      return true;
    case 'COMPLETED':
    case 'FAILED':
    case 'CANCELLED':
    case 'TERMINATED':
    case 'TIMED_OUT':
      return false;
    default:
      return assertNever(status, 'workflow status');
  }
}
