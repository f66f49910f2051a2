import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { servingApi, type ServingApi } from '../support/serving-api.js';
import { tritonclientPython } from '../support/tritonclient.js';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

let serving: ServingApi;
let seen: any;

// The client is asked everything in one go: its start is what costs.
beforeAll(async () => {
  const python = await tritonclientPython();
  serving = await servingApi(['deploy/models/tone/1', 'test/models/dense', 'test/models/datatypes']);
  const { stdout } = await run(
    python,
    [
      here('./tritonclient_check.py'),
      `127.0.0.1:${serving.port}`,
      here('../../deploy/models/tone/1/model.onnx'),
      here('../../test/models/dense/model.onnx'),
    ],
    { env: { ...process.env, SLUICE_KEY: serving.api.as.admin.authorization.slice('Bearer '.length) } },
  );
  seen = JSON.parse(stdout);
});
afterAll(async () => serving?.[Symbol.asyncDispose]());

it('tells the real tritonclient what there is and how it does', () => {
  expect(seen).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    version_ready: true,
    server: {
      name: 'sluice',
      extensions: [
        'binary_tensor_data',
        'classification',
        'model_configuration',
        'model_repository',
        'parameters',
        'schedule_policy',
        'statistics',
      ],
    },
    model: {
      name: 'tone',
      versions: ['1'],
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
      ],
    },
    version: { name: 'tone' },
    config: {
      name: 'tone',
      platform: 'onnx_onnxv1',
      backend: 'onnx',
      version_policy: { specific: { versions: [1] } },
      max_batch_size: 64,
      input: [{ name: 'text', data_type: 'TYPE_STRING', dims: [] }],
      output: [
        { name: 'label', data_type: 'TYPE_STRING', dims: [] },
        { name: 'probabilities', data_type: 'TYPE_FP32', dims: [3] },
      ],
      instance_group: [{ name: 'tone', count: 1, kind: 'KIND_AUTO' }],
      dynamic_batching: {
        preferred_batch_size: [],
        max_queue_delay_microseconds: 0,
        priority_levels: 0,
        default_queue_policy: { default_timeout_microseconds: 30_000_000, max_queue_size: 2_048 },
      },
      response_cache: { enable: false },
    },
    version_config: { name: 'dense', input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [16] }] },
  });
});

it('answers it as onnxruntime answers on the same file, in JSON and in binary, each way', () => {
  const { texts, expected_labels: labels } = seen;
  for (const [way, isBinary] of [
    ['json', [false, false]],
    ['binary', [true, true]],
    ['default', [true, true]],
    ['mixed', [true, false]],
  ] as const) {
    expect(texts[way]).toMatchObject({ id: `from-${way}`, labels, is_binary: isBinary });
    expect(texts[way].difference, way).toBeLessThan(1e-6);
  }
  expect(texts.single).toBeLessThan(1e-6);
  expect(seen.unequal_types).toEqual([]);
  expect(seen.asynchronous).toEqual(labels);
  expect(seen.aio).toEqual(labels);
});

it('takes compressed and raw bodies from it, and gives compressed ones back', () => {
  for (const [way, difference] of Object.entries(seen.compressed)) expect(difference, way).toBeLessThan(1e-5);
  expect(Object.keys(seen.compressed)).toHaveLength(4);
  expect(seen.raw.numbers).toBeLessThan(1e-5);
  expect(seen.raw.labels).toEqual([seen.expected_labels[0]]);
});

it('names the highest classes of each row, in JSON and in binary', () => {
  const { expected, True: binary, False: json } = seen.classified;
  expect(binary).toEqual(json);
  expect(json.shape).toEqual([2, 2]);
  const classes = json.classes.map((text: string) => text.split(':'));
  for (const [at, [value, index, label]] of expected.entries()) {
    expect(classes[at].slice(1)).toEqual([String(index), label]);
    expect(Number(classes[at][0])).toBeCloseTo(value, 5);
  }
});

it('counts what it was asked, exactly', () => {
  const { statistics } = seen;
  expect(statistics).toMatchObject({ rows: 14, runs: 2, sevens: 2, is_later: true });
  expect(statistics.of_all).toEqual(['datatypes', 'dense', 'tone']);
  expect(statistics.unknown).toEqual(['404', expect.stringContaining('nobody')]);
  const { fail, success, ...parts } = statistics.grown;
  expect([success.count, fail.count]).toEqual([2, 1]);
  expect(Object.keys(parts).sort()).toEqual(['compute_infer', 'compute_input', 'compute_output', 'queue']);
  let sum = 0;
  for (const name of Object.keys(parts)) {
    expect(parts[name].count, name).toBe(2);
    expect(Number.isInteger(parts[name].ns), name).toBe(true);
    sum += parts[name].ns;
  }
  expect(parts.compute_infer.ns).toBeGreaterThan(0);
  expect(sum).toBeLessThanOrEqual(success.ns);
});

it('loads and unloads endpoints for it, and says why where it does not', async () => {
  const { control } = seen;
  expect(control.before).toEqual([true, ['READY']]);
  expect(control.unloaded.slice(0, 2)).toEqual([false, ['UNAVAILABLE']]);
  expect(control.unloaded[2]).toEqual(['503', expect.stringContaining('no ready replica')]);
  expect(control.loaded).toEqual([true, ['READY'], ['grün 🙂', '']]);
  expect(control.config).toEqual(['400', expect.stringContaining('parameters.config: is not supported')]);
  expect(control.file).toEqual(['400', expect.stringContaining('is not supported')]);
  expect(control.unknown).toEqual(['404', expect.stringContaining('nobody')]);
  const rows = await serving.api.db.database.query<{ action: string; resource: string }>(
    `SELECT action, resource FROM audit_events WHERE action LIKE 'endpoint.%load' AND actor LIKE 'key:%' ORDER BY seq`,
  );
  expect(rows).toEqual([
    { action: 'endpoint.unload', resource: 'endpoint:datatypes' },
    { action: 'endpoint.load', resource: 'endpoint:datatypes' },
  ]);
});

it('is honest about what it does not do', () => {
  const { settings, scheduled } = seen;
  expect(settings).toMatchObject({
    trace: { trace_level: ['OFF'] },
    log: { log_info: false, log_verbose_level: 0 },
    trace_update: ['501', expect.stringContaining('SLUICE_TRACE_SAMPLING')],
    log_update: ['501', expect.stringContaining('SLUICE_LOG_LEVEL')],
    regions: [],
    cuda_regions: [],
    register: ['501', expect.stringContaining('shared memory is not supported')],
  });
  expect(scheduled.difference).toBeLessThan(1e-5);
  expect(scheduled.sequence).toEqual(['400', expect.stringContaining('every request stands alone')]);
  expect(seen.refusal).toEqual(['400', expect.stringContaining('txet')]);
  expect(seen.no_key).toEqual(['401', expect.stringContaining('API key')]);
});
