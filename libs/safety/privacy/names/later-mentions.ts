import type { PersonalSpan } from '../personal-kinds.js';
import { folded, has, knownOf } from './lexicon.js';
import type { WordToken } from './word-tokens.js';

/** Who was called by a full name, or with a title, is meant by a part of it alone too: "Brad Key ... starring Key". */
export function withLaterMentions(
  text: string,
  tokens: readonly WordToken[],
  spans: readonly PersonalSpan[],
): readonly PersonalSpan[] {
  const parts = partsOfFullNames(text, spans);
  if (parts.size === 0) return spans;
  const all: PersonalSpan[] = [];
  let next = 0;
  for (const token of tokens) {
    while (next < spans.length && spans[next]!.end <= token.start) all.push(spans[next++]!);
    if (token.shape !== 'title' || token.isTaken || (token.isFirst && token.known & has.word)) continue;
    if (next < spans.length && spans[next]!.start < token.end) continue;
    if (!(token.known & has.neverName) && parts.has(text.slice(token.start, token.end))) {
      all.push({ type: 'name', start: token.start, end: token.end });
    }
  }
  return [...all, ...spans.slice(next)];
}

function partsOfFullNames(text: string, spans: readonly PersonalSpan[]): Set<string> {
  const parts = new Set<string>();
  for (const { start, end } of spans) {
    const words = text.slice(start, end).split(/[\s.]+/);
    // Of a single word only what is no other word: "Dr. Patel ... Patel nodded".
    if (words.length === 1 && knownOf(folded(words[0]!)) & (has.word | has.proper | has.virtue)) continue;
    for (const word of words) if (word.length > 2 && /^\p{Lu}/u.test(word)) parts.add(word);
  }
  return parts;
}
