/** @param before the tokens before, which some vocabularies need in order to know whether a space comes first */
export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

/** Stands for bytes that are no character, or not yet one: a character that is cut off gives exactly one. */
const replacement = '\uFFFD';
/** So many tokens that complete no character are no text. */
const longestWait = 16;
/** Tokens that each end inside a character are read again from the last clean cut; this bounds what that costs. */
const mostPending = 512;
/** How many tokens before are enough to tell about a space. */
const tokensBefore = 4;

/**
 * Turns tokens into text as they come. A token may end inside a character; what is before it is said, and the character
 * waits for the tokens that complete it, so that no piece of text ends in half a character.
 */
export class TokenText {
  private pending: number[] = [];
  /** How much of the text of the pending tokens has been said. */
  private saidLength = 0;
  private tokensSinceSaid = 0;
  private before: readonly number[];

  /** @param prompt what came before the first token */
  constructor(
    private readonly detokenize: Detokenize,
    prompt: readonly number[],
  ) {
    this.before = prompt.slice(-tokensBefore);
  }

  /** @returns what can be said now */
  push(token: number): string {
    this.pending.push(token);
    const text = this.detokenize(this.pending, this.before);
    this.tokensSinceSaid += 1;
    const mayGoOn = this.tokensSinceSaid < longestWait && this.pending.length < mostPending;
    if (mayGoOn && text.endsWith(replacement)) {
      const sayable = text.slice(this.saidLength, -1);
      this.saidLength += sayable.length;
      if (sayable !== '') this.tokensSinceSaid = 0;
      return sayable;
    }
    const sayable = text.slice(this.saidLength);
    this.tokensSinceSaid = 0;
    this.before = [...this.before, ...this.pending].slice(-tokensBefore);
    this.pending = [];
    this.saidLength = 0;
    return sayable;
  }

  /** Nothing more comes: half a character that is left has no text, and is dropped. */
  end(): string {
    if (this.pending.length === 0) return '';
    const text = this.detokenize(this.pending, this.before).slice(this.saidLength);
    this.pending = [];
    return text.endsWith(replacement) ? text.slice(0, -1) : text;
  }
}
