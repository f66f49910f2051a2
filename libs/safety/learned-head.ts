import type { ReadText } from './lexicon/lexicon.js';

/** One sentence in its plain form, at `start` to `end` of the original (UTF-16 offsets). */
export interface NormalisedSentence {
  readonly words: readonly string[];
  readonly start: number;
  readonly end: number;
}

/**
 * A model that scores sentences for one gate. It runs in the thread that asks, so it has to be small.
 * @returns one score per sentence, 0..1, on the scale of its gate: from 0.5 on it counts as found
 */
export interface LearnedHead {
  score(sentences: readonly NormalisedSentence[]): Float32Array;
}

export function sentencesOf({ words }: ReadText): NormalisedSentence[] {
  return words.sentences.map(({ from, to, start, end }) => ({ words: words.text.slice(from, to), start, end }));
}

/** The sentence that scores most: one line in a long text is enough. */
export function highest(head: LearnedHead, sentences: readonly NormalisedSentence[]): { score: number; at: number } {
  const scores = head.score(sentences);
  let at = -1;
  for (let index = 0; index < sentences.length; index += 1) if (at < 0 || scores[index]! > scores[at]!) at = index;
  return { score: at < 0 ? 0 : scores[at]!, at };
}
