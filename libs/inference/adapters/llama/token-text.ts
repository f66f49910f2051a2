/** The tokens before, which some vocabularies need in order to know whether a space comes first. */
export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

/** Stands for bytes that are no character, or not yet one. */
const replacement = '\uFFFD';
/** The longest character of UTF-8 has four bytes, and the smallest token one. */
const longestWait = 4;
/** How many tokens before are enough to tell about a space. */
const contextTokens = 4;

/**
 * Turns tokens into text as they come. A token may end inside a character; such a token waits for those that complete it,
 * so that no piece of text ends in half a character.
 */
export class TokenText {
  private pending: number[] = [];
  private before: readonly number[];

  /** @param prompt what came before the first token */
  constructor(
    private readonly detokenize: Detokenize,
    prompt: readonly number[],
  ) {
    this.before = prompt.slice(-contextTokens);
  }

  /** @returns what can be said now; empty while a character is incomplete */
  push(token: number): string {
    this.pending.push(token);
    const text = this.detokenize(this.pending, this.before);
    if (text.endsWith(replacement) && this.pending.length < longestWait) return '';
    this.before = [...this.before, ...this.pending].slice(-contextTokens);
    this.pending = [];
    return text;
  }

  /** Nothing more comes: half a character that is left has no text, and is dropped. */
  end(): string {
    if (this.pending.length === 0) return '';
    const text = this.detokenize(this.pending, this.before);
    this.pending = [];
    return text.replace(/\uFFFD+$/, '');
  }
}
