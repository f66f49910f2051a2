import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { describe, expect, it } from 'vitest';
import { fetchSmolLm2 } from '#libs/platform';
import { LanguageServer } from '../../test/support/language-server.js';
import { toolsFolder } from '../../test/support/temporal.js';

describe('an embedding model', () => {
  it('gives each text a vector of length 1, the same alone and among others, by both protocols', async () => {
    const language = { contextTokens: 256 };
    await using server = await LanguageServer.start({ manifest: { task: 'embedding', language } });
    const embed = async (input: unknown, more: object = {}) =>
      (await server.ask('/v1/embeddings', { model: 'm', input, ...more })).body;
    const { data, usage } = await embed(['a dog', 'a cat', 'a theorem']);
    expect(data.map(({ index }: any) => index as number)).toEqual([0, 1, 2]);
    for (const { embedding } of data) expect(Math.hypot(...(embedding as number[]))).toBeCloseTo(1, 5);
    expect((await embed('a cat')).data[0].embedding).toEqual(data[1].embedding);
    expect(usage.total_tokens).toBe(usage.prompt_tokens);

    const base64 = (await embed('a dog', { encoding_format: 'base64' })).data[0].embedding as string;
    const bytes = Buffer.from(base64, 'base64');
    expect(bytes.readFloatLE(4)).toBeCloseTo(data[0].embedding[1] as number, 6);

    const inputs = [{ name: 'text_input', datatype: 'BYTES', shape: [2], data: ['a dog', 'a cat'] }];
    const { body } = await server.ask('/v2/models/smollm2-135m-instruct/infer', { inputs });
    expect(body.outputs[0]).toMatchObject({ name: 'embedding', shape: [2, data[0].embedding.length] });
    expect(body.outputs[0].data.slice(0, 3)).toEqual(
      data[0].embedding.slice(0, 3).map((value: number) => expect.closeTo(value, 6) as unknown),
    );

    expect(await server.ask('/v1/embeddings', { model: 'm', input: 'x', dimensions: 3 })).toMatchObject({
      status: 400,
    });
    expect(await embed([''])).toMatchObject({ error: { param: 'input.0' } });
    expect(await embed('word '.repeat(300))).toMatchObject({ error: { code: 'context_length_exceeded' } });
    const chat = await server.ask('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'x' }] });
    expect(chat).toMatchObject({ status: 400, body: { error: { code: 'unsupported_task' } } });
    expect(await server.drain()).toBe(0);
  });
});

it('says over a socket of its own whether it lives, and tells its parent what it runs on', async () => {
  await using folder = await temporaryFolder();
  const livenessPath = join(folder.path, 'model.live');
  await using server = await LanguageServer.start({ env: { SLUICE_LIVENESS_SOCKET: livenessPath } });
  expect(server.readyMessage).toEqual({
    kind: 'ready',
    runtime: { providers: ['cpu'], threads: 1, fallbacks: [] },
    livenessSocket: livenessPath,
  });
  const agent = new Agent({ connect: { socketPath: livenessPath } });
  const answer = await agent.request({ origin: 'http://localhost', path: '/v2/health/live', method: 'GET' });
  expect([answer.statusCode, await answer.body.json()]).toEqual([200, { live: true }]);
  await agent.destroy();
});

it('ends what is not done by the deadline of a drain with an error, and not in silence', async () => {
  await using server = await LanguageServer.start({ env: { SLUICE_DRAIN_SECONDS: '3' } });
  const body = {
    model: 'm',
    prompt: 'Once upon a time',
    max_tokens: 2_000,
    stream: true,
    logit_bias: { 2: -100, 0: -100 },
  };
  const answer = await server.agent.request({
    origin: 'http://localhost',
    path: '/v1/completions',
    method: 'POST',
    body: JSON.stringify(body),
  });
  const text = answer.body.text();
  expect(await server.drain()).toBe(0);
  const events = (await text).split('\n\n').filter(Boolean);
  expect(JSON.parse(events.at(-1)!.slice('data: '.length))).toMatchObject({ error: { code: 'not_ready' } });
});

describe('a model that cannot be served', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['a context that it was not trained on', { language: { contextTokens: 100_000 } }, 'trained on at most 8192'],
    ['another format', { format: 'onnx' }, 'only gguf'],
    ['files that are others', { files: [{ path: 'x.gguf', sha256: '0'.repeat(64) }] }, 'x.gguf cannot be read'],
    ['no weights', { files: [] }, 'exactly one .gguf file'],
    ['a warm-up that is none', { warmup: [{ text: ['x'] }] }, 'warmup[0]: must hold text_input alone'],
    [
      'a warm-up that is too long',
      { language: { contextTokens: 64 }, warmup: [{ text_input: ['x '.repeat(99)] }] },
      'more than the context',
    ],
  ])('is refused with its reason: %s', async (_what, manifest, reason) => {
    await expect(LanguageServer.start({ manifest: { ...manifest } })).rejects.toThrow(reason);
  });

  it.each<[string, (weights: Buffer) => Buffer, string]>([
    ['no weights', () => Buffer.from('weights, or not'), 'is no GGUF file'],
    [
      'weights of a version to come',
      (weights) => Buffer.concat([weights.subarray(0, 4), Buffer.alloc(20, 9)]),
      'is no GGUF file',
    ],
    ['half the weights', (weights) => weights.subarray(0, weights.length / 2), 'the runtime cannot load the model'],
    ['half their description', (weights) => weights.subarray(0, 100_000), 'the runtime cannot load the model'],
  ])('is refused when its file holds %s', async (_what, spoil, reason) => {
    const whole = await fetchSmolLm2(toolsFolder);
    const [name] = (await readdir(whole)).filter((file) => file.endsWith('.gguf'));
    const content = spoil(await readFile(join(whole, name!)));
    const sha256 = createHash('sha256').update(content).digest('hex');
    const start = LanguageServer.start({
      manifest: { files: [{ path: 'broken.gguf', sha256 }] },
      prepare: (folder) => writeFile(join(folder, 'broken.gguf'), content),
    });
    await expect(start).rejects.toThrow(reason);
  });
});

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'live-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
