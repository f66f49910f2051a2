import { expect, it } from 'vitest';
import { Keystrokes, type SignalWay } from './keystrokes.js';

const heard = (...signals: [SignalWay, number][]): string[] => {
  const keystrokes = new Keystrokes();
  return signals.map(([way, atMs]) => keystrokes.hear(way, atMs));
};

it.each<[string, [SignalWay, number][], string[]]>([
  [
    'directly and relayed',
    [
      ['direct', 0],
      ['relayed', 1],
    ],
    ['first', 'echo'],
  ],
  [
    'relayed first and then directly',
    [
      ['relayed', 0],
      ['direct', 1],
    ],
    ['first', 'echo'],
  ],
  [
    'relayed twice and directly',
    [
      ['relayed', 0],
      ['direct', 1],
      ['relayed', 2],
    ],
    ['first', 'echo', 'echo'],
  ],
])('takes one Ctrl-C for one, when it comes %s', (_how, signals, expected) => {
  expect(heard(...signals)).toEqual(expected);
});

it.each<[string, [SignalWay, number][], string[]]>([
  [
    'directly at once',
    [
      ['direct', 0],
      ['direct', 5],
    ],
    ['first', 'second'],
  ],
  [
    'directly at once, behind an echo',
    [
      ['relayed', 0],
      ['direct', 1],
      ['direct', 5],
    ],
    ['first', 'echo', 'second'],
  ],
  [
    'relayed only, after a while',
    [
      ['relayed', 0],
      ['relayed', 1_000],
    ],
    ['first', 'second'],
  ],
])('takes two Ctrl-C for two, when the second comes %s', (_how, signals, expected) => {
  expect(heard(...signals)).toEqual(expected);
});
