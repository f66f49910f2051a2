import fc from 'fast-check';
import { expect, it } from 'vitest';
import { membersOf } from './json-members.js';

const names = ['model', 'usage', 'choices'] as const;
const asBytes = (text: string): string => Buffer.from(text).toString('latin1');

it('finds each member of any object exactly where JSON.parse finds it, and nowhere deeper', () => {
  const value = fc.jsonValue();
  const object = fc.dictionary(
    fc.oneof(fc.constantFrom('model', 'usage', 'mode', 'models', '\\"model'), fc.string()),
    value,
  );
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, 1, '\t', ' \r\n '), (given, indent) => {
      const text = asBytes(JSON.stringify({ nested: { model: given }, ...given }, undefined, indent));
      const found = membersOf(text, names);
      expect(found).toBeDefined();
      const parsed = JSON.parse(text) as Record<string, unknown>;
      for (const name of names) {
        expect(found![name] !== undefined).toBe(Object.hasOwn(parsed, name));
        if (found![name] !== undefined) expect(JSON.parse(text.slice(...found![name]))).toEqual(parsed[name]);
      }
    }),
  );
});

it('does not take a part of an object for a whole one', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (given, cut) => {
      const text = asBytes(JSON.stringify(given));
      const part = text.slice(0, cut % text.length);
      expect(membersOf(part, names)).toBeUndefined();
    }),
  );
});

it.each(['', 'null', '[]', '"{}"', '{} {}', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', '{"a":1]', '<html>', '[DONE]'])(
  'refuses %j',
  (text) => {
    expect(membersOf(text, names)).toBeUndefined();
  },
);
