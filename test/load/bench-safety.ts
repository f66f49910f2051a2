import { foldText, readWords, redactFinally, safetyLexicon, TextGates } from '#libs/safety';
import type { BenchOptions } from './bench-options.ts';
import { say } from './bench-report.ts';

/** Tokens of English, at four characters each. */
const lengths = [20, 200, 2_000];
const charactersPerToken = 4;
const passesPerRound = 400;

const lines = [
  'I have been feeling low since the move and I do not sleep well.',
  'My sister says I should talk to someone, but I never know how to begin.',
  'At work it is fine, mostly; the new office is loud and I miss the old one!',
  'Sometimes I wish I could just disappear for a week and come back rested.',
  'He said "you will be okay", and I wanted to believe it.',
  'Do you think it gets easier? I am not going to hurt myself, I am only tired.',
  'We talked about the budget, the garden, and the trip in March.',
  'When I was younger I was angry a lot, and it took me years to see why.',
];

/** What the deterministic gates take, part by part, in one thread. Each pass is over another text. */
export function benchSafety({ rounds }: BenchOptions): void {
  const gates = new TextGates();
  const { lexicon } = safetyLexicon();
  say(`safety: deterministic gates, one thread, ${lexicon.positionCount} places of phrases`);
  const parts: Record<string, (text: string) => unknown> = {
    'fold letters': foldText,
    'and read words': (text) => readWords(text, lexicon.vocabulary),
    'and find phrases': (text) => lexicon.read(text),
    'find and redact persons': (text) => redactFinally(text),
    'and judge: all of it': (text) => gates.judge(text),
  };
  for (const tokens of lengths) {
    const texts = Array.from({ length: passesPerRound }, (_each, at) => textOf(tokens * charactersPerToken, at));
    say(`  ${tokens} tokens`);
    for (const [name, part] of Object.entries(parts)) {
      for (const text of texts) part(text);
      const took: number[] = [];
      for (let round = 0; round < rounds; round += 1)
        for (const text of texts) {
          const before = performance.now();
          part(text);
          took.push(performance.now() - before);
        }
      took.sort((one, other) => one - other);
      const at = (share: number): string => took[Math.floor(took.length * share)]!.toFixed(3);
      say(`    ${name.padEnd(24)} p50 ${at(0.5)} ms   p99 ${at(0.99)} ms`);
    }
  }
}

function textOf(length: number, seed: number): string {
  let text = '';
  for (let at = seed; text.length < length; at += 1 + (seed % 3)) text += `${lines[at % lines.length]!} `;
  return text.slice(0, length);
}
