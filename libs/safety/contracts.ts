/** What every gate says of a text. A gate only says what it found; what follows from it is the policy's. */

export const gateNames = ['crisis', 'toxicity', 'privacy', 'bias', 'appropriateness', 'redaction'] as const;
export type GateName = (typeof gateNames)[number];

/** Whom the finding is about: the writer, somebody else, words that are cited, or a person who is played. */
export type Subject = 'self' | 'other' | 'quoted' | 'simulated';

export type Tense = 'present' | 'past' | 'future' | 'hypothetical';

/** Part of a text. `start` and `end` (exclusive) are UTF-16 offsets of the input as it was given, before any normalising. */
export interface Span {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/**
 * For the crisis gate the levels of the C-SSRS screener: 0 none, 1 wish to be dead, 2 active thoughts, 3 with a method,
 * 4 with intent, 5 with a plan and intent, 6 behaviour. For the other gates 0 none to 6 gravest, each as its gate says.
 * Source: Posner et al. 2011, Columbia-Suicide Severity Rating Scale, screen version.
 */
export type Severity = 0 | 1 | 2 | 3 | 4 | 5 | 6;

export interface GateResult {
  readonly gate: GateName;
  readonly flagged: boolean;
  /** 0..1; comparable within one gate only. */
  readonly score: number;
  readonly severity: Severity;
  /** The gravest of what was found, in the words of the gate; null where nothing was. */
  readonly category: string | null;
  readonly subject: Subject;
  readonly tense: Tense;
  /** Stable ids of the rules that decided; no text of the input. */
  readonly rules: readonly string[];
  readonly spans: readonly Span[];
  /** A part that the gate learned did not answer: what stands here is what the rules alone found. */
  readonly degraded?: true;
}

/** What a gate says of a text in which it found nothing. */
export function nothingFound(gate: GateName): GateResult {
  return {
    gate,
    flagged: false,
    score: 0,
    severity: 0,
    category: null,
    subject: 'self',
    tense: 'present',
    rules: [],
    spans: [],
  };
}
