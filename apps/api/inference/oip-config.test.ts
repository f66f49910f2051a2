import type { LiveArm, LiveEndpoint, SchedulingRules, ServedVersion } from '#libs/inference';
import { VersionStatistics } from '#libs/inference';
import { expect, it } from 'vitest';
import { modelConfig } from './oip-config.js';
import { modelStatistics } from './oip-statistics.js';

const version = (change: Partial<ServedVersion> = {}): ServedVersion => ({
  key: 'dense/1',
  model: 'dense',
  version: '1',
  contentDigest: '',
  format: 'onnx',
  maxBatchRows: 32,
  isStackable: true,
  hasFreeSizes: false,
  task: 'tensors',
  settings: {},
  inputs: [{ name: 'x', datatype: 'BF16', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'BYTES', shape: [-1] }],
  ...change,
});

function endpointOf(...versions: ServedVersion[]): LiveEndpoint {
  const arms = versions.map((each): LiveArm => {
    return { endpoint: 'scores', revision: 1, name: each.version, weight: 1, version: each, bucketEnd: 0 };
  });
  const pinned = new Map(arms.map((arm) => [arm.version.version, arm]));
  return { name: 'scores', model: 'dense', revision: 1, arms, pinned };
}

const rules: SchedulingRules = {
  maxRows: 32,
  preferredRows: new Set([8, 16]),
  maxDelayMs: 1.5,
  priorityLevels: 3,
  defaultPriority: 2,
  maxRequests: 100,
  defaultTimeoutMs: 2_000,
  longestTimeoutMs: 30_000,
};
const replicas = new Map([['dense/1', { desired: 3, places: [], newest: undefined }]]);
const configOf = (...versions: ServedVersion[]) =>
  modelConfig(endpointOf(...versions), undefined, { replicas }, () => rules);

it('says in the words of Triton how a version is served', () => {
  expect(configOf(version({ settings: { responseCache: {} } }))).toEqual({
    name: 'scores',
    platform: 'onnx_onnxv1',
    backend: 'onnx',
    version_policy: { specific: { versions: [1] } },
    max_batch_size: 32,
    input: [{ name: 'x', data_type: 'TYPE_BF16', dims: [2] }],
    output: [{ name: 'y', data_type: 'TYPE_STRING', dims: [] }],
    instance_group: [{ name: 'scores', count: 3, kind: 'KIND_AUTO' }],
    dynamic_batching: {
      preferred_batch_size: [8, 16],
      max_queue_delay_microseconds: 1_500,
      preserve_ordering: false,
      priority_levels: 3,
      default_priority_level: 2,
      default_queue_policy: {
        timeout_action: 'REJECT',
        default_timeout_microseconds: 2_000_000,
        allow_timeout_override: true,
        max_queue_size: 100,
      },
    },
    response_cache: { enable: true },
  });
});

it('leaves out what is not so: batching of a model without a batch, and versions that are no numbers', () => {
  const fixed = version({
    isStackable: false,
    format: 'remote',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
  });
  const config = configOf(fixed, version({ key: 'dense/b', version: '1.2-b' }), fixed);
  expect(config).toMatchObject({
    max_batch_size: 0,
    input: [{ dims: [1, 2] }],
    instance_group: [{ count: 3, kind: 'KIND_MODEL' }],
  });
  expect(config).not.toHaveProperty('dynamic_batching');
  expect(config).not.toHaveProperty('version_policy');
});

it('tells statistics in nanoseconds, batches in the order of their size, and of a cache only where there is one', () => {
  const counted = new VersionStatistics();
  counted.executed({ rows: 16, requests: 2, queuedMs: 1, inputMs: 0.5, inferMs: 2, outputMs: 0.25 });
  counted.executed({ rows: 2, requests: 1, queuedMs: 0, inputMs: 0, inferMs: 1, outputMs: 0 });
  counted.ended(true, 10, 1_700_000_000_000);
  counted.cacheAsked(true, 0.125);
  const of = (served: ServedVersion) => modelStatistics(endpointOf(served), '1', { find: () => counted })[0]!;
  const plain = of(version());
  expect(plain).toMatchObject({
    name: 'scores',
    version: '1',
    last_inference: 1_700_000_000_000,
    inference_count: 18,
    execution_count: 2,
    inference_stats: {
      success: { count: 1, ns: 10_000_000 },
      fail: { count: 0, ns: 0 },
      queue: { count: 3, ns: 1_000_000 },
      compute_input: { count: 3, ns: 1_000_000 },
      compute_infer: { count: 3, ns: 5_000_000 },
      compute_output: { count: 3, ns: 500_000 },
    },
  });
  expect(plain.batch_stats.map(({ batch_size, compute_infer }) => [batch_size, compute_infer])).toEqual([
    [2, { count: 1, ns: 1_000_000 }],
    [16, { count: 1, ns: 2_000_000 }],
  ]);
  expect(plain.inference_stats).not.toHaveProperty('cache_hit');
  expect(of(version({ settings: { responseCache: {} } })).inference_stats).toMatchObject({
    cache_hit: { count: 1, ns: 125_000 },
    cache_miss: { count: 0, ns: 0 },
  });
});
