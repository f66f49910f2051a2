interface Node {
  readonly next: Map<number, Node>;
  word: string | undefined;
}

/** What a sign is read as when it stands for a letter. */
const readings: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'il',
  '2': 'z',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '6': 'gb',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '!': 'il',
  '|': 'il',
  '+': 't',
  '(': 'c',
  '<': 'c',
  '€': 'e',
  '£': 'le',
  '¥': 'y',
  '¡': 'i',
  '§': 's',
};
/** Signs behind which any one letter may hide. */
const masks = '*#_%.-~•·×?^=';
/** Looking up one word takes this many steps at most, whatever stands in it. */
const mostSteps = 600;
const longestWord = 24;
const longestRun = 240;

/** The words that lexicons know. Words that hide are made out against these alone, so that nothing else ever changes. */
export class Vocabulary {
  private readonly root: Node = { next: new Map(), word: undefined };
  private readonly words = new Map<string, number>();
  private readonly typos = new Map<string, string>();
  private steps = 0;
  private found: string | undefined;

  /** @param mistyped words of which common slips (a letter left out, doubled, or two of them swapped) are known, too */
  constructor(words: Iterable<string>, mistyped: Iterable<string>) {
    for (const word of words) this.learn(word);
    for (const word of mistyped)
      for (const slip of slipsOf(word)) if (!this.words.has(slip)) this.typos.set(slip, word);
  }

  /** The number of a word, from 1; 0 when it is not known. */
  idOf(word: string): number {
    return this.words.get(word) ?? 0;
  }

  get size(): number {
    return this.words.size;
  }

  /** The word that is meant by a common slip of the hand. */
  meantBy(typo: string): string | undefined {
    return this.typos.get(typo);
  }

  /**
   * The known word behind leet, masks and stretching. Half of its letters at least must stand there.
   * @param hidden lower case
   */
  unmask(hidden: string): string | undefined {
    if (hidden.length > longestWord * 4) return undefined;
    let letters = 0;
    let masked = 0;
    for (const unit of hidden) {
      if (masks.includes(unit)) masked += 1;
      else letters += 1;
    }
    if (letters < 2 || masked > letters) return undefined;
    this.steps = 0;
    this.found = undefined;
    this.walk(this.root, hidden, 0);
    return this.found;
  }

  /** Of several words the one that was learned first: what the gates look for most stands first. */
  private walk(node: Node, hidden: string, at: number): void {
    this.steps += 1;
    if (this.steps > mostSteps) return;
    if (at === hidden.length) {
      if (node.word === undefined) return;
      if (this.found === undefined || this.idOf(node.word) < this.idOf(this.found)) this.found = node.word;
      return;
    }
    const unit = hidden[at]!;
    let run = at + 1;
    while (run < hidden.length && hidden[run] === unit) run += 1;
    const length = run - at;
    if (masks.includes(unit)) {
      for (const child of node.next.values()) this.walk(child, hidden, at + 1);
      return;
    }
    for (const reading of readings[unit] ?? unit) {
      const code = reading.charCodeAt(0);
      const one = node.next.get(code);
      if (one === undefined) continue;
      if (length < 3) {
        this.walk(one, hidden, at + 1);
        continue;
      }
      // Stretched: one or two of the letter are meant.
      const two = one.next.get(code);
      const before = this.found;
      if (two !== undefined) this.walk(two, hidden, run);
      if (this.found === before) this.walk(one, hidden, run);
    }
  }

  /**
   * Takes letters without gaps apart into known words, with what is unknown between them in one piece each.
   * @returns the ends of the pieces; undefined when less than half of it is known, or no word of four letters
   */
  segment(letters: string): number[] | undefined {
    const length = Math.min(letters.length, longestRun);
    const cost = new Float64Array(length + 1).fill(Infinity);
    const from = new Int32Array(length + 1);
    const unknown = new Int32Array(length + 1);
    const longest = new Int32Array(length + 1);
    cost[0] = 0;
    for (let at = 0; at < length; at += 1) {
      this.reach(letters, at, length, (end, isKnown) => {
        const price = cost[at]! + (isKnown ? 1 : 3);
        if (price >= cost[end]!) return;
        cost[end] = price;
        from[end] = at;
        unknown[end] = unknown[at]! + (isKnown ? 0 : 1);
        longest[end] = Math.max(longest[at]!, isKnown ? end - at : 0);
      });
    }
    if (unknown[length]! * 2 > length || longest[length]! < 4) return undefined;
    const ends: number[] = letters.length > length ? [letters.length] : [];
    for (let end = length; end > 0; end = from[end]!) {
      const begin = from[end]!;
      const isStranger = end - begin === 1 && !this.words.has(letters[end - 1]!);
      const nextFrom = ends.at(-1);
      const followsStranger = nextFrom === end + 1 && !this.words.has(letters[end]!);
      if (!(isStranger && followsStranger)) ends.push(end);
    }
    return ends.reverse();
  }

  private reach(letters: string, at: number, length: number, seen: (end: number, isKnown: boolean) => void): void {
    seen(at + 1, false);
    let node: Node | undefined = this.root;
    for (let end = at; end < length && end - at < longestWord; end += 1) {
      node = node.next.get(letters.charCodeAt(end));
      if (node === undefined) return;
      if (node.word !== undefined) seen(end + 1, true);
    }
  }

  private learn(word: string): void {
    if (this.words.has(word)) return;
    this.words.set(word, this.words.size + 1);
    let node = this.root;
    for (let index = 0; index < word.length; index += 1) {
      const code = word.charCodeAt(index);
      let child = node.next.get(code);
      if (child === undefined) node.next.set(code, (child = { next: new Map(), word: undefined }));
      node = child;
    }
    node.word = word;
  }
}

function* slipsOf(word: string): Iterable<string> {
  for (let at = 1; at < word.length; at += 1) {
    yield word.slice(0, at) + word.slice(at + 1);
    yield word.slice(0, at) + word[at]! + word.slice(at);
    if (at + 1 < word.length) yield word.slice(0, at) + word[at + 1]! + word[at]! + word.slice(at + 2);
  }
}
