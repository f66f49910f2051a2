import type { ErasureActivities } from '#activities/erasure.activities';
import { subjectAttribute } from '#workflows/erasure/search-attributes';
import { phaseAttribute } from '#workflows/rollout/search-attributes';
import type { ErasureOutcome } from '#workflows/erasure/contract';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';

/** Written into histories, which must not depend on the machine. */
const identity = 'stage';
const keyword = 2;
const subject = '00000000-0000-8000-8000-00000000000a';

/** How often the first attempts of each store fail. */
export interface ErasureScript {
  failures?: Record<string, number>;
  cancelsAfterStart?: boolean;
}

/** Plays one erasure over two stores on a server whose clock jumps over waits. */
export async function playErasure(
  env: TestWorkflowEnvironment,
  workflowBundle: WorkflowBundleWithSourceMap,
  { failures = {}, cancelsAfterStart = false }: ErasureScript,
) {
  const erasureId = randomUUID();
  const taskQueue = `stage-${erasureId}`;
  const left = new Map(Object.entries(failures));
  const done: string[] = [];
  const activities: ErasureActivities = {
    planErasure: async () => ['data-keys', 'payloads'],
    eraseFrom: async ({ store }) => {
      const failing = left.get(store) ?? 0;
      left.set(store, failing - 1);
      if (failing > 0) throw new Error('the database is away');
      done.push(store);
      return 2;
    },
    certify: async () => {
      done.push('certificate');
      return '2026-11-24T00:00:00.000Z';
    },
  };
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue,
    identity,
    workflowBundle,
    activities,
    sinks: { exporter: { export: { fn: () => undefined } } },
  });
  return worker.runUntil(async () => {
    const handle = await env.client.workflow.start('erasure', {
      workflowId: `erasure:${erasureId}`,
      taskQueue,
      args: [{ erasureId, subject }],
      typedSearchAttributes: [
        { key: subjectAttribute, value: subject },
        { key: phaseAttribute, value: 'requested' },
      ],
    });
    if (cancelsAfterStart) await handle.cancel();
    return { result: (await handle.result()) as ErasureOutcome, done, handle };
  });
}

/** This server can add search attributes, but not list them. */
export async function addSubjectAttribute(env: TestWorkflowEnvironment): Promise<void> {
  await env.connection.operatorService.addSearchAttributes({
    namespace: env.namespace ?? 'default',
    searchAttributes: { [subjectAttribute.name]: keyword },
  });
}
