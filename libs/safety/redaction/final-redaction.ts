import { type GateResult, nothingFound } from '../contracts.js';
import { personalKinds, type PersonalSpan } from '../privacy/personal-kinds.js';
import { findPersonal } from '../privacy/privacy-gate.js';
import { inTextBefore, mergedSpans, redactWithMap } from './redact.js';

interface FinalRedaction {
  /** What may leave. */
  readonly text: string;
  /** What was taken out, in offsets of the text as given; merged and in order. */
  readonly spans: readonly PersonalSpan[];
}

const mostTurns = 6;

const findRedacted = (text: string): PersonalSpan[] =>
  findPersonal(text).filter(({ type }) => personalKinds[type].isRedacted);

/**
 * The last gate, over the exact text that leaves. Redacting what came out changes nothing: what is left is looked through
 * again until nothing more is found, since a placeholder may show what was hidden beside it.
 *
 * @param found spans of `findPersonal` for this very text, where they are known already
 */
export function redactFinally(text: string, found?: readonly PersonalSpan[]): FinalRedaction {
  let spans = mergedSpans(text, found?.filter(({ type }) => personalKinds[type].isRedacted) ?? findRedacted(text));
  if (spans.length === 0) return { text, spans };
  for (let turn = 0; turn < mostTurns; turn += 1) {
    const redacted = redactWithMap(text, spans);
    const more = findRedacted(redacted.text);
    if (more.length === 0) return { text: redacted.text, spans };
    spans = mergedSpans(text, [...spans, ...inTextBefore(more, redacted)]);
  }
  // It never came to rest, which no text of a person does: nothing of it leaves.
  const whole: PersonalSpan[] = [{ type: 'name', start: 0, end: text.length }];
  return { text: redactWithMap(text, whole).text, spans: whole };
}

/** The gate's word on what the last redaction took out. */
export function checkRedaction({ spans }: FinalRedaction): GateResult {
  if (spans.length === 0) return nothingFound('redaction');
  const gravest = spans.reduce((worst, span) =>
    personalKinds[span.type].severity > personalKinds[worst.type].severity ? span : worst,
  );
  const { severity } = personalKinds[gravest.type];
  return {
    ...nothingFound('redaction'),
    flagged: true,
    score: severity / 6,
    severity,
    category: gravest.type,
    rules: [...new Set(spans.map(({ type }) => `redaction.${type}`))].sort(),
    spans,
  };
}
