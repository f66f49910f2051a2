import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Manifest } from '../../models/manifest.js';
import { ModelLoadFailure } from './model-folder.js';
import { OnnxModel } from './onnx-model.js';

const dense = fileURLToPath(new URL('../../../../test/models/dense', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'onnx-'));
  await cp(dense, folder, { recursive: true });
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Loads the dense model under a changed manifest. */
async function loadWith(change: (manifest: Manifest) => object): Promise<OnnxModel> {
  const file = path.join(folder, 'sluice.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest;
  await writeFile(file, JSON.stringify({ ...manifest, ...change(manifest) }));
  return OnnxModel.load({ folder, threads: 1 });
}

it('warms a model without samples with blanks', async () => {
  const model = await loadWith(() => ({ warmup: undefined }));
  const [y] = await model.run([{ name: 'x', datatype: 'FP32', shape: [1, 16], data: new Float32Array(16) }]);
  expect(y).toMatchObject({ name: 'y', datatype: 'FP32', shape: [1, 3] });
});

it.each<[string, (manifest: Manifest) => object, string]>([
  [
    'an input that the graph has not',
    ({ inputs }) => ({ inputs: [{ ...inputs[0], name: 'z' }] }),
    'sluice.json declares input z, but the model has x',
  ],
  [
    'an output that the graph has not',
    ({ outputs }) => ({ outputs: [{ ...outputs[0], name: 'z' }] }),
    'sluice.json declares output z, but the model has y',
  ],
  [
    'another datatype',
    ({ inputs }) => ({ inputs: [{ ...inputs[0], datatype: 'FP64' }] }),
    'input x is FP64 in sluice.json, but float32 in the model',
  ],
  [
    'a datatype that travels as another one',
    ({ inputs }) => ({ inputs: [{ ...inputs[0], datatype: 'BF16' }] }),
    'input x is BF16 in sluice.json, but float32 in the model',
  ],
  [
    'another rank',
    ({ inputs }) => ({ inputs: [{ ...inputs[0], shape: [-1] }] }),
    'input x has 1 sizes in sluice.json, but 2 in the model',
  ],
  ['a warm-up of the wrong width', () => ({ warmup: [{ x: [[1, 2]] }] }), 'the warm-up failed'],
  ['a warm-up with wrong values', () => ({ warmup: [{ x: [['a']] }] }), 'warmup[0].x[0][0]: must be a number'],
  ['a warm-up without an input', () => ({ warmup: [{}] }), 'warmup[0].x is missing'],
  [
    "a hash that is not the file's",
    ({ files }) => ({ files: [{ ...files[0], sha256: '0'.repeat(64) }] }),
    'but sluice.json says 0000',
  ],
  [
    'a file outside the folder',
    ({ files }) => ({ files: [{ ...files[0], path: '../model.onnx' }] }),
    'sluice.json lacks',
  ],
  [
    'a file that is not there',
    ({ files }) => ({ files: [{ ...files[0], path: 'other.onnx' }] }),
    'other.onnx cannot be read',
  ],
  ['another format', () => ({ format: 'pickle' }), 'format pickle is not served here'],
  ['no inputs', () => ({ inputs: [] }), 'sluice.json lacks'],
])('refuses a manifest with %s', async (_what, change, reason) => {
  const failure: unknown = await loadWith(change).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ModelLoadFailure);
  expect((failure as Error).message).toContain(reason);
});

describe('execution providers', () => {
  it('fall back to the CPU, and each says why, on a machine that has none of them', async () => {
    const model = await loadWith(() => ({ onnx: { executionProviders: ['tensorrt', 'cuda', 'openvino'] } }));
    expect(model.runtime.providers).toEqual(['cpu']);
    expect(model.runtime.fallbacks).toHaveLength(3);
    for (const [index, name] of ['tensorrt', 'cuda', 'openvino'].entries())
      expect(model.runtime.fallbacks[index]).toMatch(new RegExp(`^${name} is not available: .+`));
    const x = new Float32Array(16);
    expect(await model.run([{ name: 'x', datatype: 'FP32', shape: [1, 16], data: x }])).toHaveLength(1);
  });

  it('that stand behind the CPU are not asked', async () => {
    const model = await loadWith(() => ({ onnx: { executionProviders: ['cpu', 'cuda'] } }));
    expect(model.runtime).toEqual({ providers: ['cpu'], threads: 1, fallbacks: [] });
  });
});

it('computes the same however the graph is optimised and its operators are threaded', async () => {
  const data = Float32Array.from({ length: 32 }, (_value, index) => Math.sin(index));
  const answers: number[][] = [];
  for (const onnx of [
    {},
    { graphOptimization: 'disabled' },
    { graphOptimization: 'basic', interOpThreads: 2 },
  ] as const) {
    const model = await loadWith(() => ({ onnx }));
    const [y] = await model.run([{ name: 'x', datatype: 'FP32', shape: [2, 16], data }]);
    answers.push([...(y!.data as Float32Array)]);
  }
  for (const answer of answers)
    answer.forEach((value, index) => expect(value).toBeCloseTo(answers[0]?.[index] ?? NaN, 5));
});
