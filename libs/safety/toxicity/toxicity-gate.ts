import { nothingFound, type GateResult, type Severity, type Subject } from '../contracts.js';
import type { Hit, ReadText } from '../lexicon/lexicon.js';
import { hasWord, isDenied, wordSet } from '../lexicon/surroundings.js';
import type { ToxicKind, ToxicPhrases } from './toxicity-phrases.js';

export const toxicityThreshold = 0.5;

export type ToxicCategory =
  | 'hate'
  | 'hate/threatening'
  | 'harassment'
  | 'harassment/threatening'
  | 'sexual'
  | 'sexual/minors'
  | 'violence'
  | 'illicit';

interface Finding {
  readonly category: ToxicCategory;
  readonly score: number;
  readonly severity: Severity;
  readonly rule: string;
  readonly hits: readonly Hit[];
  readonly subject: Subject;
}

/** The gate's result with the score of each category, as the moderation protocol tells them. */
export interface ToxicityResult extends GateResult {
  readonly categories: ReadonlyMap<ToxicCategory, number>;
}

const second = wordSet('you your u ur yourself yall yourselves');
const persons = wordSet(
  'he she they him her them his their these those this that who guy man woman girl people dude everyone politicians democrats republicans liberals trump biden',
);
const between = wordSet(
  'are a an such so really just fucking damn bunch of little fat ugly dumb stupid absolute complete total the biggest most old all guys people is what must be nothing but',
);
const beforeCurse = wordSet('and so say says yeah oh just well');
const harmless = wordSet('this it that yes yeah me my up off no what around with if i the is knows');
const first = wordSet('i me my myself am');

/** One sentence with what was found in it, by kind. */
class ToxicSentence {
  private readonly byKind = new Map<ToxicKind, Hit[]>();

  constructor(
    private readonly read: ReadText,
    readonly number: number,
  ) {}

  add(kind: ToxicKind, hit: Hit): void {
    const known = this.byKind.get(kind);
    if (known === undefined) this.byKind.set(kind, [hit]);
    else known.push(hit);
  }

  /** In earnest: neither denied nor, where it matters, only cited. */
  of(kind: ToxicKind): readonly Hit[] {
    return this.byKind.get(kind) ?? [];
  }

  has(kind: ToxicKind): boolean {
    return this.byKind.has(kind);
  }

  isDenied(hit: Hit): boolean {
    return isDenied(this.read.words, hit);
  }

  isQuoted(hit: Hit): boolean {
    return this.read.words.quoted[hit.from]!;
  }

  /** A person is spoken to within these many words. */
  speaksTo(hit: Hit, within: number): boolean {
    return this.near(hit, within, second);
  }

  /** "you are such a ...", "you ...", "... you". */
  isSaidOfYou(hit: Hit): boolean {
    const { text } = this.read.words;
    let at = hit.from - 1;
    while (at >= this.sentence.from && hit.from - at <= 5 && between.has(text[at]!)) at -= 1;
    return second.has(text[at] ?? '') && text[at] !== 'yourself';
  }

  speaksOf(hit: Hit, within: number): boolean {
    return this.near(hit, within, persons);
  }

  /** "I am an idiot": of the writer, and of nobody else. */
  isOfSelf(hit: Hit): boolean {
    const { from } = this.sentence;
    return hasWord(this.read.words, Math.max(from, hit.from - 5), hit.from, first) && !this.speaksTo(hit, 5);
  }

  /** "Fuck ..." with somebody or something behind it, at the head of a clause. */
  cursesSomebody(): Hit | undefined {
    const { text, gaps } = this.read.words;
    return this.of('profanity').find(({ from, to }) => {
      const isHead = from === this.sentence.from || gaps[from] !== 0 || beforeCurse.has(text[from - 1]!);
      return isHead && text[from] === 'fuck' && to < this.sentence.to && gaps[to] === 0 && !harmless.has(text[to]!);
    });
  }

  get isCounter(): boolean {
    return this.has('counter') || this.has('reclaimed');
  }

  private get sentence() {
    return this.read.words.sentences[this.number]!;
  }

  private near(hit: Hit, within: number, wanted: ReadonlySet<string>): boolean {
    const { from, to } = this.sentence;
    return hasWord(this.read.words, Math.max(from, hit.from - within), Math.min(to, hit.to + within), wanted);
  }
}

/** The deterministic half of the toxicity gate. @param phrases those of the lexicon, by the number of their group */
export function judgeToxicity(read: ReadText, phrases: ReadonlyMap<number, ToxicPhrases>): ToxicityResult {
  const sentences = new Map<number, ToxicSentence>();
  for (const hit of read.hits) {
    const kind = phrases.get(hit.entry.group)?.kind;
    if (kind === undefined) continue;
    let sentence = sentences.get(hit.sentence);
    if (sentence === undefined) sentences.set(hit.sentence, (sentence = new ToxicSentence(read, hit.sentence)));
    sentence.add(kind, hit);
  }
  const findings = [...sentences.values()].flatMap((sentence) => rules.flatMap((rule) => rule(sentence)));
  const categories = new Map<ToxicCategory, number>();
  for (const { category, score } of findings) categories.set(category, Math.max(score, categories.get(category) ?? 0));
  const worst = [...findings].sort((one, other) => other.score - one.score || other.severity - one.severity)[0];
  if (worst === undefined) return { ...nothingFound('toxicity'), categories };
  const counted = findings.filter(({ score }) => score >= toxicityThreshold);
  const flagged = counted.length > 0;
  const { words } = read;
  return {
    gate: 'toxicity',
    flagged,
    score: worst.score,
    severity: flagged ? worst.severity : 0,
    category: flagged ? worst.category : null,
    subject: worst.subject,
    tense: 'present',
    rules: [...new Set(counted.map(({ rule }) => rule))],
    spans: counted.flatMap(({ category, hits }) =>
      hits.map((hit) => ({ type: category, start: words.starts[hit.from]!, end: words.ends[hit.to - 1]! })),
    ),
    categories,
  };
}

function finding(
  category: ToxicCategory,
  score: number,
  severity: Severity,
  rule: string,
  hits: readonly Hit[],
): Finding {
  return { category, score, severity, rule: `toxicity.${rule}`, hits, subject: 'other' };
}

type Rule = (sentence: ToxicSentence) => readonly Finding[];

const slurs: Rule = (sentence) =>
  sentence
    .of('slur')
    .filter((hit) => !sentence.isCounter && !sentence.isQuoted(hit) && !sentence.isDenied(hit))
    .map((hit) => finding('hate', 0.9, 4, 'slur', [hit]));

/** A protected group and what degrades it: "... are vermin", "filthy ...", "kill all ...". */
const hate: Rule = (sentence) => {
  if (sentence.isCounter) return [];
  const found: Finding[] = [];
  for (const group of sentence.of('group')) {
    if (sentence.isQuoted(group)) continue;
    const degrading = sentence
      .of('degrading')
      .find(
        (hit) =>
          !sentence.isDenied(hit) &&
          ((hit.from >= group.to && hit.from - group.to <= 7) || (hit.to <= group.from && group.from - hit.to <= 1)),
      );
    if (degrading !== undefined) found.push(finding('hate', 0.85, 4, 'hate.degrading', [group, degrading]));
    const hatred = sentence.of('hatred').find((hit) => hit.to === group.from && !sentence.isDenied(hit));
    if (hatred !== undefined) found.push(finding('hate', 0.85, 4, 'hate.hatred', [hatred, group]));
    const violent = sentence.of('threat').find((hit) => Math.abs(hit.from - group.to) <= 7 && !sentence.isDenied(hit));
    if (violent !== undefined) found.push(finding('hate/threatening', 0.9, 6, 'hate.threat', [group, violent]));
  }
  return found;
};

const harassment: Rule = (sentence) => {
  const found: Finding[] = [];
  for (const hit of sentence.of('insult')) {
    if (sentence.isDenied(hit) || sentence.isOfSelf(hit) || sentence.isCounter) continue;
    found.push(
      finding('harassment', sentence.isQuoted(hit) ? 0.55 : sentence.speaksTo(hit, 6) ? 0.85 : 0.7, 3, 'insult', [hit]),
    );
  }
  for (const hit of sentence.of('mild-insult')) {
    if (sentence.isDenied(hit) || sentence.isOfSelf(hit) || sentence.isCounter || sentence.isQuoted(hit)) continue;
    if (sentence.isSaidOfYou(hit)) found.push(finding('harassment', 0.6, 2, 'mild-insult.you', [hit]));
    else if (sentence.has('profanity') || sentence.of('mild-insult').length > 1)
      found.push(finding('harassment', sentence.speaksOf(hit, 4) ? 0.55 : 0.4, 2, 'mild-insult.person', [hit]));
    else if (sentence.speaksOf(hit, 3)) found.push(finding('harassment', 0.45, 1, 'mild-insult.person', [hit]));
  }
  const cursed = sentence.cursesSomebody();
  if (cursed !== undefined && !sentence.isCounter) found.push(finding('harassment', 0.6, 2, 'curse', [cursed]));
  for (const hit of sentence.of('profanity')) found.push(finding('harassment', 0.4, 1, 'profanity', [hit]));
  return found;
};

const threats: Rule = (sentence) =>
  sentence
    .of('threat')
    .filter((hit) => !sentence.isDenied(hit) && !sentence.isQuoted(hit) && !sentence.has('counter'))
    .map((hit) => finding('harassment/threatening', 0.85, 5, 'threat', [hit]));

const incitement: Rule = (sentence) =>
  sentence
    .of('incitement')
    .filter((hit) => !sentence.isDenied(hit) && !sentence.isQuoted(hit) && !sentence.isCounter)
    .map((hit) => finding('hate/threatening', 0.8, 6, 'incitement', [hit]));

const sexual: Rule = (sentence) => {
  const explicit = sentence.of('sexual');
  const mild = sentence.of('sexual-mild');
  const found = explicit.map((hit) => finding('sexual', 0.75, 3, 'sexual', [hit]));
  if (explicit.length === 0 && mild.length > 1) found.push(finding('sexual', 0.4, 1, 'sexual.mild', mild));
  const minors = sentence.of('minor');
  if (minors.length > 0 && explicit.length > 0)
    found.push(finding('sexual/minors', 0.85, 6, 'sexual.minors', [...minors, ...explicit]));
  return found;
};

const violence: Rule = (sentence) => {
  const hits = sentence.of('violence');
  return hits.length === 0 ? [] : [finding('violence', hits.length > 1 ? 0.6 : 0.45, 3, 'violence', hits)];
};

const illicit: Rule = (sentence) =>
  sentence
    .of('illicit')
    .filter((hit) => !sentence.isDenied(hit))
    .map((hit) => finding('illicit', 0.7, 4, 'illicit', [hit]));

const rules: readonly Rule[] = [slurs, hate, harassment, threats, incitement, sexual, violence, illicit];
