import OpenAI, { APIError, NotFoundError } from 'openai';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { SluiceInstance } from '../support/sluice-instance.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

let sluice: SluiceInstance;
let client: OpenAI;

beforeAll(async () => {
  sluice = await SluiceInstance.start();
  // As the person does it who tries it out.
  const env = { ...process.env, SLUICE_HOME: sluice.home, SLUICE_PORT: String(sluice.port) };
  const { stdout } = await run(process.execPath, ['dist/apps/cli/main.js', 'sample', 'chat'], { cwd: root, env });
  expect(stdout).toContain('Ask it:');
  client = new OpenAI({ apiKey: await sluice.adminKey(), baseURL: `${sluice.base}/v1`, maxRetries: 0 });
});
afterAll(async () => sluice?.[Symbol.asyncDispose]());

const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];
const asked = { model: 'chat', messages, temperature: 0, seed: 1, max_tokens: 24 };

const metric = async (name: string): Promise<number> => {
  const { body } = await sluice.call('GET', '/metrics');
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(String(body))?.[1] ?? Number.NaN);
};

it('chats with the sample model, whole and streamed with the same words, and counts the tokens', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  expect(names).toEqual(['chat']);

  const { data: whole, response } = await client.chat.completions.create(asked).withResponse();
  expect(whole.model).toBe('chat');
  expect(whole.choices[0]!.message.content).toMatch(/Paris/);
  expect(whole.usage!.completion_tokens).toBeGreaterThan(3);
  expect(response.headers.get('sluice-arm')).toBe('stable');

  const chunks = [];
  const stream = await client.chat.completions.create({
    ...asked,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) chunks.push(chunk);
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0]!.message.content);
  expect(chunks.at(-1)!.usage).toEqual(whole.usage);

  const { body } = await sluice.call('GET', '/metrics');
  for (const name of [
    'gen_ai_client_token_usage',
    'gen_ai_server_time_to_first_token',
    'gen_ai_server_request_duration',
  ])
    expect(String(body)).toMatch(new RegExp(`^${name}\\w*_count\\{[^}]*gen_ai_request_model="chat"`, 'm'));
});

it('responds, keeps to a JSON schema, and fails as the SDK expects it', async () => {
  const response = await client.responses.create({
    model: 'chat',
    input: 'Name a colour.',
    temperature: 0,
    max_output_tokens: 32,
    text: {
      format: {
        type: 'json_schema',
        name: 'colour',
        strict: true,
        schema: {
          type: 'object',
          properties: { colour: { enum: ['red', 'green'] } },
          required: ['colour'],
          additionalProperties: false,
        },
      },
    },
  });
  expect(['red', 'green']).toContain((JSON.parse(response.output_text) as { colour: string }).colour);
  const events: string[] = [];
  for await (const { type } of await client.responses.create({
    model: 'chat',
    input: 'Hi',
    max_output_tokens: 4,
    stream: true,
  }))
    events.push(type);
  expect([events[0], events.at(-1)]).toEqual([
    'response.created',
    expect.stringMatching(/^response\.(completed|incomplete)$/),
  ]);

  await expect(client.chat.completions.create({ ...asked, model: 'nobody' })).rejects.toBeInstanceOf(NotFoundError);
  await expect(client.chat.completions.create({ ...asked, model: 'tone' })).rejects.toBeInstanceOf(NotFoundError);
  const tooLong = await client.chat.completions
    .create({ ...asked, messages: [{ role: 'user', content: 'word '.repeat(1_000_000) }] })
    .catch((error: unknown) => error);
  expect([(tooLong as APIError).status, (tooLong as APIError).code]).toEqual([400, 'context_length_exceeded']);
});

it('stops generating when the caller hangs up, so that the next one has the place', async () => {
  const long = {
    ...asked,
    max_tokens: 2_000,
    messages: [{ role: 'user' as const, content: 'Count to one thousand.' }],
  };
  // More than there are places: without an end at the hang-up the last ones would wait for the first.
  for (let round = 0; round < 12; round += 1) {
    const stream = await client.chat.completions.create({ ...long, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  }
  await vi.waitFor(async () => expect(await metric('sluice_inference_language_requests_in_flight')).toBe(0));
  const startedMs = performance.now();
  await client.chat.completions.create({ ...asked, max_tokens: 4 });
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});
