import { has } from '../names/lexicon.js';
import { likenessOf } from '../names/name-evidence.js';
import type { WordToken } from '../names/word-tokens.js';
import type { PersonalSpan } from '../personal-kinds.js';

const states = new Set(
  (
    'AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD ' +
    'TN TX UT VT VA WA WV WI WY DC ON QC BC AB MB SK NS NB'
  ).split(' '),
);
const dwelling =
  /^(?:live|lives|lived|living|reside|resides|resided|born|raised|moved|moving|move|relocated|grew|based|staying|hometown|originally|am|i'm|im)$/;

/** Towns: with their state ("Modesto, CA"), where somebody dwells, and unknown words after "in". Countries and states say too little. */
export function findLocations(text: string, tokens: readonly WordToken[]): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index]!;
    if (token.shape !== 'title' || token.isTaken || token.known & (has.calendar | has.determiner | has.greeting))
      continue;
    let end = index + 1;
    while (
      end < tokens.length &&
      end - index < 4 &&
      tokens[end]!.shape === 'title' &&
      !tokens[end]!.isTaken &&
      /^[ -]$/.test(tokens[end]!.gap) &&
      !tokens[end - 1]!.isPossessive
    )
      end += 1;
    const state = tokens[end];
    if (
      state !== undefined &&
      state.shape === 'upper' &&
      /^, ?$/.test(state.gap) &&
      states.has(state.low.toUpperCase())
    ) {
      spans.push({ type: 'location', start: token.start, end: state.end });
    } else if (isDwelling(tokens, index) && !(token.known & has.neverName) && !isEveryday(token)) {
      spans.push({ type: 'location', start: token.start, end: withPostcode(text, tokens[end - 1]!.end) });
    } else if (isAfterPlace(tokens, index) && isUnknownTown(tokens.slice(index, end))) {
      spans.push({ type: 'location', start: token.start, end: withPostcode(text, tokens[end - 1]!.end) });
    }
    index = end - 1;
  }
  return spans;
}

/** "in Bjert 6091", but not "in Paris 2024" */
function withPostcode(text: string, end: number): number {
  const postcode = /^,? (?:[A-Z]{2} )?(?!(?:19|20)\d{2}(?!\d))\d{4,6}(?:-\d{4})?(?![\p{L}\p{N}])/u.exec(
    text.slice(end, end + 20),
  );
  return end + (postcode?.[0].length ?? 0);
}

/** "in Flateyri", and not "in Dialectic Behavior Therapy" or "in Gottman's books". */
const isUnknownTown = (words: readonly WordToken[]): boolean =>
  words.length < 4 &&
  words.every((word) => likenessOf(word) === 'unknown' && !word.isPossessive && !word.low.endsWith('time'));

const isEveryday = ({ known }: WordToken): boolean =>
  (known & has.word) !== 0 && !(known & (has.proper | has.alsoPlace | has.surname));

function isAfterPlace(tokens: readonly WordToken[], index: number): boolean {
  const before = tokens[index - 1];
  return (
    before !== undefined &&
    /^ $/.test(tokens[index]!.gap) &&
    before.shape === 'lower' &&
    /^(?:in|from|to|near|at|outside)$/.test(before.low)
  );
}

/** "I live in", "she was born in", "we moved here from", "I'm originally from" */
function isDwelling(tokens: readonly WordToken[], index: number): boolean {
  if (!isAfterPlace(tokens, index)) return false;
  for (let back = index - 2; back >= Math.max(0, index - 4); back -= 1) {
    const { low, known } = tokens[back]!;
    if (dwelling.test(low))
      return low !== 'am' && low !== 'im' && low !== "i'm"
        ? true
        : tokens[index - 1]!.low === 'from' && back === index - 2;
    if (!(known & has.word) && !/^(?:here|up|over|back|up|in|out)$/.test(low)) return false;
  }
  return false;
}
