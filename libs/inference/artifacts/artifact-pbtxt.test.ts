import { isSluiceError } from '#libs/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTextProto, type TextMessage, type TextValue } from './artifact-pbtxt.js';

const plain = ({ fields }: TextMessage): Record<string, unknown[]> =>
  Object.fromEntries([...fields].map(([name, values]) => [name, values.map(plainValue)]));
const plainValue = (value: TextValue): unknown =>
  value.kind === 'message' ? plain(value) : value.kind === 'text' ? { text: value.text } : value.word;

const problemOf = (source: string): string => {
  try {
    parseTextProto(source, 'config.pbtxt');
    return 'accepted';
  } catch (failure) {
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`;
  }
};

describe('the text format', () => {
  it('is read with comments, lists, nested messages, both brackets, escapes and joined texts', () => {
    const source = `
      name: "tone" # a comment with { and " in it
      input [ { name: 'x' data_type: TYPE_FP32, dims: [ -1, 16 ] }; ]
      output < name: "y" dims: 3 dims: 4 >
      priority: -5
      rate: 1.5e-3
      text: "a\\n\\"b\\" \\x41\\101" " and more"`;
    expect(plain(parseTextProto(source, 'config.pbtxt'))).toEqual({
      name: [{ text: 'tone' }],
      input: [{ name: [{ text: 'x' }], data_type: ['TYPE_FP32'], dims: ['-1', '16'] }],
      output: [{ name: [{ text: 'y' }], dims: ['3', '4'] }],
      priority: ['-5'],
      rate: ['1.5e-3'],
      text: [{ text: 'a\n"b" AA and more' }],
    });
  });

  it.each([
    ['name "x"', 'without ":"'],
    ['name:', 'its end where a value'],
    ['a { b: 1', "where a field's name is expected"],
    ['a { b: 1 >', "where a field's name is expected"],
    ['a: "never ended', 'cannot be read (line 1)'],
    ['ok: 1\n# fine\n!', 'cannot be read (line 3)'],
    ['a: [1, 2', 'where a value is expected'],
    ['# only this! and } this', 'accepted'],
    ['a {'.repeat(50), 'more than 32 messages deep'],
    ['a { '.repeat(100_000), 'more than 32 messages deep'],
    ['a: 1 '.repeat(100_000), 'too many parts'],
    [`a: "${'\\'.repeat(200_001)}`, 'cannot be read'],
  ])('is refused by its place when it is broken: %#', (source, problem) => {
    expect(problemOf(source)).toContain(problem);
  });

  it('is read in time that grows with its length, whatever it is', () => {
    for (const piece of ['#', '#\n', ' ', ',;', '"', "'", '\\"', '+', '-', '.', '[', 'a:', 'a:"\\', '{}'])
      expect(problemOf(piece.repeat(200_000))).toMatch(/^(accepted|SLU_ARTIFACT_REFUSED)/);
  });

  it('never fails in any other way', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', ':', '{', '}', '<', '>', '[', ']', '"', "'", '#', '\n', ' ', '1', '\\', '!')),
        (parts) => {
          expect(problemOf(parts.join(''))).toMatch(/^(accepted|SLU_ARTIFACT_REFUSED)/);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
