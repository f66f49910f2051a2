import type { CrisisPhrases } from './crisis/crisis-phrases.js';
import { behaviour } from './crisis/phrases/behaviour.js';
import { contexts } from './crisis/phrases/contexts.js';
import { ideation } from './crisis/phrases/ideation.js';
import { languages } from './crisis/phrases/languages.js';
import { method } from './crisis/phrases/method.js';
import { crisisNames } from './crisis/phrases/names.js';
import { others } from './crisis/phrases/others.js';
import { raising } from './crisis/phrases/raising.js';
import { veiled } from './crisis/phrases/veiled.js';
import { Lexicon } from './lexicon/lexicon.js';
import { surroundingWords } from './lexicon/surroundings.js';
import { shortForms } from './text/contractions.js';
import { toxicNames, toxicPhrases, type ToxicPhrases } from './toxicity/toxicity-phrases.js';

/** All phrases of all gates in one automaton, and which group of it belongs to whom. */
export interface SafetyLexicon {
  readonly lexicon: Lexicon;
  readonly crisis: ReadonlyMap<number, CrisisPhrases>;
  readonly toxicity: ReadonlyMap<number, ToxicPhrases>;
}

/** Words in which a slip of the hand must not hide what is said. */
const mistyped =
  `suicide suicidal myself himself herself yourself overdose tonight anymore forever depressed hopeless burden
  disappear better without living worthless worth nobody everyone someone goodbye about thinking killing dying alive cutting thoughts hurting wanted world breathing existing bridge pills tired`.split(
    /\s+/,
  );

let made: SafetyLexicon | undefined;

/** Built once: it takes a moment, and is the same for everybody. */
export function safetyLexicon(): SafetyLexicon {
  made ??= build();
  return made;
}

function build(): SafetyLexicon {
  const crisisGroups = [...ideation, ...method, ...behaviour, ...veiled, ...others, ...languages, ...raising];
  const groups = [...crisisGroups, ...contexts, ...toxicPhrases];
  const lexicon = new Lexicon(
    groups,
    { ...crisisNames, ...toxicNames },
    { words: [...shortForms, ...surroundingWords], mistyped },
  );
  const numbered = new Map(groups.map((group, number) => [group.id, number]));
  const byNumber = <Group extends { id: string }>(some: readonly Group[]): Map<number, Group> =>
    new Map(some.map((group) => [numbered.get(group.id)!, group]));
  return { lexicon, crisis: byNumber(crisisGroups), toxicity: byNumber(toxicPhrases) };
}
