import { SluiceError } from '#libs/kernel';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from './field-rules.js';
import { checkedChat, checkedCompletion, checkedEmbedding, type CheckedAsk } from './openai-request.js';

const user = { role: 'user', content: 'hi' };
const chat = (more: object): CheckedAsk => checkedChat({ model: 'chat', messages: [user], ...more });
const refusalOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof SluiceError) return error.message;
    throw error;
  }
  return 'taken';
};
const tool = (parameters: unknown): JsonObject => ({ type: 'function', function: { name: 'f', parameters } });
const nested = (depth: number): JsonObject => (depth === 0 ? {} : { properties: { a: nested(depth - 1) } });

describe('a chat', () => {
  it.each<[object, string]>([
    [{ messages: undefined }, 'messages: is missing'],
    [{ messages: [] }, 'messages: has 0 entries; send at least 1'],
    [{ messages: 'hi' }, 'messages: must be an array'],
    [{ messages: [user, { role: 'wizard', content: '' }] }, 'messages[1].role: must be one of developer, system'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content: is missing'],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages[0].content: must be a text or an array of parts'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text: is missing'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'x' }] }] },
      'messages[0].content[0].image_url: must be an object',
    ],
    [
      { messages: [{ role: 'assistant', content: null }] },
      'messages[0].content: is missing, and there are no tool_calls',
    ],
    [
      { messages: [{ role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f' } }] }] },
      'messages[0].tool_calls[0].function.arguments: is missing',
    ],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id: must be a text'],
    [{ temperature: 2.1 }, 'temperature: must be a number from 0 to 2'],
    [{ temperature: 'hot' }, 'temperature: must be a number'],
    [{ top_p: -0.1 }, 'top_p: must be a number from 0 to 1'],
    [{ n: 0 }, 'n: must be a whole number from 1 to 128'],
    [{ n: 1.5 }, 'n: must be a whole number'],
    [{ max_tokens: 0 }, 'max_tokens: must be a whole number of at least 1'],
    [{ max_completion_tokens: -1 }, 'max_completion_tokens: must be a whole number'],
    [{ presence_penalty: 3 }, 'presence_penalty: must be a number from -2 to 2'],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop: has 5 entries; send at most 4'],
    [{ stop: [1] }, 'stop[0]: must be a text'],
    [{ seed: 0.5 }, 'seed: must be a whole number'],
    [{ stream: 'yes' }, 'stream: must be true or false'],
    [{ stream_options: { include_usage: true } }, 'stream_options: needs stream to be true'],
    [{ stream: true, stream_options: { include_usage: 1 } }, 'stream_options.include_usage: must be true or false'],
    [{ logit_bias: { 5: 101 } }, 'logit_bias.5: must be a number from -100 to 100'],
    [{ top_logprobs: 3 }, 'top_logprobs: needs logprobs to be true'],
    [{ store: true }, 'store: must be false or be left out'],
    [{ metadata: { a: 1 } }, 'metadata.a: must be a text'],
    [{ tool_choice: 'required' }, 'tool_choice: needs tools'],
    [
      { tools: [tool({})], tool_choice: { type: 'function', function: { name: 'g' } } },
      'tool_choice.function.name: names none of the tools',
    ],
    [
      { tools: [{ type: 'function', function: { name: 'not a name' } }] },
      'tools[0].function.name: must be 1 to 64 letters',
    ],
    [{ tools: [{ type: 'wizardry' }] }, 'tools[0].type: must be function or custom'],
    [{ response_format: { type: 'xml' } }, 'response_format.type: must be one of text, json_object, json_schema'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema: must be an object'],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'objekt' } } } },
      'response_format.json_schema.schema.type: is not valid in a JSON schema',
    ],
    [{ model: 7 }, 'model: must be the name of an endpoint'],
    [{ model: '../x' }, 'there is no endpoint ../x'],
    [{ model: 'chat:' }, 'there is no endpoint chat:'],
  ])('is refused with the field and the fix: %j', (more, sentence) => {
    expect(refusalOf(() => chat(more))).toContain(sentence);
  });

  it('passes on what it does not know, and leaves nulls to mean nothing', () => {
    const ask = chat({ temperature: null, stop: null, min_p: 0.1, chat_template_kwargs: { a: 1 }, stream: null });
    expect(ask.body).toEqual({
      messages: [user],
      temperature: null,
      stop: null,
      min_p: 0.1,
      chat_template_kwargs: { a: 1 },
    });
    expect([ask.endpoint, ask.version, ask.isStream, ask.choices]).toEqual(['chat', undefined, false, 1]);
    expect(chat({ model: 'chat:1.2-b', n: 3 })).toMatchObject({ endpoint: 'chat', version: '1.2-b', choices: 3 });
  });

  it('takes every kind of message, and counts the text in them', () => {
    const ask = chat({
      messages: [
        { role: 'developer', content: 'abc' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'defg' },
            { type: 'video_url', video_url: {} },
          ],
        },
        { role: 'assistant', tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: '1', content: 'h' },
      ],
    });
    expect(ask.prompt).toEqual({ field: 'messages', characters: 8, tokens: 0 });
  });
});

describe('the schema of a tool', () => {
  it.each<[unknown, string]>([
    ['a schema', 'must be a JSON schema object'],
    [[], 'must be a JSON schema object'],
    [{ type: 'strin' }, '.type: is not valid in a JSON schema'],
    [{ properties: { a: { minimum: 'low' } } }, '.properties.a.minimum: is not valid in a JSON schema'],
    [{ required: 'a' }, '.required: is not valid in a JSON schema'],
    [
      { properties: { a: { $ref: 'https://example.org/a.json' } } },
      '.properties.a.$ref: must point into the schema itself',
    ],
    [{ items: { $ref: '#/$defs/none' } }, '.items.$ref: points to #/$defs/none, where there is nothing'],
    [{ $ref: '#/__proto__/x' }, 'where there is nothing'],
    [{ pattern: '(' }, '.pattern: is not a regular expression'],
    [{ patternProperties: { '[': {} } }, '.patternProperties: is not a regular expression'],
    [{ $schema: 'https://example.org/own' }, '.$schema: must be https://json-schema.org/draft/2020-12/schema or'],
    [nested(40), 'is nested deeper than 64 levels'],
    [{ enum: Array.from({ length: 20_001 }, (_value, at) => at) }, 'has more than 20000 values'],
  ])('is refused: %j', (parameters, problem) => {
    const message = refusalOf(() => chat({ tools: [tool(parameters)] }));
    expect(message).toMatch(/^tools\[0\]\.function\.parameters/);
    expect(message).toContain(problem);
  });

  it.each<[unknown]>([
    [{}],
    [
      {
        type: 'object',
        properties: { city: { type: 'string' }, $ref: { type: 'string' } },
        required: ['city'],
        additionalProperties: false,
      },
    ],
    [
      {
        $schema: 'http://json-schema.org/draft-07/schema#',
        definitions: { a: { type: 'null' } },
        items: [{ $ref: '#/definitions/a' }],
      },
    ],
    [
      {
        $defs: { 'a/b': { anyOf: [{ type: 'string', format: 'no-known-format' }, { $ref: '#' }] } },
        $ref: '#/$defs/a~1b',
      },
    ],
    [{ default: { $ref: 'not a reference' }, const: { pattern: '(' } }],
  ])('is taken: %j', (parameters) => {
    expect(refusalOf(() => chat({ tools: [tool(parameters)] }))).toBe('taken');
  });

  it('is never run as code', () => {
    const trap = {
      type: 'object',
      $comment: '*/ globalThis.sprung = true; /*',
      properties: { "a'];globalThis.sprung=true;//": {} },
    };
    expect(refusalOf(() => chat({ tools: [tool(trap)] }))).toBe('taken');
    expect((globalThis as { sprung?: boolean }).sprung).toBeUndefined();
  });
});

describe('a completion and an embedding', () => {
  it.each<[object, string]>([
    [{}, 'prompt: is missing'],
    [{ prompt: 7 }, 'prompt: must be a text or an array of token ids'],
    [{ prompt: [] }, 'prompt: has 0 entries; send 1 to 2048'],
    [{ prompt: ['a', 7] }, 'prompt[1]: must be a text or an array of token ids'],
    [{ prompt: [1, -1] }, 'prompt[1]: must be a whole number'],
    [{ prompt: 'a', best_of: 1, n: 2 }, 'best_of: must be at least n'],
    [{ prompt: 'a', logprobs: 6 }, 'logprobs: must be a whole number from 0 to 5'],
  ])('is refused: %j', (more, sentence) => {
    expect(refusalOf(() => checkedCompletion({ model: 'chat', ...more }))).toContain(sentence);
  });

  it('knows how many answers and how long a prompt there will be', () => {
    expect(checkedCompletion({ model: 'm', prompt: ['a', 'bcd'], n: 2 })).toMatchObject({
      choices: 4,
      prompt: { field: 'prompt', characters: 3, tokens: 0 },
    });
    expect(checkedCompletion({ model: 'm', prompt: [[1], [1, 2, 3]] }).prompt.tokens).toBe(3);
    expect(checkedCompletion({ model: 'm', prompt: [1, 2] })).toMatchObject({ choices: 1, prompt: { tokens: 2 } });
  });

  it.each<[object, string]>([
    [{}, 'input: is missing'],
    [{ input: '' }, 'input: is empty'],
    [{ input: ['a', ''] }, 'input[1]: is empty'],
    [{ input: 'a', encoding_format: 'hex' }, 'encoding_format: must be one of float, base64'],
    [{ input: 'a', dimensions: 0 }, 'dimensions: must be a whole number'],
  ])('an embedding is refused: %j', (more, sentence) => {
    expect(refusalOf(() => checkedEmbedding({ model: 'v', ...more }))).toContain(sentence);
  });
});
