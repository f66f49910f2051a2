import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ToolCallReader, type ToolEvent, type ToolSyntax } from './tool-syntax.js';

const hermes: ToolSyntax = {
  openTokens: [],
  trigger: '<tool_call>',
  beforeArguments: '", "arguments": ',
  close: '}\n</tool_call>',
  between: '\n<tool_call>\n{"name": "',
  end: '',
};
const tools = [{ name: 'get' }, { name: 'get_all' }];

function read(text: string, cuts: readonly number[]): { name: string; written: string }[] {
  const reader = new ToolCallReader(tools, hermes);
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
  const events = places.slice(1).flatMap((end, at): ToolEvent[] => reader.push(text.slice(places[at], end)));
  const calls: { name: string; written: string }[] = [];
  for (const event of events) {
    if (event.kind === 'call') calls.push({ name: event.name, written: '' });
    else calls[event.call]!.written += event.text;
  }
  expect(reader.callCount).toBe(calls.length);
  return calls;
}

it('reads every call with its arguments as they are written, wherever the text is cut', () => {
  const call = fc.record({
    name: fc.constantFrom('get', 'get_all'),
    written: fc.dictionary(fc.string(), fc.jsonValue()),
  });
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 3 }), fc.array(fc.nat()), (calls, cuts) => {
      const expected = calls.map(({ name, written }) => ({ name, written: JSON.stringify(written) }));
      const text = expected
        .map(({ name, written }) => `${name}${hermes.beforeArguments}${written}${hermes.close}`)
        .join(hermes.between);
      expect(read(text, cuts)).toEqual(expected);
    }),
  );
});

it('gives what there is of a call that is cut off', () => {
  expect(read('get_all", "arguments": {"city": "Par', [])).toEqual([{ name: 'get_all', written: '{"city": "Par' }]);
  expect(read('get_a', [])).toEqual([]);
});
