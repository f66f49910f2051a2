import type { GateResult, Severity } from './contracts.js';
import { judgeCrisis } from './crisis/crisis-gate.js';
import { highest, sentencesOf, type LearnedHead } from './learned-head.js';
import { checkPrivacy, findPersonal } from './privacy/privacy-gate.js';
import { checkRedaction, redactFinally } from './redaction/final-redaction.js';
import { safetyLexicon } from './safety-lexicon.js';
import { judgeToxicity, type ToxicityResult } from './toxicity/toxicity-gate.js';

/** What the gates over one text found. */
export interface TextJudgement {
  readonly crisis: GateResult;
  readonly toxicity: ToxicityResult;
  readonly privacy: GateResult;
  readonly redaction: GateResult;
  /** The text without what tells who somebody is. */
  readonly redacted: string;
}

/** Learned halves, where there are any. */
export interface LearnedHeads {
  readonly crisis?: LearnedHead;
  readonly toxicity?: LearnedHead;
}

/** From here on a score counts as found, for rules and for learned heads alike. */
const threshold = 0.5;

/** Runs the gates over a text of up to `mostTextUnits`; the lexicons are read once for all of them. */
export class TextGates {
  private readonly parts = safetyLexicon();

  constructor(private readonly heads: LearnedHeads = {}) {}

  judge(text: string): TextJudgement {
    const { lexicon, crisis, toxicity } = this.parts;
    const read = lexicon.read(text);
    const [fromCrisis, fromToxicity] = [judgeCrisis(read, crisis), judgeToxicity(read, toxicity)];
    const personal = personalJudgement(text);
    if (this.heads.crisis === undefined && this.heads.toxicity === undefined)
      return { crisis: fromCrisis, toxicity: fromToxicity, ...personal };
    const sentences = sentencesOf(read);
    return {
      ...personal,
      crisis: withHead(fromCrisis, this.heads.crisis, sentences, 1),
      toxicity: withHead(fromToxicity, this.heads.toxicity, sentences, 2),
    };
  }
}

function personalJudgement(text: string): Pick<TextJudgement, 'privacy' | 'redaction' | 'redacted'> {
  const found = findPersonal(text);
  const redaction = redactFinally(text, found);
  return { privacy: checkPrivacy(found), redaction: checkRedaction(redaction), redacted: redaction.text };
}

/** The more worried of the rules and the head. A head that fails leaves the rules alone, and says so. */
function withHead<Result extends GateResult>(
  found: Result,
  head: LearnedHead | undefined,
  sentences: ReturnType<typeof sentencesOf>,
  least: Severity,
): Result {
  if (head === undefined || sentences.length === 0) return found;
  let best: { score: number; at: number };
  try {
    best = highest(head, sentences);
  } catch {
    return { ...found, degraded: true };
  }
  if (best.score <= found.score) return found;
  const isNew = best.score >= threshold && !found.flagged;
  const { start, end } = sentences[best.at]!;
  return {
    ...found,
    score: best.score,
    flagged: best.score >= threshold,
    ...(isNew && {
      severity: least,
      category: 'learned',
      rules: [`${found.gate}.learned`],
      spans: [{ type: 'learned', start, end }],
    }),
  };
}
