import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';
import { toolsFolder } from '../support/temporal.js';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const environment = join(toolsFolder, 'tritonclient');
const packages = ['tritonclient[http]==2.73.0', 'onnxruntime==1.30.0', 'numpy>=2,<3'];

let sluice: SluiceInstance;

beforeAll(async () => {
  await installClient();
  sluice = await SluiceInstance.start();
});
afterAll(async () => sluice?.[Symbol.asyncDispose]());

it('answers the real tritonclient as onnxruntime answers on the same file', async () => {
  const { stdout } = await run(
    join(environment, 'bin', 'python'),
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
    shape: [6, 3],
    dtype: 'float32',
  });
  expect(seen.model.versions).toContain('1');
  for (const difference of ['largest_difference', 'single_difference', 'default_outputs_difference']) {
    expect(seen[difference], difference).toBeLessThan(1e-6);
  }
  expect(seen.refusal).toContain('txet');
});

async function installClient(): Promise<void> {
  const marker = join(environment, 'lib', 'installed');
  if (existsSync(marker)) return;
  await rm(environment, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', environment]);
  await run(join(environment, 'bin', 'python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    ...packages,
  ]);
  await run('touch', [marker]);
}
