/**
 * Letters of other scripts, and letters that Unicode does not decompose, that are read as a Latin one. Keyed by the letter as
 * it is written, for a capital may look like another letter than its small one. After Unicode TR39's confusables.
 */
const lookalikes: Readonly<Record<string, string>> = {
  a: 'аαɑᴀаΑАᎪ𐌀',
  b: 'вβьВΒВʙᏴЬъ',
  c: 'сϲСᏟᴄƈ',
  d: 'ԁᴅᎠɗ',
  e: 'еεЕΕᎬᴇєэɛə',
  f: 'ƒꜰғ',
  g: 'ɡցᏀɢ',
  h: 'һнНΗհᎻʜ',
  i: 'іιІΙıɩɪᎥΊ',
  j: 'јЈϳᎫᴊ',
  k: 'кκКΚᏦᴋƙќ',
  l: 'ӏʟᏞⅼӀƖ',
  m: 'мМΜᎷᴍʍ',
  n: 'пηΝոɴИий',
  o: 'оοОΟօσᴏөⲟ',
  p: 'рρРΡᏢᴘ',
  q: 'ԛգǫ',
  r: 'гяʀᏒг',
  s: 'ѕЅꜱᏚʂ',
  t: 'тτТΤᴛᎢ',
  u: 'υսᴜцʋ',
  v: 'νѵᴠᏙѴ',
  w: 'ԝωшщᴡᏔѡ',
  x: 'хχХΧҳ',
  y: 'уγУΥʏүҮч',
  z: 'ᴢΖᏃʐ',
};

/** Latin letters with a stroke or a hook, and ligatures, that no decomposition takes apart. */
const strokes: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  ħ: 'h',
  ł: 'l',
  ŧ: 't',
  þ: 'th',
  ŋ: 'n',
  ɓ: 'b',
  ɨ: 'i',
  ʉ: 'u',
};

const letterOf = new Map<number, number>();
for (const [latin, others] of Object.entries(lookalikes))
  for (const other of others) letterOf.set(other.codePointAt(0)!, latin.charCodeAt(0));

/** @returns the code of the small Latin letter that this code point is read as; 0 when it is read as none */
export const lookalike = (codePoint: number): number => letterOf.get(codePoint) ?? 0;

export const withoutStroke = (letter: string): string => strokes[letter] ?? letter;

/** Alike only beside Latin letters: a word of these alone is a word of its own script. */
const faint = new Set([...'ИийпПгГяшщчцЬьЪъВвНнηΗωνςγΥ'].map((letter) => letter.codePointAt(0)!));

export const isFaint = (codePoint: number): boolean => faint.has(codePoint);

/** Letters as signs: regional indicators, and white letters on black squares and circles. */
export function pictureLetter(codePoint: number): number {
  for (const first of [0x1f1e6, 0x1f170, 0x1f150])
    if (codePoint >= first && codePoint < first + 26) return 0x61 + codePoint - first;
  return 0;
}
