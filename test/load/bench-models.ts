import { existsSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { pythonEnvironment } from '../support/python-environment.ts';
import type { SluiceInstance } from '../support/sluice-instance.ts';
import { toolsFolder } from '../support/temporal.ts';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** `dense` is 16-64-3 and lies in the repository; `wide` is 384-1024-1024-512-8, eight megabytes that are made when needed. */
export type BenchModel = 'dense' | 'wide';

export const inputWidth: Record<BenchModel, number> = { dense: 16, wide: 384 };
export const shapeOf: Record<BenchModel, string> = { dense: '16-64-3', wide: '384-1024-1024-512-8' };

/** @returns the folder with `model.onnx` and `sluice.json` */
export async function modelFolder(model: BenchModel): Promise<string> {
  if (model === 'dense') return here('../models/dense');
  const folder = join(toolsFolder, 'bench-models', 'wide-1');
  if (!existsSync(join(folder, 'sluice.json'))) {
    const python = await pythonEnvironment('onnx', ['onnx==1.23.2', 'numpy==2.4.6']);
    await run(python, [here('./wide-model.py'), folder]);
  }
  return folder;
}

/** Registers the model, gives it an endpoint of its name, and waits until that answers. */
export async function offerModel(sluice: SluiceInstance, model: BenchModel): Promise<void> {
  await expectStatus(sluice.call('POST', '/api/models', { path: await modelFolder(model) }), [200, 201]);
  await expectStatus(sluice.call('POST', '/api/endpoints', { name: model, model, version: '1' }), [201]);
  const deadline = performance.now() + 60_000;
  while ((await sluice.call('GET', `/v2/models/${model}/ready`)).status !== 200) {
    if (performance.now() > deadline) throw new Error(`the model ${model} did not become ready`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function expectStatus(
  call: Promise<{ status: number; body: unknown }>,
  statuses: readonly number[],
): Promise<void> {
  const { status, body } = await call;
  if (!statuses.includes(status)) throw new Error(`unexpected answer ${status}: ${JSON.stringify(body)}`);
}

/**
 * One row of the model's input; the same values for everybody. Single precision with all its digits, as a client has them that
 * sends an embedding: short decimals would make JSON look cheaper than it is.
 */
export const sampleRow = (model: BenchModel): number[] =>
  Array.from({ length: inputWidth[model] }, (_, index) => Math.fround(Math.sin(index + 1) / 2));

/** An infer request of the Open Inference Protocol with one row, in JSON. */
export const jsonRequest = (model: BenchModel): string =>
  JSON.stringify({
    id: 'bench',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, inputWidth[model]], data: sampleRow(model) }],
  });

/** The same with binary tensors in both directions. `headerLength` goes into `Inference-Header-Content-Length`. */
export function binaryRequest(model: BenchModel): { body: Buffer; headerLength: number } {
  const values = Float32Array.from(sampleRow(model));
  const header = Buffer.from(
    JSON.stringify({
      id: 'bench',
      parameters: { binary_data_output: true },
      inputs: [
        {
          name: 'x',
          datatype: 'FP32',
          shape: [1, inputWidth[model]],
          parameters: { binary_data_size: values.byteLength },
        },
      ],
    }),
  );
  return { body: Buffer.concat([header, Buffer.from(values.buffer)]), headerLength: header.length };
}
