import { Worker } from '@temporalio/worker';
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addSubjectAttribute, playErasure } from './erasure-stage.js';
import { historyOfJson } from './history-json.js';
import { RolloutStage } from './rollout-stage.js';

const folder = new URL('../../workflows/erasure/histories/', import.meta.url);
const histories = (await readdir(folder)).filter((file) => file.endsWith('.json')).sort();
const sinks = { exporter: { export: { fn: () => undefined } } };

let stage: RolloutStage;
beforeAll(async () => {
  stage = await RolloutStage.open();
  await addSubjectAttribute(stage.env);
});
afterAll(() => stage?.[Symbol.asyncDispose]());

it.each(histories)('%s replays on the workflow as it is now', async (file) => {
  const history = historyOfJson(JSON.parse(await readFile(new URL(file, folder), 'utf8')));
  const results = Worker.runReplayHistories({ workflowBundle: stage.bundle, sinks }, [{ workflowId: file, history }]);
  for await (const { error } of results) expect(error).toBeUndefined();
});

it('notices a history that does not fit', async () => {
  const text = await readFile(new URL('erased.json', folder), 'utf8');
  const history = historyOfJson(JSON.parse(text.replaceAll('"eraseFrom"', '"certify"')));
  const results = Worker.runReplayHistories({ workflowBundle: stage.bundle, sinks }, [{ workflowId: 'x', history }]);
  for await (const { error } of results) expect(error).toBeDefined();
});

it('destroys the key first, goes on through failures, and certifies at the end', async () => {
  const { result, done } = await playErasure(stage.env, stage.bundle, { failures: { 'data-keys': 12, payloads: 3 } });
  expect(done).toEqual(['data-keys', 'payloads', 'certificate']);
  expect(result.stores).toEqual([
    { store: 'data-keys', erased: 2 },
    { store: 'payloads', erased: 2 },
  ]);
});

it('is not stopped half-way by a cancellation', async () => {
  const { done } = await playErasure(stage.env, stage.bundle, { cancelsAfterStart: true, failures: { payloads: 2 } });
  expect(done).toEqual(['data-keys', 'payloads', 'certificate']);
});
