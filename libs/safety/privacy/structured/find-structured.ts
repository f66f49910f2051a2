import type { PersonalSpan } from '../personal-kinds.js';
import { birthRules } from './birth-rules.js';
import { contactRules } from './contact-rules.js';
import { governmentRules } from './government-rules.js';
import { labelledRules } from './labelled-rules.js';
import { networkRules } from './network-rules.js';
import { ibanIn, ibanPattern, paymentRules } from './payment-rules.js';
import { secretRules } from './secret-rules.js';
import { applyRule, digit } from './structured-rule.js';

/** In order: where two claim the same place, the first has it. */
const rules = [
  ...secretRules,
  ...contactRules.slice(0, -1),
  ...networkRules,
  ...paymentRules,
  ...governmentRules,
  ...labelledRules,
  ...birthRules,
  ...contactRules.slice(-1),
];

/** Identifiers with a form that a machine can check, or with a word before them that says what they are. */
export function findStructured(text: string): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  const claimed = new Uint8Array(text.length);
  const claim = (found: readonly PersonalSpan[]): void => {
    for (const span of found) {
      if (claimed.subarray(span.start, span.end).includes(1)) continue;
      claimed.fill(1, span.start, span.end);
      spans.push(span);
    }
  };
  claim(findIbans(text));
  for (const rule of rules) if (rule.needs.test(text)) claim(applyRule(text, rule));
  return spans.sort((one, other) => one.start - other.start);
}

function findIbans(text: string): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  if (!digit.test(text)) return spans;
  for (const { 0: found, index } of text.matchAll(ibanPattern)) {
    const length = ibanIn(found, text.slice(Math.max(0, index - 60), index));
    if (length > 0) spans.push({ type: 'iban', start: index, end: index + length });
  }
  return spans;
}
