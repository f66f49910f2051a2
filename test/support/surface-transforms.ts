/** Ways in which a text can look different and read the same. A gate must say the same of all of them. */
const perLetter =
  (table: Readonly<Record<string, string>>) =>
  (text: string): string =>
    [...text].map((letter) => table[letter] ?? table[letter.toLowerCase()] ?? letter).join('');

/** Letters of words of four letters and more, where the eye still reads them. */
const perLongWord =
  (change: (word: string) => string) =>
  (text: string): string =>
    text.replace(/[A-Za-z]{4,}/g, change);

const shift = (text: string, small: number, large: number): string =>
  text.replace(/[A-Za-z]/g, (letter) => {
    const code = letter.charCodeAt(0);
    return String.fromCodePoint(code >= 97 ? small + code - 97 : large + code - 65);
  });

/** The words that people hide, in the languages of the suites. */
const telling =
  /kill|suicid|\b(?:die|died|dead|death|pills|gun|cut|hurt|murder|morir|mourir|morrer|morire|sterben|umbringen|tuer|matar|matarme|vivir|vivre|viver|vivere)\b/g;

export const surfaceTransforms: Readonly<Record<string, (text: string) => string>> = {
  'capital letters': (text) => text.toUpperCase(),
  'letters of mixed case': (text) =>
    [...text].map((letter, at) => (at % 2 ? letter.toUpperCase() : letter.toLowerCase())).join(''),
  'digits for letters': perLongWord(perLetter({ i: '1', e: '3', a: '4', o: '0' })),
  'Cyrillic and Greek lookalikes': perLetter({ a: 'а', e: 'е', o: 'о', p: 'р', c: 'с', i: 'і', x: 'х', s: 'ѕ' }),
  'zero-width signs': (text) => text.replace(/(?<=[A-Za-z])(?=[A-Za-z])/g, '\u200b'),
  'full-width letters': (text) => shift(text, 0xff41, 0xff21),
  'mathematical letters': (text) => shift(text, 0x1d41a, 0x1d400),
  'marks on letters': (text) => text.replace(/[aeiou]/g, (vowel) => `${vowel}\u0301`),
  'stretched words': perLongWord((word) => word.replace(/[aeiou](?=[a-z]*$)/, (vowel) => vowel.repeat(5))),
  'letters with spaces': (text) =>
    text
      .split(/\s+/)
      .map((word) => [...word].join(' '))
      .join('   '),
  'curly apostrophes and dashes': (text) => text.replaceAll("'", '’').replaceAll('-', '–'),
  'soft hyphens and direction marks': (text) => `\u202a${text.replace(/(?<=[a-z])(?=[a-z]{2})/g, '\u00ad')}\u202c`,
  'a masked letter': (text) => text.replace(telling, (word) => word.replace(/(?<=^.)[a-z]/, '*')),
};
