import { hasWord, wordSet } from '../lexicon/surroundings.js';
import type { Hit } from '../lexicon/lexicon.js';
import type { Words } from '../text/words.js';
import type { CrisisKind } from './crisis-phrases.js';

/** Where the words end with one of `last` and go on with one of `next`, they mean something else. */
interface Turn {
  readonly last: ReadonlySet<string>;
  readonly next: ReadonlySet<string>;
  /** How many words behind are looked at. */
  readonly within: number;
}

const turns: readonly Turn[] = [
  {
    last: wordSet('die'),
    next: wordSet(
      'of for laughing my old happy rich peacefully trying a before surrounded doing inside from knowing without in',
    ),
    within: 1,
  },
  { last: wordSet('dying'), next: wordSet('to for of from'), within: 1 },
  {
    last: wordSet('die dead'),
    next: wordSet('laughing laughter embarrassment boredom cuteness hair hunger cringe'),
    within: 3,
  },
  {
    last: wordSet('live living'),
    next: wordSet(
      'in with near at alone there by off on next far out under paycheck up through happily abroad somewhere longer together here forever healthy',
    ),
    within: 1,
  },
  { last: wordSet('here'), next: wordSet('at in for when with because on during if'), within: 1 },
  {
    last: wordSet('myself himself herself themselves'),
    next: wordSet(
      'laughing trying working studying training up short off some out down shaving cooking chopping in over about a on',
    ),
    within: 1,
  },
  {
    last: wordSet('myself himself herself themselves'),
    next: wordSet('foot gym laughing deadline slack paycheck thumb'),
    within: 4,
  },
  {
    last: wordSet('life lives'),
    next: wordSet('in back seriously to into savings as story around lessons partner insurance together with'),
    within: 1,
  },
  {
    last: wordSet('suicide'),
    next: wordSet(
      'prevention rates rate awareness squad risk statistics policy among hotline research in as attempts door bombers bomber bombing pact by watch',
    ),
    within: 1,
  },
  { last: wordSet('it things'), next: wordSet('with between relationship amicably on'), within: 1 },
  {
    last: wordSet('him her them me everyone someone people us'),
    next: wordSet(
      'out on kindness laughter feelings chess race quiz hug high news hard idea laughing call message text email ball pitch time visit help understand know surprise',
    ),
    within: 3,
  },
];
const exceptions = wordSet('world body pain earth skin reality head planet');
const relationship = wordSet(
  'relationship marriage engagement friendship contract subscription lease meeting call conversation partnership affair',
);
const endsThings = wordSet('it things everything');

/** @returns whether the words before and behind make another meaning of it */
export function isFigurative(words: Words, hit: Hit, kind: CrisisKind): boolean {
  const { from, to } = words.sentences[hit.sentence]!;
  const last = words.text[hit.to - 1]!;
  if (endsThings.has(last) && hasWord(words, from, to, relationship)) return true;
  for (const turn of turns) {
    if (!turn.last.has(last)) continue;
    const until = Math.min(hit.to + turn.within, to);
    if (!hasWord(words, hit.to, until, turn.next)) continue;
    if (kind === 'passive' && turn.within === 1 && hasWord(words, hit.to + 1, Math.min(hit.to + 3, to), exceptions))
      continue;
    return true;
  }
  return false;
}
