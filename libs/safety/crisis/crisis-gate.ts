import { nothingFound, type GateResult, type Severity, type Span, type Subject, type Tense } from '../contracts.js';
import type { Hit, ReadText } from '../lexicon/lexicon.js';
import { hasWord, isDenied, namesSomebody, speakerOf, wordSet, type Speaker } from '../lexicon/surroundings.js';
import { CrisisContext } from './crisis-context.js';
import type { CrisisKind, CrisisPhrases } from './crisis-phrases.js';
import { isFigurative } from './figurative.js';

export const crisisThreshold = 0.5;

/** What one phrase comes to in its sentence. */
interface Finding {
  readonly hit: Hit;
  readonly phrases: CrisisPhrases;
  readonly score: number;
  readonly severity: Severity;
  readonly subject: Subject;
  readonly tense: Tense;
}

const past = wordSet(
  'was were had did used felt tried attempted took went thought wanted wrote ago once survived almost hit beat raped molested abused choked threatened touched forced made assaulted slapped kicked punched',
);
const future = wordSet('will going tonight tomorrow soon plan planning shall about');
const hypothetical = wordSet('would could might if wish maybe');
const told = wordSet(
  'said says told tells texted texting saying wrote writes posted messaged screamed whispered admitted mentioned keeps asked',
);
const raises: ReadonlySet<CrisisKind> = new Set(['means', 'time', 'intent']);

/** The deterministic half of the crisis gate. @param phrases those of the lexicon, by the number of their group */
export function judgeCrisis(read: ReadText, phrases: ReadonlyMap<number, CrisisPhrases>): GateResult {
  const relevant = read.hits.filter(({ entry }) => phrases.has(entry.group));
  const context = new CrisisContext(read, phrases);
  const findings = relevant
    .map((hit) => judge(read, hit, phrases.get(hit.entry.group)!, context))
    .filter((finding) => finding !== undefined);
  if (findings.length === 0) return nothingFound('crisis');
  const score = findings.reduce((most, finding) => Math.max(most, finding.score), scoreOfWeak(findings));
  const counted = findings.filter(
    (finding) => finding.score >= crisisThreshold || (finding.phrases.kind === 'weak' && score >= crisisThreshold),
  );
  const gravest = [...(counted.length > 0 ? counted : findings)].sort(
    (one, other) => other.severity - one.severity || other.score - one.score,
  )[0]!;
  const flagged = score >= crisisThreshold;
  return {
    gate: 'crisis',
    flagged,
    score,
    severity: flagged ? gravest.severity : 0,
    category: flagged ? gravest.phrases.kind : null,
    subject: gravest.subject,
    tense: gravest.tense,
    rules: flagged ? [...new Set(counted.map((finding) => ruleOf(finding)))] : [],
    spans: flagged ? spansOf(read, counted) : [],
  };
}

const ruleOf = ({ hit, phrases }: Finding): string =>
  hit.entry.person === 'other' ? `${phrases.id}.other` : phrases.id;

function spansOf({ words }: ReadText, findings: readonly Finding[]): Span[] {
  const spans = findings.map(({ hit, phrases }) => ({
    type: phrases.kind,
    start: words.starts[hit.from]!,
    end: words.ends[hit.to - 1]!,
  }));
  const seen = new Set<string>();
  return spans.filter(({ type, start, end }) => {
    const key = `${type} ${start} ${end}`;
    return seen.has(key) ? false : seen.add(key) !== undefined;
  });
}

/** Words that say little alone count when three different ones stand together. */
function scoreOfWeak(findings: readonly Finding[]): number {
  const said = new Set(
    findings
      .filter(({ phrases, subject }) => phrases.kind === 'weak' && subject === 'self')
      .map(({ hit }) => `${hit.from}`),
  );
  return said.size >= 3 ? 0.55 : 0;
}

function judge(read: ReadText, hit: Hit, phrases: CrisisPhrases, context: CrisisContext): Finding | undefined {
  const { words } = read;
  const { kind } = phrases;
  if (raises.has(kind) || kind === 'completed') return undefined;
  if (isDenied(words, hit) || isFigurative(words, hit, kind)) return undefined;
  const speaker = whoIsMeant(read, hit, kind);
  const subject = subjectOf(read, hit, speaker, context);
  if (subject === undefined) return undefined;
  if (isMeantOtherwise(hit, kind, speaker, context)) return undefined;
  const tense = tenseOf(read, hit, kind);
  if (isOver(hit, kind, tense, speaker, context)) return undefined;
  const severity = raised(phrases, context.kindsIn(hit.sentence));
  const weight = isBackground(read, kind, tense, speaker, context) ? 0.5 : subject === 'self' ? 1 : 0.9;
  return { hit, phrases, score: phrases.score * weight, severity, subject, tense };
}

function whoIsMeant({ words }: ReadText, hit: Hit, kind: CrisisKind): Speaker {
  if (hit.entry.person === 'self' || hit.entry.person === 'you' || hit.entry.person === 'other') {
    // "People who kill themselves": nobody in particular.
    if (hit.entry.person !== 'other') return hit.entry.person;
    const before = speakerOf(words, { ...hit, to: hit.from });
    return before === 'generic' || (before === 'nobody' && kind !== 'abuse') ? 'generic' : 'other';
  }
  if (kind === 'abuse' || kind === 'danger') return 'self';
  return speakerOf(words, hit);
}

/** @returns undefined when nobody is meant: the therapist's question, advice to whoever reads it, people at large */
function subjectOf({ words }: ReadText, hit: Hit, speaker: Speaker, context: CrisisContext): Subject | undefined {
  const sentence = words.sentences[hit.sentence]!;
  if (words.quoted[hit.from]) {
    if (context.near('context.fiction', hit.sentence)) return undefined;
    const [before, after] = [hit.from - 8, hit.to + 8];
    const isTold =
      hasWord(words, Math.max(sentence.from, before), Math.min(words.text.length, after), told) ||
      hasWord(words, before, hit.from, told);
    if (!isTold) return undefined;
    return namesSomebody(words, before, hit.from) || namesSomebody(words, hit.to, after) ? 'quoted' : 'self';
  }
  if (speaker === 'you') return undefined;
  if (speaker === 'generic') return undefined;
  if (speaker === 'nobody') {
    // A long sentence in which nobody is: it speaks of the thing, and of no person.
    if (sentence.isQuestion || sentence.to - sentence.from > 9) return undefined;
    return context.near('context.education', hit.sentence) || context.near('context.news', hit.sentence)
      ? undefined
      : 'self';
  }
  return speaker;
}

const bodily: ReadonlySet<CrisisKind> = new Set([
  'self-harm',
  'attempt',
  'danger',
  'harm-to-others',
  'coded',
  'indirect',
]);
const spoken: ReadonlySet<CrisisKind> = new Set(['passive', 'active', 'burden']);
const veiledKinds: ReadonlySet<CrisisKind> = new Set(['coded', 'indirect']);

function isMeantOtherwise(hit: Hit, kind: CrisisKind, speaker: Speaker, context: CrisisContext): boolean {
  return isPlayedOrTold(hit, kind, speaker, context) || isOfThings(hit, kind, context);
}

/** In a game, a story or the news. */
function isPlayedOrTold({ sentence }: Hit, kind: CrisisKind, speaker: Speaker, context: CrisisContext): boolean {
  const ofActs = kind === 'harm-to-others' || kind === 'abuse';
  if (context.in('context.fiction', sentence) && (speaker !== 'self' || ofActs)) return true;
  if (context.in('context.game', sentence)) return true;
  if (bodily.has(kind) && (context.near('context.game', sentence) || context.near('context.fiction', sentence)))
    return true;
  return speaker === 'other' && (context.near('context.news', sentence) || context.near('context.fiction', sentence));
}

/** Of sports, accidents, machines, and the little troubles of a day. */
function isOfThings({ sentence }: Hit, kind: CrisisKind, context: CrisisContext): boolean {
  const has = (id: Parameters<CrisisContext['in']>[0]): boolean => context.in(id, sentence);
  if ((bodily.has(kind) || kind === 'abuse') && has('context.sport')) return true;
  if ((kind === 'self-harm' || kind === 'attempt') && has('context.accident')) return true;
  if (kind === 'harm-to-others') return has('context.technical') || has('context.humour') || has('context.trivial');
  if (veiledKinds.has(kind)) return has('context.technical') || has('context.trivial');
  if (!spoken.has(kind) || !has('context.trivial')) return false;
  return has('context.humour') || context.phraseCount < 4;
}

function tenseOf({ words }: ReadText, hit: Hit, kind: CrisisKind): Tense {
  const sentence = words.sentences[hit.sentence]!;
  const from = Math.max(sentence.from, hit.from - 5);
  if (hasWord(words, from, hit.to, past) && kind !== 'passive') return 'past';
  if (hasWord(words, from, Math.min(sentence.to, hit.to + 3), future)) return 'future';
  if (hasWord(words, from, hit.to, hypothetical)) return 'hypothetical';
  return hasWord(words, from, hit.to, past) ? 'past' : 'present';
}

/** What was, and is over: long ago or resolved, and nothing says that it is back. */
function isOver(hit: Hit, kind: CrisisKind, tense: Tense, speaker: Speaker, context: CrisisContext): boolean {
  const isLongAgo = context.in('context.long-ago', hit.sentence);
  const isResolved = context.anywhere('context.resolved');
  if (!isLongAgo && !(isResolved && (tense === 'past' || context.in('context.resolved', hit.sentence)))) return false;
  if (context.anywhere('context.current') && (speaker === 'self' || kind === 'abuse')) return false;
  const isDeath = context.kindsIn(hit.sentence).has('completed');
  return isDeath || tense === 'past' || context.in('context.resolved', hit.sentence) || kind === 'abuse';
}

/** What was done in the past, told in passing within a longer story, with nothing that says that it goes on. */
function isBackground(
  { words }: ReadText,
  kind: CrisisKind,
  tense: Tense,
  speaker: Speaker,
  context: CrisisContext,
): boolean {
  if (context.anywhere('context.current') || words.sentences.length < 3) return false;
  return tense === 'past' && (kind === 'abuse' || kind === 'danger' || (kind === 'attempt' && speaker === 'other'));
}

function raised({ kind, severity }: CrisisPhrases, beside: ReadonlySet<CrisisKind>): Severity {
  if (kind !== 'active' && kind !== 'passive' && kind !== 'coded' && kind !== 'harm-to-others') return severity;
  let reached: number = severity;
  if (beside.has('means')) reached = Math.max(reached, 3);
  if (beside.has('intent') && kind !== 'passive') reached = Math.max(reached, 4);
  if (beside.has('intent') && (beside.has('time') || beside.has('plan')) && kind !== 'passive') reached = 5;
  return reached as Severity;
}
