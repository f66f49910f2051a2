import { erasureWorkflowId, erasureWorkflowType, type ErasureInput } from '#workflows/erasure/contract';
import { subjectAttribute } from '#workflows/erasure/search-attributes';
import { rolloutTaskQueue } from '#workflows/rollout/contract';
import { phaseAttribute } from '#workflows/rollout/search-attributes';
import type { TemporalLink } from '../temporal-link.js';

const startDeadlineMs = 2_500;

/** The erasures as Temporal knows them. */
export class ErasureWorkflows {
  constructor(private readonly link: Pick<TemporalLink, 'call'>) {}

  /** Starts the workflow unless it runs; one that somebody ended is started anew. @throws SLU_PLATFORM_TEMPORAL_DOWN */
  async start(input: ErasureInput): Promise<void> {
    const { erasureId, subject } = input;
    await this.link.call(startDeadlineMs, (client) =>
      client.workflow.start(erasureWorkflowType, {
        workflowId: erasureWorkflowId(erasureId),
        taskQueue: rolloutTaskQueue,
        args: [input],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        typedSearchAttributes: [
          { key: subjectAttribute, value: subject },
          { key: phaseAttribute, value: 'requested' },
        ],
        staticSummary: `erase ${subject}`,
      }),
    );
  }
}
