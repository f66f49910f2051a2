import type { PhraseItem } from './phrase.js';

/** A word at its place in a phrase, and where the phrase can go on. */
interface Position {
  readonly word: number;
  readonly entry: number;
  readonly follow: number[];
  /** The phrase may end here. */
  isLast: boolean;
}

/** All places in all phrases that the same words lead to, and where each next word leads. */
interface State {
  readonly next: Map<number, State | readonly number[]>;
  readonly entries: readonly number[];
}

/** What a part of a phrase can begin and end with, as positions. */
interface Part {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly isEmpty: boolean;
}

/** The numbers of the words that one written word stands for; none when it is left out, unless it must not be. */
type WordsOf = (written: string, mustStay: boolean) => readonly number[];

const mostStates = 200_000;
/** So many words that do not belong to a phrase may stand in it. */
const mostSkipped = 4;

/**
 * One automaton for the phrases of all lexicons. It works on the numbers of words instead of letters, so that "killed" is not
 * in "skilled", and phrases stay written as alternatives: spread out they are millions. Positions and what follows them after
 * Glushkov 1961; states are made of sets of positions when a text first leads there, as RE2 does. Phrases have no repetition,
 * so a beginning lives for as many words as the longest phrase has: the time is linear in the text whatever stands in it.
 */
export class PhraseAutomaton {
  private readonly positions: Position[] = [];
  private readonly firsts: number[] = [];
  private root: State | undefined;
  private states = 0;
  /** Steps of the last `find`: what shows that it is linear. */
  steps = 0;

  /** @param skipped words that a phrase is found in spite of, where they do not belong to it */
  constructor(private readonly skipped: ReadonlySet<number>) {}

  /**
   * @throws Error when the phrase can be empty
   */
  add(phrase: PhraseItem, entry: number, wordsOf: WordsOf): void {
    const part = this.partOf(phrase, entry, wordsOf);
    if (part.isEmpty) throw new Error(`a phrase can be empty: ${JSON.stringify(phrase)}`);
    for (const place of part.last) this.positions[place]!.isLast = true;
    this.firsts.push(...part.first);
  }

  get positionCount(): number {
    return this.positions.length;
  }

  /**
   * @param ids words of a text, 0 for unknown ones, of which `begin` to `end` are looked through
   * @param seen called for each phrase that stands there: the longest of each entry from each beginning
   */
  find(
    ids: readonly number[],
    begin: number,
    end: number,
    seen: (entry: number, from: number, to: number) => void,
  ): void {
    this.steps = 0;
    if (this.states > mostStates) this.root = undefined;
    this.root ??= this.begin();
    const known = this.root.next;
    for (let from = begin; from < end; from += 1) if (known.has(ids[from]!)) this.follow(ids, from, end, seen);
  }

  private follow(
    ids: readonly number[],
    from: number,
    end: number,
    seen: (entry: number, from: number, to: number) => void,
  ): void {
    let state: State = this.root!;
    let ends: Map<number, number> | undefined;
    for (let at = from, skips = 0; at < end; at += 1) {
      const next = state.next.get(ids[at]!);
      this.steps += 1;
      if (next === undefined) {
        skips += 1;
        if (skips > mostSkipped || !this.skipped.has(ids[at]!)) break;
        continue;
      }
      state = Array.isArray(next) ? this.grow(state, ids[at]!, next) : (next as State);
      for (const entry of state.entries) (ends ??= new Map()).set(entry, at + 1);
    }
    ends?.forEach((to, entry) => seen(entry, from, to));
  }

  private begin(): State {
    this.states = 1;
    return { next: this.byWord(this.firsts), entries: [] };
  }

  private grow(state: State, word: number, places: readonly number[]): State {
    const follow = new Set<number>();
    const entries = new Set<number>();
    for (const place of places) {
      const position = this.positions[place]!;
      if (position.isLast) entries.add(position.entry);
      for (const next of position.follow) follow.add(next);
    }
    const grown: State = { next: this.byWord(follow), entries: [...entries] };
    state.next.set(word, grown);
    this.states += 1;
    return grown;
  }

  private byWord(places: Iterable<number>): Map<number, State | readonly number[]> {
    const grouped = new Map<number, number[]>();
    for (const place of places) {
      const { word } = this.positions[place]!;
      const there = grouped.get(word);
      if (there === undefined) grouped.set(word, [place]);
      else there.push(place);
    }
    return grouped;
  }

  private partOf(item: PhraseItem, entry: number, wordsOf: WordsOf): Part {
    if (typeof item === 'string') return this.sequence(wordsOf(item, false).map((word) => this.place(word, entry)));
    const parts = item.choices.map((choice) => this.choiceOf(choice, entry, wordsOf));
    return {
      first: parts.flatMap((part) => part.first),
      last: parts.flatMap((part) => part.last),
      isEmpty: item.isOptional || parts.some((part) => part.isEmpty),
    };
  }

  private choiceOf(choice: readonly PhraseItem[], entry: number, wordsOf: WordsOf): Part {
    // Where nothing but words that are left out stands, they are what is meant.
    const isAllLeftOut = choice.every((each) => typeof each === 'string' && wordsOf(each, false).length === 0);
    const reading: WordsOf = isAllLeftOut ? (written) => wordsOf(written, true) : wordsOf;
    return this.sequence(choice.map((each) => this.partOf(each, entry, reading)));
  }

  private place(word: number, entry: number): Part {
    const place = this.positions.push({ word, entry, follow: [], isLast: false }) - 1;
    return { first: [place], last: [place], isEmpty: false };
  }

  private sequence(parts: readonly Part[]): Part {
    let first: readonly number[] = [];
    let last: readonly number[] = [];
    let isEmpty = true;
    for (const part of parts) {
      for (const place of last) this.positions[place]!.follow.push(...part.first);
      if (isEmpty) first = [...first, ...part.first];
      last = part.isEmpty ? [...last, ...part.last] : part.last;
      isEmpty &&= part.isEmpty;
    }
    return { first, last, isEmpty };
  }
}
