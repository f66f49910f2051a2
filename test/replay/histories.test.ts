import { Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { readdir, readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleWorkflows } from '../../apps/worker/workflow-bundle.js';
import { historyOfJson } from './history-json.js';
import { quietRuntime } from './rollout-stage.js';

const folder = new URL('../../workflows/rollout/histories/', import.meta.url);
const histories = (await readdir(folder)).filter((file) => file.endsWith('.json')).sort();

// Spans of a replay go nowhere.
const sinks = { exporter: { export: { fn: () => undefined } } };

interface EventJson {
  eventType?: string;
  activityTaskScheduledEventAttributes?: { activityType?: { name?: string } };
}

describe('recorded rollouts', () => {
  let workflowBundle: WorkflowBundleWithSourceMap;
  beforeAll(async () => {
    quietRuntime();
    workflowBundle = await bundleWorkflows();
  });

  it.each(histories)('%s replays on the workflow as it is now', async (file) => {
    const history = historyOfJson(JSON.parse(await readFile(new URL(file, folder), 'utf8')));
    const results = Worker.runReplayHistories({ workflowBundle, sinks }, [{ workflowId: file, history }]);
    for await (const { error } of results) expect(error).toBeUndefined();
  });

  it('cover every way a rollout ends, and a history that does not fit is noticed', async () => {
    const history = JSON.parse(await readFile(new URL('promoted.json', folder), 'utf8')) as { events: EventJson[] };
    const route = history.events.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'writeRoute',
    );
    route!.activityTaskScheduledEventAttributes!.activityType!.name = 'drainVersion';
    const results = Worker.runReplayHistories({ workflowBundle, sinks }, [
      { workflowId: 'changed', history: historyOfJson(history) },
    ]);
    for await (const { error } of results) expect(error).toBeDefined();
    for (const name of ['promoted', 'rolled-back', 'aborted', 'did-not-load'])
      expect(histories).toContain(`${name}.json`);
  });
});
