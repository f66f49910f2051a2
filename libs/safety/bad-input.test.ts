import { expect, it } from 'vitest';
import { TextGates } from './gates.js';
import { safetyLexicon } from './safety-lexicon.js';
import { readWords } from './text/words.js';

const gates = new TextGates();

const passing: Readonly<Record<string, string>> = {
  'nothing at all': '',
  'white space': ' \n\t\u00a0\u2003 ',
  'ten thousand emoji': '😀'.repeat(10_000),
  'lone surrogates': '\ud800\udc00\ud800'.repeat(1_000) + '\udfff',
  'right-to-left overrides': '\u202e\u202e\u202d abc \u202c'.repeat(1_000),
  'scripts mixed': 'Привет 中文 العربية हिन्दी ελληνικά ไทย 한국어 ',
  HTML: '<div class="a"><p onclick="x()">Hello &amp; welcome</p><script>kill(pid)</script></div>',
  base64: 'S2lsbCBhbGwgaHVtYW5zIQ=='.repeat(500),
  code: 'const child = spawn("kill", ["-9", String(pid)]); process.exit(1); // terminate it',
  JSON: JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], stop: ['\n'], n: 1 }),
  'a hundred kilobytes without a space': 'ab1'.repeat(33_000),
  'a megabyte': 'a'.repeat(1_000_000),
  'a megabyte of words': 'the garden is nice and green today. '.repeat(28_000),
  'controls and halves of quotes': '\u0000\u0001\u001f"“‘\'"""'.repeat(1_000),
};

it.each(Object.entries(passing))('answers %s calmly', (_name, text) => {
  const { crisis, toxicity } = gates.judge(text);
  expect([crisis.flagged, toxicity.flagged]).toEqual([false, false]);
});

it.each([
  ['HTML', '<p>I want to <b>kill myself</b></p>'],
  ['JSON', '{"content":"I want to kill myself","n":1}'],
  ['the end of a megabyte', `${'a '.repeat(500_000)}. I want to kill myself.`],
  ['a crowd of emoji', `😀😀😀 I want to 😀 kill myself 😀😀`],
])('finds what is said in %s', (_name, text) => expect(gates.judge(text).crisis.flagged).toBe(true));

/** Texts made to make a matcher go back and forth. */
const probes: Readonly<Record<string, string>> = {
  'beginnings of phrases': 'i want to ',
  'masked letters': 'k***l ',
  'masks alone': '*#_%',
  'spaced-out letters': 'k i l l ',
  'dotted letters': 'a.b.c.',
  'open quotation marks': '"a ',
  overrides: '\u202eab ',
  negations: 'not no never ',
  'tags in tags': '#iwanttodie',
  'stretched letters': 'aaaaaaaa ',
  'phrases of hate': 'all immigrants are ',
  'words that weigh': 'really very so ',
  digits: '1!1|',
  hyphens: 'k-i-',
  'what is redacted beside what was': '[AGE] a@b.c ',
};

it.each(Object.entries(probes))('takes time in proportion to the length of %s', (_name, probe) => {
  const took = (length: number): number => {
    const text = probe.repeat(Math.ceil(length / probe.length));
    let least = Infinity;
    for (let round = 0; round < 3; round += 1) {
      const before = performance.now();
      gates.judge(text);
      least = Math.min(least, performance.now() - before);
    }
    return least;
  };
  took(20_000);
  // Eight times the text: a square would be sixty-four times the time.
  expect(took(160_000)).toBeLessThan(30 * took(20_000) + 50);
});

it.each(Object.entries(probes))('takes steps in proportion to the words of %s', (_name, probe) => {
  const { lexicon } = safetyLexicon();
  const read = lexicon.read(probe.repeat(2_000));
  expect(read.steps).toBeLessThan(read.words.text.length * 24 + 100);
  expect(readWords(probe, lexicon.vocabulary).text.length).toBeGreaterThanOrEqual(0);
});
