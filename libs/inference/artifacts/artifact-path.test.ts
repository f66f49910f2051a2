import { resolve, sep } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathRegister, pathProblem } from './artifact-path.js';

const segment = fc.oneof(
  fc.constantFrom('..', '.', '', '\\', 'C:', '~', '\0', '%2e%2e', 'a', 'B', '．．', 'x'.repeat(300)),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const anyPath = fc.array(segment, { maxLength: 20 }).map((segments) => segments.join('/'));

describe('a path inside an artifact', () => {
  it('never leaves the folder it is joined to, nor names the folder itself', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        fc.pre(pathProblem(path) === undefined);
        const base = resolve('/store/sample');
        expect(resolve(base, path).startsWith(base + sep)).toBe(true);
        expect(resolve(base, path)).toBe(`${base}/${path}`);
      }),
      { numRuns: 5_000 },
    );
  });

  it('is accepted when it is made of plain names', () => {
    const plain = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._ -]{0,20}$/);
    fc.assert(
      fc.property(
        fc.array(plain, { minLength: 1, maxLength: 8 }),
        (segments) => pathProblem(segments.join('/')) === undefined,
      ),
    );
  });

  it.each([
    '../x',
    'a/../x',
    'a/..',
    '..',
    '.',
    './a',
    'a/./b',
    '/etc/passwd',
    '//x',
    'a//b',
    'a/',
    '',
    'C:/x',
    'c:x',
    '\\\\host\\x',
    'a\\b',
    'a\0b',
    'a\nb',
    '\u007f',
    '\ufffd',
    '\ud800',
    'x'.repeat(256),
    'a/'.repeat(300) + 'b',
    Array(20).fill('a').join('/'),
  ])('is refused with a reason: %j', (path) => {
    expect(pathProblem(path)).toEqual(expect.any(String));
  });
});

describe('the paths of one artifact', () => {
  const add =
    (...paths: string[]) =>
    () => {
      const register = new PathRegister();
      for (const path of paths) register.addFile(path);
    };

  it.each([
    ['twice', ['a', 'a']],
    ['in case only', ['a.onnx', 'A.onnx']],
    ['in case only', ['dir/a', 'Dir/b']],
    ['in case only', ['é', 'e\u0301']],
    ['file and a folder', ['a', 'a/b']],
    ['file and a folder', ['a/b', 'A']],
  ])('are refused when they collide: %s', (problem, paths) => {
    expect(add(...paths)).toThrow(problem);
  });

  it('may share folders', () => {
    expect(add('a/b', 'a/c', 'd')).not.toThrow();
  });
});
