import { type Llama, LlamaLogLevel, getLlama } from 'node-llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anyObjectGrammar, JsonGrammar, type JsonSchema, SchemaRefusal } from './json-grammar.js';

let llama: Llama;
beforeAll(async () => {
  llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.disabled });
});
afterAll(() => llama.dispose());

/** llama.cpp itself says whether its grammar takes a text. */
async function takes(grammar: string, text: string): Promise<boolean> {
  const compiled = (await llama.createGrammar({ grammar })) as unknown as { _testText(text: string): boolean };
  return compiled._testText(text);
}

function grammarOf(schema: JsonSchema, isStrict = false): string {
  const grammar = new JsonGrammar();
  return grammar.text(grammar.add(schema, isStrict));
}

const person = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer' },
    tags: { type: 'array', items: { type: 'string' } },
  },
  required: ['name'],
} as const;

const tree = {
  $defs: {
    node: {
      type: 'object',
      properties: { left: { $ref: '#/$defs/node' }, value: { type: 'number' } },
      required: ['value'],
    },
  },
  $ref: '#/$defs/node',
};

describe('a schema as a grammar', () => {
  it.each<[string, JsonSchema, string[], string[]]>([
    [
      'all properties, or the required ones',
      person,
      ['{"name":"a"}', '{"name":"a","age":3}', '{ "name": "a", "tags": ["x","y"]}'],
      ['{}', '{"age":3}', '{"name":1}', '{"name":"a","other":1}', '{"name":"a",}'],
    ],
    [
      'only optional properties',
      { type: 'object', properties: { a: { type: 'null' }, b: { type: 'null' } } },
      ['{}', '{"a":null}', '{"b":null}', '{"a":null,"b":null}'],
      ['{,"b":null}', '{"a":null,}'],
    ],
    [
      'texts that need escapes',
      { type: 'string' },
      ['"a\\"b"', '"\\u00e9"', '"語 👋"', '""'],
      ['"a"b"', '"\n"', 'a', '"\\x"'],
    ],
    ['lengths', { type: 'string', minLength: 2, maxLength: 3 }, ['"ab"', '"abc"'], ['"a"', '"abcd"']],
    ['numbers', { type: 'number' }, ['0', '-1.5', '3e10', '12'], ['01', '.5', '1.', '+1']],
    ['choices', { enum: ['a', 1, null, { b: ['"'] }] }, ['"a"', '1', 'null', '{"b":["\\""]}'], ['"b"', '2']],
    ['alternatives', { anyOf: [{ type: 'integer' }, { type: 'null' }] }, ['1', 'null'], ['"1"', 'true']],
    ['several types', { type: ['string', 'null'] }, ['"x"', 'null'], ['1']],
    [
      'bounded arrays',
      { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 2 },
      ['[true]', '[true, false]'],
      ['[]', '[true,true,true]', '[1]'],
    ],
    ['exact arrays', { type: 'array', minItems: 2, maxItems: 2, items: { const: 0 } }, ['[0,0]'], ['[0]', '[0,0,0]']],
    [
      'tuples',
      { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }] },
      ['["a",1]'],
      ['["a"]', '[1,"a"]'],
    ],
    [
      'other properties',
      { type: 'object', properties: { a: { const: 1 } }, required: ['a'], additionalProperties: { type: 'boolean' } },
      ['{"a":1}', '{"a":1,"b":true,"c":false}'],
      ['{"b":true}', '{"a":1,"b":2}'],
    ],
    [
      'references to themselves',
      tree,
      ['{"value":1}', '{"left":{"left":{"value":1},"value":2},"value":3}'],
      ['{"left":{},"value":1}'],
    ],
    ['dates', { type: 'string', format: 'date' }, ['"2026-11-24"'], ['"2026-13-24"', '"24.11.2026"']],
    ['anything', true, ['{"a":[1,"x",null]}', '3', '"x"'], ['{', 'x']],
    [
      'names that look like grammar',
      { type: 'object', properties: { 'a"\\b\n': { const: 1 } }, required: ['a"\\b\n'] },
      ['{"a\\"\\\\b\\n":1}'],
      ['{}'],
    ],
  ])('takes %s', async (_what, schema, good, bad) => {
    const grammar = grammarOf(schema);
    for (const text of good) expect([text, await takes(grammar, text)]).toEqual([text, true]);
    for (const text of bad) expect([text, await takes(grammar, text)]).toEqual([text, false]);
  });

  it('takes any object where no schema is given', async () => {
    expect(await takes(anyObjectGrammar(), '{"a": [1, {"b": null}]}')).toBe(true);
    expect(await takes(anyObjectGrammar(), '[1]')).toBe(false);
  });
});

it('takes each of thousands of choices and nothing between, and stays small', async () => {
  const choices = Array.from({ length: 4_000 }, (_value, index) => `value${index}`);
  const odd = ['', 'a', 'aa', '😀', '😁', '"', 'value'];
  const grammar = grammarOf({ enum: [...choices, ...odd] });
  for (const text of ['value0', 'value3999', 'value10', ...odd])
    expect([text, await takes(grammar, JSON.stringify(text))]).toEqual([text, true]);
  for (const text of ['value4000', 'valu', 'aaa', '😂'])
    expect([text, await takes(grammar, JSON.stringify(text))]).toEqual([text, false]);
});

describe('a schema that no grammar can hold', () => {
  it.each<[string, JsonSchema, string]>([
    ['a keyword that is not held', { type: 'string', pattern: '^a+$' }, '/pattern is not held'],
    [
      'a keyword deep inside',
      { type: 'object', properties: { n: { type: 'integer', minimum: 1 } } },
      '/properties/n/minimum is not held',
    ],
    ['an unknown format', { type: 'string', format: 'email' }, '/format is not held'],
  ])('is refused by its place when it has to be held whole, and loosened otherwise: %s', (_what, schema, problem) => {
    expect(() => grammarOf(schema, true)).toThrow(problem);
    expect(grammarOf(schema)).toContain('root ::=');
  });

  it.each<[string, JsonSchema, string]>([
    ['one that allows nothing', { enum: [] }, 'allows nothing'],
    ['false', { type: 'object', properties: { a: false }, required: ['a'] }, '/properties/a allows nothing'],
    ['a reference that leads nowhere', { $ref: '#/$defs/none' }, 'leads nowhere'],
    ['a reference to elsewhere', { $ref: 'https://example.com/a.json' }, 'must lead into the same schema'],
    ['several schemas at once', { allOf: [{ type: 'object' }, { type: 'object' }] }, '/allOf must hold one schema'],
    ['one that is too deep', nested(80), 'nested too deeply'],
    [
      'one that repeats too much',
      { type: 'array', prefixItems: Array.from({ length: 20 }, () => ({ type: 'string', maxLength: 1_500 })) },
      'repeats too much',
    ],
    ['one that is too large', { type: 'object', properties: wide(3_000) }, 'too large'],
  ])('is refused: %s', (_what, schema, problem) => {
    expect(() => grammarOf(schema)).toThrow(SchemaRefusal);
    expect(() => grammarOf(schema)).toThrow(problem);
  });

  it('is refused by llama.cpp when it leads to itself alone', async () => {
    await expect(llama.createGrammar({ grammar: grammarOf({ $ref: '#' }) })).rejects.toThrow();
  });
});

function nested(depth: number): JsonSchema {
  return depth === 0 ? true : { type: 'array', items: nested(depth - 1) };
}

const wide = (count: number): Record<string, JsonSchema> =>
  Object.fromEntries(Array.from({ length: count }, (_value, index) => [`p${index}`, { type: 'null' }]));
