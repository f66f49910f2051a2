import type { PersonalSpan, PersonalType } from '../personal-kinds.js';

/** What stands around a find, so that a rule can tell a telephone number from a score. */
export interface Surroundings {
  /** Up to 60 characters before, in lower case. */
  readonly before: string;
  /** Up to 24 characters after, in lower case. */
  readonly after: string;
}

/**
 * One form. The pattern is bounded in length everywhere, so that its cost is linear in the text. A group, where there is
 * one without a name, stands at the end of the pattern and is the identifier; what is before it only announces it.
 */
export interface StructuredRule {
  readonly type: PersonalType;
  readonly pattern: RegExp;
  /** A text without this is not looked through: most texts have no digit and no "@". */
  readonly needs: RegExp;
  isMeant?(value: string, around: Surroundings): boolean;
}

export const digit = /\d/;
export const digitsOf = (value: string): string => value.replaceAll(/\D/g, '');

export function applyRule(text: string, { type, pattern, isMeant }: StructuredRule): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  for (const match of text.matchAll(pattern)) {
    const value = (match.groups === undefined ? match[1] : undefined) ?? match[0];
    const end = match.index + match[0].length;
    const start = end - value.length;
    if (value === '') continue;
    if (isMeant !== undefined) {
      const before = text.slice(Math.max(0, start - 60), start).toLowerCase();
      if (!isMeant(value, { before, after: text.slice(end, end + 24).toLowerCase() })) continue;
    }
    spans.push({ type, start, end });
  }
  return spans;
}
