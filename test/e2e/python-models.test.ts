import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildModels, frameworkInterpreter } from '../support/python-runtime.js';
import { pathWithUv } from '../support/python-environment.js';
import { SluiceInstance } from '../support/sluice-instance.js';

it('serves a Keras model, whose environment it makes when the first replica is to start, and says so meanwhile', async () => {
  await using models = await buildModels('tensorflow', await frameworkInterpreter('tensorflow'), 'keras');
  await using sluice = await SluiceInstance.start({ env: { PATH: await pathWithUv() } });
  const folder = join(models.folder, 'keras/dense');
  expect(await sluice.call('POST', '/api/models', { path: folder })).toMatchObject({ status: 201 });
  const endpoint = { name: 'net', model: 'dense', version: '1' };
  expect(await sluice.call('POST', '/api/endpoints', endpoint)).toMatchObject({ status: 201 });

  const reasons = new Set<string>();
  const isReady = async (): Promise<boolean> => {
    const { body } = await sluice.call('GET', '/api/replicas');
    for (const { model, state, reason } of body.replicas as { model: string; state: string; reason: string | null }[])
      if (model === 'dense') reasons.add(`${state}: ${reason ?? ''}`);
    return (await sluice.call('GET', '/v2/models/net/ready')).status === 200;
  };
  await expect.poll(isReady, { timeout: 240_000, interval: 100 }).toBe(true);
  expect([...reasons][0]).toContain('starting: its Python environment for tensorflow is being made');
  expect([...reasons].filter((reason) => reason.startsWith('failed'))).toEqual([]);

  const inputs = [{ name: 'x', datatype: 'FP32', shape: [2, 16], data: new Array<number>(32).fill(0.5) }];
  const answer = await sluice.call('POST', '/v2/models/net/infer', { inputs });
  expect(answer).toMatchObject({ status: 200, body: { outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 3] }] } });
  const [a, b, c] = answer.body.outputs[0].data as number[];
  expect(a! + b! + c!).toBeCloseTo(1, 4);
  expect(await sluice.stop()).toBe(0);
}, 600_000);
