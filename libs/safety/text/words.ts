import { written } from './contractions.js';
import { foldText, type FoldedText } from './fold.js';
import type { Vocabulary } from './vocabulary.js';

/** What lies before a word. */
export const gap = { none: 0, clause: 1, sentence: 2 } as const;

/** A sentence of `Words`: the words `from` to `to` (exclusive), at `start` to `end` of the original. */
export interface Sentence {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
  readonly isQuestion: boolean;
}

/** A text as words in their plain form, each with the place in the original that it came from. */
export interface Words {
  readonly text: readonly string[];
  /** Numbers of the vocabulary; 0: not in it. */
  readonly ids: readonly number[];
  /** UTF-16 offsets of the original. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly gaps: readonly number[];
  /** Between quotation marks that are closed again. */
  readonly quoted: readonly boolean[];
  readonly sentences: readonly Sentence[];
}

/** A sentence without an end is cut here, so that looking around in it stays bounded. */
const mostSentenceWords = 300;
/** So many letters with gaps are put together at a time. */
const mostSpacedLetters = 240;
/** Longer runs without white space are read, but nothing hidden is looked for in them. */
const longestHiding = 64;
const openers = '"“„«‟';
const closers = '"”»“';
const clauseSigns = ',;:()[]{}—–';
/** A dotted end is none after these. */
const titles = new Set(['mr', 'mrs', 'ms', 'dr', 'st', 'vs', 'prof', 'jr', 'sr', 'eg', 'ie', 'approx']);

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isLatin = (code: number): boolean => code >= 97 && code <= 122;

function isLetter(code: number): boolean {
  if (code < 128) return isLatin(code);
  if (code < 0xc0 || code === 0xd7 || code === 0xf7) return false;
  return !(
    (code >= 0x2000 && code <= 0x2bff) ||
    (code >= 0x3000 && code <= 0x303f) ||
    (code >= 0xd800 && code <= 0xf8ff)
  );
}

const isWordUnit = (code: number): boolean => isLetter(code) || isDigit(code) || code === 39;

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || code === 0x2028 || code === 0x2029 || code === 0x85;
}

/** Takes a text apart. Linear in the text: what is hidden is looked for in one chunk at a time, with bounded steps. */
export function readWords(original: string, vocabulary: Vocabulary): Words {
  return new WordReader(foldText(original), vocabulary).read();
}

class WordReader {
  private readonly text: string[] = [];
  private readonly ids: number[] = [];
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly gaps: number[] = [];
  private readonly quoted: boolean[] = [];
  private readonly sentences: Sentence[] = [];
  private pending: number = gap.none;
  private sentenceFrom = 0;
  private isQuestion = false;
  private quoteFrom = -1;
  private quoteSign = '';
  private readonly folded: string;

  constructor(
    private readonly source: FoldedText,
    private readonly vocabulary: Vocabulary,
  ) {
    this.folded = source.text;
  }

  read(): Words {
    const { folded } = this;
    let at = 0;
    while (at < folded.length) {
      if (isSpace(folded.charCodeAt(at))) {
        at = this.readSpace(at);
        continue;
      }
      const spaced = this.readSpacedOut(at);
      if (spaced > at) {
        at = spaced;
        continue;
      }
      let end = at + 1;
      while (end < folded.length && !isSpace(folded.charCodeAt(end))) end += 1;
      this.readChunk(at, end);
      at = end;
    }
    this.endSentence();
    const { text, ids, starts, ends, gaps, quoted, sentences } = this;
    return { text, ids, starts, ends, gaps, quoted, sentences };
  }

  private readSpace(from: number): number {
    let at = from;
    let lines = 0;
    while (at < this.folded.length && isSpace(this.folded.charCodeAt(at))) {
      if (this.folded.charCodeAt(at) === 10) lines += 1;
      at += 1;
    }
    if (lines > 0) this.separate(lines > 1 ? gap.sentence : gap.clause);
    return at;
  }

  private separate(kind: number): void {
    if (kind > this.pending) this.pending = kind;
  }

  /** Letters with one sign or space between each: `k i l l`, `k.i.l.l`. @returns where they end, or `from` */
  private readSpacedOut(from: number): number {
    const { folded } = this;
    if (!isLatin(folded.charCodeAt(from)) || (from > 0 && isWordUnit(folded.charCodeAt(from - 1)))) return from;
    const { places, wide } = this.spacedLetters(from);
    if (places.length < 3) return from;
    const letters = places.map((place) => folded[place]!).join('');
    const ends =
      wide.size > 0 && wide.size < places.length - 1
        ? [...wide, places.length]
        : this.vocabulary.idOf(letters) === 0
          ? this.vocabulary.segment(letters)
          : [places.length];
    if (ends === undefined || !this.knowsOne(letters, ends)) return from;
    let begin = 0;
    for (const end of ends) {
      this.add(letters.slice(begin, end), places[begin]!, places[end - 1]! + 1);
      begin = end;
    }
    return places.at(-1)! + 1;
  }

  /** `wide`: how many letters stand before each gap that is wider than the others. */
  private spacedLetters(from: number): { places: number[]; wide: Set<number> } {
    const { folded } = this;
    const places: number[] = [from];
    const wide = new Set<number>();
    let at = from + 1;
    while (at < folded.length && places.length < mostSpacedLetters) {
      let next = this.pastSigns(at, at);
      const isLost = folded.charCodeAt(next) === 39 && isSpace(folded.charCodeAt(next + 1));
      // `d o n ' t`
      if (isLost) next = this.pastSigns(next + 1, at);
      if (next === at || next >= folded.length || !isLatin(folded.charCodeAt(next))) break;
      if (next + 1 < folded.length && isWordUnit(folded.charCodeAt(next + 1))) break;
      if (!isLost && next - at > 1 && isSpace(folded.charCodeAt(at))) wide.add(places.length);
      places.push(next);
      at = next + 1;
    }
    return { places, wide };
  }

  private pastSigns(from: number, since: number): number {
    let next = from;
    while (next < this.folded.length && next - since < 4 && !isWordUnit(this.folded.charCodeAt(next))) next += 1;
    return next;
  }

  private knowsOne(letters: string, ends: readonly number[]): boolean {
    return ends.some((end, index) => {
      const word = letters.slice(index === 0 ? 0 : ends[index - 1]!, end);
      return word.length > 2 && this.vocabulary.idOf(word) !== 0;
    });
  }

  private readChunk(from: number, end: number): void {
    const { folded } = this;
    const { looksHidden, inner } = this.lookAt(from, end);
    if (looksHidden && end - from <= longestHiding && this.readHidden(from, end)) return;
    if (inner && end - from <= longestHiding && this.readJoined(from, end)) return;
    let at = from;
    while (at < end) {
      const code = folded.charCodeAt(at);
      if (!isWordUnit(code)) {
        this.readSign(at, end);
        at += 1;
        continue;
      }
      let to = at + 1;
      while (to < end && isWordUnit(folded.charCodeAt(to))) to += 1;
      this.readPlain(at, to, looksHidden);
      at = to;
    }
  }

  /** `looksHidden`: letters together with digits, signs or long runs. `inner`: signs between letters. */
  private lookAt(from: number, end: number): { looksHidden: boolean; inner: boolean } {
    const { folded } = this;
    let letters = 0;
    let signs = 0;
    let run = 1;
    let inner = false;
    for (let at = from; at < end; at += 1) {
      const code = folded.charCodeAt(at);
      if (isLatin(code)) letters += 1;
      else if (code !== 39) {
        signs += 1;
        if (at > from && at + 1 < end && isLatin(folded.charCodeAt(at - 1)) && isLatin(folded.charCodeAt(at + 1)))
          inner = true;
      }
      run = at > from && code === folded.charCodeAt(at - 1) ? run + 1 : 1;
      if (run === 3) signs += 1;
    }
    return { looksHidden: letters > 0 && signs > 0, inner };
  }

  private readHidden(from: number, end: number): boolean {
    const { folded } = this;
    const trim = '.,;:?!"“”()[]{}…*_~';
    let [begin, stop] = [from, end];
    while (stop > begin && trim.includes(folded[stop - 1]!)) stop -= 1;
    while (begin < stop && trim.includes(folded[begin]!)) begin += 1;
    const core = folded.slice(begin, stop).replaceAll("'", '');
    if (core.length < 2 || (/^[a-z]+$/.test(core) && !/(.)\1\1/.test(core))) return false;
    if (/^(?:[^a-z]*|\d+[a-z]{1,2}|[a-z]\d+)$/.test(core)) return false;
    if (/[./]/.test(core) && !/[^a-z./]/.test(core)) return false;
    const meant = this.vocabulary.unmask(core);
    if (meant === undefined) return false;
    for (let at = from; at < begin; at += 1) this.readSign(at, end);
    this.add(meant, begin, stop);
    for (let at = stop; at < end; at += 1) this.readSign(at, end);
    return true;
  }

  /** `su.icide`, `k-ill`: pieces that are no words, of what is one without the signs. */
  private readJoined(from: number, end: number): boolean {
    const { folded } = this;
    let [begin, stop] = [from, end];
    while (stop > begin && !isLatin(folded.charCodeAt(stop - 1))) stop -= 1;
    while (begin < stop && !isLatin(folded.charCodeAt(begin))) begin += 1;
    const pieces = folded.slice(begin, stop).split(/[^a-z]/);
    const joined = pieces.join('');
    if (joined.length < 4 || joined.length > 24 || this.vocabulary.idOf(joined) === 0) return false;
    if (pieces.every((piece) => this.vocabulary.idOf(piece) !== 0)) return false;
    for (let at = from; at < begin; at += 1) this.readSign(at, end);
    this.add(joined, begin, stop);
    for (let at = stop; at < end; at += 1) this.readSign(at, end);
    return true;
  }

  private readPlain(from: number, to: number, looksHidden: boolean): void {
    const { folded } = this;
    let [begin, stop] = [from, to];
    while (begin < stop && folded.charCodeAt(begin) === 39) begin += 1;
    while (stop > begin && folded.charCodeAt(stop - 1) === 39) stop -= 1;
    if (begin > from && (from === 0 || !isWordUnit(folded.charCodeAt(from - 1)))) this.quote("'", false);
    if (begin < stop) {
      let word = folded.slice(begin, stop);
      if (looksHidden && stop - begin <= longestHiding && !/^(?:\d+[a-z]{0,2}|[a-z]\d+)$/.test(word)) {
        const isPlain = /^[a-z']+$/.test(word) && !/(.)\1\1/.test(word);
        if (!isPlain) word = this.vocabulary.unmask(word.replaceAll("'", '')) ?? word.replace(/(.)\1{2,}/g, '$1$1');
      }
      if (!this.readTag(word, begin)) this.add(word, begin, stop);
    }
    if (stop < to && begin < stop) this.quote("'", true);
  }

  /** `#wordswithoutgaps`. @returns false when it is none, or its words are not known */
  private readTag(word: string, begin: number): boolean {
    if (this.folded[begin - 1] !== '#' || word.length < 6 || this.vocabulary.idOf(word) !== 0) return false;
    const ends = /^[a-z]+$/.test(word) ? this.vocabulary.segment(word) : undefined;
    if (ends === undefined) return false;
    let from = 0;
    for (const end of ends) {
      this.add(word.slice(from, end), begin + from, begin + end);
      from = end;
    }
    return true;
  }

  private readSign(at: number, chunkEnd: number): void {
    const sign = this.folded[at]!;
    if (sign === '?' || sign === '？' || sign === '¿') {
      if (sign === '¿') return;
      this.isQuestion = true;
      this.separate(gap.sentence);
    } else if (sign === '!' || sign === '。' || sign === '…') this.separate(sign === '…' ? gap.clause : gap.sentence);
    else if (sign === '.') this.readDot(at, chunkEnd);
    else if (sign === '-') {
      if (!isWordUnit(this.folded.charCodeAt(at - 1)) || !isWordUnit(this.folded.charCodeAt(at + 1)))
        this.separate(gap.clause);
    } else if (clauseSigns.includes(sign)) this.separate(gap.clause);
    else if (openers.includes(sign) || closers.includes(sign)) this.readQuotes(sign, at);
  }

  private readQuotes(sign: string, at: number): void {
    const closes = this.quoteFrom >= 0 && closers.includes(sign);
    const before = this.folded[at - 1] ?? ' ';
    // Behind a letter or the signs of JSON it opens no quotation.
    if (!closes && sign === '"' && (isWordUnit(before.charCodeAt(0)) || ':{[,='.includes(before))) return;
    this.quote(sign, closes);
  }

  private readDot(at: number, chunkEnd: number): void {
    const isMany = this.folded[at - 1] === '.' || this.folded[at + 1] === '.';
    if (isMany) return this.separate(gap.clause);
    const last = this.text.at(-1);
    const isShort =
      last !== undefined && (titles.has(last) || (last.length === 1 && at + 1 === chunkEnd && last !== 'i'));
    if (!isShort) this.separate(gap.sentence);
  }

  private quote(sign: string, closes: boolean): void {
    if (!closes) {
      if (this.quoteFrom >= 0 && sign === "'") return;
      this.quoteFrom = this.text.length;
      this.quoteSign = sign;
      return;
    }
    if (this.quoteFrom < 0 || (sign === "'") !== (this.quoteSign === "'")) return;
    for (let index = this.quoteFrom; index < this.text.length; index += 1) this.quoted[index] = true;
    this.quoteFrom = -1;
  }

  private add(word: string, from: number, to: number): void {
    const { starts, ends } = this.source;
    let start = starts[from]!;
    let end = ends[to - 1]!;
    // Behind a right-to-left override the map runs backwards.
    if (end <= start)
      for (let at = from; at < to; at += 1) [start, end] = [Math.min(start, starts[at]!), Math.max(end, ends[at]!)];
    if (this.pending === gap.sentence || this.text.length - this.sentenceFrom >= mostSentenceWords) this.endSentence();
    const long = written(word);
    if (long === undefined) return this.push(word, start, end);
    for (const each of long) this.push(each, start, end);
  }

  private push(word: string, start: number, end: number): void {
    let plain = word;
    let id = this.vocabulary.idOf(word);
    if (id === 0 && word.includes("'")) {
      plain = word.replace(/'s$/, '').replaceAll("'", '');
      id = this.vocabulary.idOf(plain);
    }
    if (id === 0) {
      const meant = this.vocabulary.meantBy(plain);
      if (meant !== undefined) {
        plain = meant;
        id = this.vocabulary.idOf(meant);
      }
    }
    this.text.push(plain);
    this.ids.push(id);
    this.starts.push(start);
    this.ends.push(end);
    this.gaps.push(this.pending);
    this.quoted.push(false);
    this.pending = gap.none;
  }

  private endSentence(): void {
    const to = this.text.length;
    if (to > this.sentenceFrom) {
      const { sentenceFrom: from, isQuestion } = this;
      this.sentences.push({ from, to, start: this.starts[from]!, end: this.ends[to - 1]!, isQuestion });
      this.sentenceFrom = to;
      if (this.quoteFrom >= 0 && to - this.quoteFrom > 400) this.quoteFrom = -1;
    }
    this.isQuestion = false;
  }
}
