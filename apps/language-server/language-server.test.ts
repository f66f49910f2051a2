import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LanguageServer } from '../../test/support/language-server.js';

const chat = '/v1/chat/completions';
const language = { contextTokens: 512, sequences: 3, defaultMaxTokens: 64 };
const hello = [{ role: 'user', content: 'Say hello.' }];
const user = (content: unknown) => [{ role: 'user', content }];
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city',
    parameters: { type: 'object', properties: { city: { type: 'string', maxLength: 20 } }, required: ['city'] },
  },
};
const callOf = (city: string) => ({
  id: city,
  type: 'function',
  function: { name: 'get_weather', arguments: JSON.stringify({ city }) },
});

let server: LanguageServer;
beforeAll(async () => {
  server = await LanguageServer.start({ manifest: { language, queue: { maxRequests: 4 } } });
});
afterAll(() => server[Symbol.asyncDispose]());

const ask = (body: object, path = chat) => server.ask(path, { model: 'chat', temperature: 0, max_tokens: 24, ...body });

async function events(body: object): Promise<any[]> {
  const answer = await server.agent.request({
    origin: 'http://localhost',
    path: chat,
    method: 'POST',
    body: JSON.stringify({ model: 'chat', temperature: 0, max_tokens: 24, stream: true, ...body }),
  });
  const lines = (await answer.body.text()).split('\n\n').filter(Boolean);
  expect(lines.at(-1)).toBe('data: [DONE]');
  return lines.slice(0, -1).map((line) => JSON.parse(line.slice('data: '.length)) as unknown);
}

describe('what may be asked', () => {
  it('gives the same answer to the same seed, another to another, and always the same at temperature 0', async () => {
    const asked = { messages: user('Invent a name for a ship.'), temperature: 1.2 };
    const textOf = async (body: object): Promise<string> => (await ask(body)).body.choices[0].message.content as string;
    const [one, again] = [await textOf({ ...asked, seed: 7 }), await textOf({ ...asked, seed: 7 })];
    expect(again).toBe(one);
    expect(await textOf({ ...asked, seed: -8 })).not.toBe(one);
    const greedy = { ...asked, temperature: 0 };
    expect(await textOf({ ...greedy, seed: 1 })).toBe(await textOf({ ...greedy, seed: 2 }));
  });

  it('gives n answers, each its own, and counts the prompt once', async () => {
    const { body } = await ask({ messages: user('Invent a name.'), n: 3, temperature: 1.5, seed: 1, max_tokens: 12 });
    const texts = body.choices.map((choice: any) => choice.message.content as string);
    expect(new Set(texts).size).toBe(3);
    const { body: alone } = await ask({ messages: user('Invent a name.'), max_tokens: 1 });
    expect(body.usage.prompt_tokens).toBe(alone.usage.prompt_tokens);
  });

  it('tells the likelihood of each token and of those beside it, by the model itself', async () => {
    const { body } = await ask({ messages: hello, logprobs: true, top_logprobs: 3 });
    const { content } = body.choices[0].logprobs;
    expect(content).toHaveLength(body.usage.completion_tokens);
    expect(content.map(({ token }: any) => token as string).join('')).toBe(body.choices[0].message.content);
    for (const { token, logprob, bytes, top_logprobs: top } of content) {
      expect(Buffer.from(bytes).toString()).toBe(token);
      // At temperature 0 the most likely one was taken.
      expect(top).toHaveLength(3);
      expect(top[0]).toMatchObject({ token, logprob });
      expect(top.reduce((sum: number, one: any) => sum + Math.exp(one.logprob), 0)).toBeLessThanOrEqual(1.0001);
    }
  });

  it('tells them in streams and for plain completions as well', async () => {
    const streamed = await events({ messages: hello, logprobs: true, max_tokens: 6 });
    expect(streamed.flatMap((event) => event.choices[0].logprobs?.content ?? [])).toHaveLength(6);
    const { body } = await ask({ prompt: 'One, two,', logprobs: 2, max_tokens: 4 }, '/v1/completions');
    const { tokens, text_offset: offsets, token_logprobs: logs } = body.choices[0].logprobs;
    expect([tokens.length, offsets.length, logs.length]).toEqual([4, 4, 4]);
    expect(tokens.join('')).toBe(body.choices[0].text);
  });

  it('keeps away from a banned token, and cannot resist a favoured one', async () => {
    const { body } = await ask({ messages: hello, logprobs: true, max_tokens: 1 });
    const first = body.choices[0].message.content as string;
    const prompt = { messages: hello, max_tokens: 3 };
    // The tokens' numbers are told by nobody, so they are looked for among the vocabulary's first letters.
    const favoured = await ask({ ...prompt, logit_bias: { 49: 100 } });
    expect(new Set(favoured.body.choices[0].message.content).size).toBe(1);
    const banned = await ask({ ...prompt, logit_bias: { 49: -100 } });
    expect(banned.body.choices[0].message.content.startsWith(first)).toBe(true);
  });

  it('repeats itself less under penalties', async () => {
    const repeat = { prompt: 'yes yes yes yes yes yes yes yes', max_tokens: 24 };
    const words = async (body: object): Promise<number> => {
      const { body: answer } = await ask(body, '/v1/completions');
      return new Set((answer.choices[0].text as string).trim().split(/\s+/)).size;
    };
    expect(await words({ ...repeat, frequency_penalty: 2, presence_penalty: 2 })).toBeGreaterThan(await words(repeat));
  });

  it('answers by a JSON schema, and with any JSON object', async () => {
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 }, size: { enum: ['small', 'large'] } },
      required: ['city', 'size'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } };
    const { body } = await ask({ messages: user('Name a city.'), response_format: format, max_tokens: 60 });
    const place = JSON.parse(body.choices[0].message.content) as Record<string, unknown>;
    expect(Object.keys(place)).toEqual(['city', 'size']);
    expect(['small', 'large']).toContain(place['size']);
    const any = await ask({
      messages: user('Give {"a":1} back.'),
      response_format: { type: 'json_object' },
      max_tokens: 90,
    });
    const { message, finish_reason: reason } = any.body.choices[0];
    expect(message.content).toMatch(/^\{/);
    if (reason === 'stop') expect(typeof JSON.parse(message.content)).toBe('object');
  });

  it('calls a tool that it has to call, whole and streamed alike', async () => {
    const asked = {
      messages: user('How is the weather in Paris?'),
      tools: [weather],
      tool_choice: 'required',
      max_tokens: 60,
    };
    const { body } = await ask(asked);
    const { message, finish_reason: reason } = body.choices[0];
    expect(reason).toBe('tool_calls');
    expect(message).toMatchObject({
      content: null,
      tool_calls: [{ type: 'function', function: { name: 'get_weather' } }],
    });
    expect(typeof JSON.parse(message.tool_calls[0].function.arguments).city).toBe('string');
    const deltas = (await events(asked)).map((event) => event.choices[0].delta);
    const calls = deltas.flatMap((delta) => delta.tool_calls ?? []);
    expect(calls[0]).toMatchObject({
      index: 0,
      id: expect.stringMatching(/^call_/) as unknown,
      function: { name: 'get_weather' },
    });
    expect(calls.map((call: any) => call.function.arguments as string).join('')).toBe(
      message.tool_calls[0].function.arguments,
    );
  });

  it('calls the tool that is named, and none when none may be called', async () => {
    const other = { type: 'function', function: { name: 'now' } };
    const asked = { messages: user('How is the weather in Paris?'), tools: [weather, other], max_tokens: 40 };
    const named = await ask({ ...asked, tool_choice: { type: 'function', function: { name: 'now' } } });
    expect(named.body.choices[0].message.tool_calls[0].function).toEqual({ name: 'now', arguments: '{}' });
    const none = await ask({ ...asked, tool_choice: 'none' });
    expect(none.body.choices[0].message.tool_calls).toBeUndefined();
  });

  it('calls a tool by its own choice, and says nothing of the syntax, whole and streamed alike', async () => {
    // Two calls that went well lead the model to a third.
    const turns = ['Rome', 'Berlin'].flatMap((city) => [
      ...user(`How is the weather in ${city}?`),
      { role: 'assistant', content: null, tool_calls: [callOf(city)] },
      { role: 'tool', tool_call_id: city, content: '{"sky":"clear"}' },
      { role: 'assistant', content: 'Clear.' },
    ]);
    const asked = { messages: [...turns, ...user('How is the weather in Paris?')], tools: [weather], max_tokens: 60 };
    const { body } = await ask(asked);
    const called = { name: 'get_weather', arguments: '{"city": "Paris"}' };
    expect(body.choices[0]).toMatchObject({
      message: { content: null, tool_calls: [{ function: called }] },
      finish_reason: 'tool_calls',
    });
    const streamed = await events({ ...asked, stream_options: { include_usage: true } });
    const deltas: any[] = streamed.flatMap((event) => event.choices.map((choice: any) => choice.delta));
    expect(deltas.map((delta) => delta.content ?? '').join('')).toBe('');
    const calls = deltas.flatMap((delta) => delta.tool_calls ?? []);
    expect(calls.map((call) => call.function.arguments as string).join('')).toBe(called.arguments);
    expect(streamed.at(-1).usage).toEqual(body.usage);
  });

  it('goes on after the result of a tool', async () => {
    const messages = [
      ...user('How is the weather in Rome?'),
      { role: 'assistant', content: null, tool_calls: [callOf('Rome')] },
      { role: 'tool', tool_call_id: 'Rome', content: '{"sky":"clear","celsius":31}' },
    ];
    const { status, body } = await ask({ messages, tools: [weather], tool_choice: 'none' });
    expect(status).toBe(200);
    expect(body.choices[0].message.content.length).toBeGreaterThan(0);
  });

  it('reads content in parts, all roles, and text that looks like control tokens as text', async () => {
    const parts = [
      { type: 'text', text: 'Say ' },
      { type: 'text', text: 'hello.' },
    ];
    const [whole, inParts] = [await ask({ messages: hello }), await ask({ messages: user(parts) })];
    expect(inParts.body.choices[0].message).toEqual(whole.body.choices[0].message);
    const roles = ['system', 'developer'].map((role) => ({ role, content: 'Be brief.' }));
    expect((await ask({ messages: [...roles, ...hello] })).status).toBe(200);
    const control = await ask({ messages: user('<|im_end|>'), max_tokens: 1 });
    const plain = await ask({ messages: user('x'), max_tokens: 1 });
    // As a control token it would be one token, as x is.
    expect(control.body.usage.prompt_tokens).toBeGreaterThan(plain.body.usage.prompt_tokens + 1);
  });

  it('completes several prompts, texts or tokens', async () => {
    const { body } = await ask({ prompt: ['One, two,', 'Red, green,'], max_tokens: 3 }, '/v1/completions');
    expect(body.choices.map(({ index }: any) => index as number)).toEqual([0, 1]);
    expect(body.usage.completion_tokens).toBe(6);
    expect((await ask({ prompt: [504, 253], max_tokens: 3 }, '/v1/completions')).body.usage.prompt_tokens).toBe(2);
  });

  it('generates no text where it embeds none, and says so', async () => {
    const { status, body } = await server.ask('/v1/embeddings', { model: 'chat', input: 'x' });
    expect([status, body.error.code]).toEqual([400, 'unsupported_task']);
  });
});

describe('tensors', () => {
  const infer = '/v2/models/smollm2-135m-instruct/infer';

  it('gives each row the answer that it gets alone', async () => {
    const texts = ['One, two,', 'The sky is', 'Paris is the capital of', 'Red, green,', 'Once upon'];
    const rows = async (data: string[]) => {
      const inputs = [{ name: 'text_input', datatype: 'BYTES', shape: [data.length], data }];
      const { body } = await server.ask(infer, { inputs, parameters: { max_tokens: 4 } });
      return body.outputs[0].data as string[];
    };
    const together = await rows(texts);
    for (const [at, text] of texts.entries()) expect(await rows([text])).toEqual([together[at]]);
  });

  it('describes itself as its manifest does, and refuses by the protocol', async () => {
    expect((await server.ask('/v2/models/smollm2-135m-instruct')).body).toMatchObject({
      platform: 'llama_cpp_gguf',
      inputs: [{ name: 'text_input', datatype: 'BYTES', shape: [-1] }],
      outputs: [{ name: 'text_output', datatype: 'BYTES', shape: [-1] }],
    });
    expect(await server.ask('/v2/models/other/ready')).toMatchObject({ status: 404 });
    expect(await server.ask(infer, { inputs: [] })).toMatchObject({
      status: 400,
      body: { error: expect.any(String) as unknown },
    });
    const inputs = [{ name: 'text_input', datatype: 'BYTES', shape: [1], data: ['x'] }];
    const wrong = await server.ask(infer, { inputs, parameters: { temperature: 'hot' } });
    expect(wrong).toMatchObject({ status: 400, body: { error: expect.stringContaining('temperature') as unknown } });
  });
});
