import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { sampleFiles, sampleManifest } from '../../../test/support/artifact-sample.js';
import { parseManifest } from '../artifacts/artifact-manifest.js';
import { servedVersion, type ServedVersion } from '../routes/route-table.js';
import { priorityOf, schedulingRules, timeoutOf } from './scheduling-rules.js';

const defaults = { maxQueuedRequests: 2_048, timeoutMs: 30_000 };
const versionWith = (settings: object): ServedVersion =>
  servedVersion(parseManifest(Buffer.from(JSON.stringify(sampleManifest(sampleFiles, { ...settings })))), 'd');
const rulesOf = (settings: object) => schedulingRules(versionWith(settings), defaults);

it('waits for nothing and has one priority when the manifest says nothing', () => {
  expect(rulesOf({})).toEqual({
    maxRows: 64,
    preferredRows: undefined,
    maxDelayMs: 0,
    priorityLevels: 1,
    defaultPriority: 1,
    maxRequests: 2_048,
    defaultTimeoutMs: 30_000,
    longestTimeoutMs: 30_000,
  });
});

it('takes what the documentation shows', async () => {
  const page = await readFile(new URL('../../../docs/how-to/tune-batching.md', import.meta.url), 'utf8');
  const shown = JSON.parse(/```json\n([^`]+)```/.exec(page)![1]!) as object;
  expect(rulesOf(shown)).toEqual({
    maxRows: 64,
    preferredRows: new Set([8, 16, 32]),
    maxDelayMs: 2,
    priorityLevels: 3,
    defaultPriority: 2,
    maxRequests: 1_000,
    defaultTimeoutMs: 500,
    longestTimeoutMs: 30_000,
  });
});

it.each<[object, string]>([
  [{ batching: { preferredRows: [65] } }, 'batching.preferredRows: has a size above maxBatchRows'],
  [{ batching: { maxBatchRows: 4, preferredRows: [2, 8] } }, 'batching.preferredRows'],
  [{ queue: { defaultPriority: 2 } }, 'queue.defaultPriority: is above priorityLevels'],
  [{ queue: { priorityLevels: 3, defaultPriority: 4 } }, 'queue.defaultPriority'],
])('refuses a manifest that asks for what cannot be: %j', (settings, problem) => {
  expect(() => versionWith(settings)).toThrow(problem);
});

it.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [10, 6],
])('of %i priorities the default %i leaves room for the urgent', (priorityLevels, expected) => {
  expect(rulesOf({ queue: { priorityLevels } }).defaultPriority).toBe(expected);
});

it('gives a request the priority that it asks for, or says which there are', () => {
  const version = versionWith({ queue: { priorityLevels: 3, defaultPriority: 3 } });
  const rules = schedulingRules(version, defaults);
  expect([undefined, 0, 1, 2, 3].map((asked) => priorityOf(rules, version, asked))).toEqual([3, 3, 1, 2, 3]);
  for (const asked of [-1, 4, 1.5, Number.NaN, 2 ** 60])
    expect(() => priorityOf(rules, version, asked)).toThrow('parameters.priority: is');
  const plain = versionWith({});
  expect(() => priorityOf(schedulingRules(plain, defaults), plain, 2)).toThrow('has no priority levels');
});

it('lets a caller wait shorter than the limit, and longer than the default where a limit allows it', () => {
  const rules = rulesOf({ queue: { defaultTimeoutMs: 500 } });
  expect([undefined, 20, 10_000, 99_000].map((asked) => timeoutOf(rules, asked))).toEqual([500, 20, 10_000, 30_000]);
  const patient = rulesOf({ queue: { defaultTimeoutMs: 600_000 } });
  expect([undefined, 10_000, 700_000].map((asked) => timeoutOf(patient, asked))).toEqual([600_000, 10_000, 600_000]);
});
