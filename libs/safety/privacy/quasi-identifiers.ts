import type { PersonalSpan, PersonalType } from './personal-kinds.js';

interface QuasiRule {
  readonly type: PersonalType;
  readonly needs: RegExp;
  readonly pattern: RegExp;
}

const proper = String.raw`\p{Lu}[\p{L}\p{M}'’&-]{1,24}(?: (?:of |and |the |& )?\p{Lu}[\p{L}\p{M}'’&-]{1,24}){0,4}`;

/** What tells little alone and much together: where one works, learns, and is the only one of a kind. The gate only tells. */
const rules: readonly QuasiRule[] = [
  {
    type: 'employer',
    needs: /work|employ|job|intern|hired|fired|shift/i,
    pattern: new RegExp(
      String.raw`(?<=\b(?:work(?:s|ed|ing)? (?:at|for)|employed (?:at|by)|job (?:at|with)|intern(?:ing)? at|hired by|fired (?:by|from)|shift at) (?:the )?)${proper}`,
      'gu',
    ),
  },
  {
    type: 'school',
    needs: /universit|college|school|academy|institute/i,
    pattern: new RegExp(
      String.raw`(?<![\p{L}\p{N}])(?:${proper} (?:University|College|High School|Elementary(?: School)?|Middle School|School|Academy|Institute)|University of ${proper})(?![\p{L}\p{N}])`,
      'gu',
    ),
  },
  {
    type: 'role_in_place',
    needs: /\bonly\b|\bfirst\b/i,
    pattern:
      /(?<=\bi(?:'m| am) )the (?:only|first) (?:[\p{L}-]{2,20} ){1,4}(?:in|at|of) (?:our |my |the |this )?[\p{L}-]{3,24}(?: (?:town|village|school|company|office|county|parish|department|ward|church))?/giu,
  },
];

export function findQuasiIdentifiers(text: string): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  for (const { type, needs, pattern } of rules) {
    if (!needs.test(text)) continue;
    for (const match of text.matchAll(pattern))
      spans.push({ type, start: match.index, end: match.index + match[0].length });
  }
  return spans;
}
