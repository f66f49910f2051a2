import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';
import { tritonclientPython } from '../support/tritonclient.js';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

let sluice: SluiceInstance;
let python: string;

beforeAll(async () => {
  python = await tritonclientPython();
  sluice = await SluiceInstance.start();
});
afterAll(async () => sluice?.[Symbol.asyncDispose]());

it('answers the real tritonclient as onnxruntime answers on the same file', async () => {
  const { stdout } = await run(
    python,
    [here('./tritonclient_check.py'), `127.0.0.1:${sluice.port}`, here('../../deploy/models/tone/1/model.onnx')],
    { env: { ...process.env, SLUICE_KEY: await sluice.adminKey() } },
  );
  const seen = JSON.parse(stdout);
  expect(seen).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    version_ready: true,
    server: { name: 'sluice' },
    model: {
      name: 'tone',
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
      ],
    },
    version: { name: 'tone' },
    id: 'from-triton',
    labels_equal: true,
    binary_labels_equal: true,
    binary_is_binary: true,
    mixed_labels_equal: true,
    shape: [6, 3],
    dtype: 'float32',
  });
  expect(seen.model.versions).toContain('1');
  for (const difference of [
    'largest_difference',
    'single_difference',
    'default_outputs_difference',
    'binary_difference',
    'mixed_difference',
  ]) {
    expect(seen[difference], difference).toBeLessThan(1e-6);
  }
  expect(seen.refusal).toContain('txet');
});
