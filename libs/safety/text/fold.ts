import { isFaint, lookalike, pictureLetter, withoutStroke } from './homoglyphs.js';

/** A text as a reader reads it: small Latin letters without marks, and nothing that cannot be seen. */
export interface FoldedText {
  readonly text: string;
  /** For each UTF-16 unit of `text`, where the code point it came from begins and ends in the original. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** A code point as it is read. `foreign` is the Latin letter it is taken for when its whole word may be Latin; 0: none. */
interface Fold {
  readonly units: string;
  readonly foreign: number;
  /** A letter of another script: it stays what it is unless all of its word looks Latin. */
  readonly isForeign: boolean;
}

const nothing: Fold = { units: '', foreign: 0, isForeign: false };
const rightToLeftOverride = 0x202e;
const popDirection = 0x202c;

/** Format characters (zero-width, bidi controls, soft hyphen, tags), marks, variation selectors, fillers, lone surrogates. */
const unseen = /^(?:\p{Cf}|\p{M}|\p{Cs}|[\u115f\u1160\u3164\uffa0\u2800])$/u;
const marks = /\p{M}/gu;
const quotes: Readonly<Record<string, string>> = { '‘': "'", '’': "'", '‛': "'", '′': "'", ʼ: "'", '`': "'", '´': "'" };

const ascii: Fold[] = [];
for (let code = 0; code < 128; code += 1)
  ascii.push({
    units: quotes[String.fromCharCode(code)] ?? String.fromCharCode(code).toLowerCase(),
    foreign: 0,
    isForeign: false,
  });
ascii[0] = nothing;

const mostRemembered = 20_000;
const remembered = new Map<number, Fold>();

function foldOf(codePoint: number): Fold {
  if (codePoint < 128) return ascii[codePoint]!;
  const known = remembered.get(codePoint);
  if (known !== undefined) return known;
  const fold = foldAnew(codePoint);
  if (remembered.size < mostRemembered) remembered.set(codePoint, fold);
  return fold;
}

function foldAnew(codePoint: number): Fold {
  const given = String.fromCodePoint(codePoint);
  if (unseen.test(given)) return nothing;
  const picture = pictureLetter(codePoint);
  if (picture !== 0) return { units: String.fromCharCode(picture), foreign: 0, isForeign: false };
  const quote = quotes[given];
  if (quote !== undefined) return { units: quote, foreign: 0, isForeign: false };
  const own = lookalike(codePoint);
  const plain = given.normalize('NFKD').replace(marks, '').trim();
  if (plain === '') return { units: ' ', foreign: 0, isForeign: false };
  const small = plain.toLowerCase().replace(marks, '');
  // What a letter is made of may itself be read as something else.
  const latin = [...[...small].map(withoutStroke).join('').normalize('NFC')]
    .map((part) => (part === given || part < '\u0080' ? part : foldOf(part.codePointAt(0)!).units))
    .join('');
  if ([...latin].every((each) => each < '\u0080')) return { units: latin, foreign: 0, isForeign: false };
  const foreign = own || lookalike(plain.codePointAt(0)!) || lookalike(latin.codePointAt(0)!);
  return { units: latin, foreign, isForeign: /\p{L}/u.test(latin) };
}

const isAsciiLetter = (code: number): boolean => code >= 97 && code <= 122;

/** Growing arrays of units and of where they came from. */
class FoldedUnits {
  private units: Uint16Array;
  private starts: Int32Array;
  private ends: Int32Array;
  private count = 0;
  private foreignInWord = 0;
  private strangersInWord = 0;
  private faintInWord = 0;
  private latinInWord = 0;
  private readonly readAs = new Map<number, number>();

  constructor(length: number) {
    this.units = new Uint16Array(length + 16);
    this.starts = new Int32Array(length + 16);
    this.ends = new Int32Array(length + 16);
  }

  add(fold: Fold, start: number, end: number): void {
    if (this.count + fold.units.length > this.units.length) this.grow(fold.units.length);
    for (let index = 0; index < fold.units.length; index += 1) {
      const code = fold.units.charCodeAt(index);
      if (isAsciiLetter(code)) this.latinInWord += 1;
      else if (fold.isForeign && code > 127)
        this.addForeign(fold.units.length === 1 ? fold.foreign : lookalike(code), code);
      else this.endWord();
      this.units[this.count] = code;
      this.starts[this.count] = start;
      this.ends[this.count] = end;
      this.count += 1;
    }
  }

  private addForeign(readAs: number, code: number): void {
    this.foreignInWord += 1;
    if (readAs === 0) this.strangersInWord += 1;
    else this.readAs.set(this.count, readAs);
    if (isFaint(code)) this.faintInWord += 1;
  }

  /**
   * A word is Latin in disguise when each of its foreign letters is read as a Latin one, and there are Latin letters among them
   * or all are very alike.
   */
  private endWord(): void {
    const latin = this.latinInWord;
    this.latinInWord = 0;
    if (this.foreignInWord === 0) return;
    if (this.strangersInWord === 0 && (latin > 0 || this.faintInWord === 0))
      for (const [index, code] of this.readAs) this.units[index] = code;
    this.readAs.clear();
    this.foreignInWord = this.strangersInWord = this.faintInWord = 0;
  }

  finish(): FoldedText {
    this.endWord();
    let text = '';
    for (let from = 0; from < this.count; from += 8_192)
      text += String.fromCharCode.apply(null, this.units.subarray(from, Math.min(from + 8_192, this.count)) as never);
    return { text, starts: this.starts.subarray(0, this.count), ends: this.ends.subarray(0, this.count) };
  }

  private grow(atLeast: number): void {
    const length = this.units.length * 2 + atLeast;
    const [units, starts, ends] = [new Uint16Array(length), new Int32Array(length), new Int32Array(length)];
    units.set(this.units);
    starts.set(this.starts);
    ends.set(this.ends);
    [this.units, this.starts, this.ends] = [units, starts, ends];
  }
}

/** Linear in the text. Each code point is folded by itself, so the map needs no search. */
export function foldText(original: string): FoldedText {
  const units = new FoldedUnits(original.length);
  for (let at = 0; at < original.length;) {
    const codePoint = original.codePointAt(at)!;
    const end = at + (codePoint > 0xffff ? 2 : 1);
    if (codePoint === rightToLeftOverride) {
      at = foldReversed(original, end, units);
      continue;
    }
    units.add(foldOf(codePoint), at, end);
    at = end;
  }
  return units.finish();
}

/** What stands after a right-to-left override is read from its end. @returns where it ends */
function foldReversed(original: string, from: number, units: FoldedUnits): number {
  const places: number[] = [];
  let at = from;
  while (at < original.length) {
    const codePoint = original.codePointAt(at)!;
    if (codePoint === popDirection || codePoint === 0x0a || codePoint === rightToLeftOverride) break;
    places.push(at);
    at += codePoint > 0xffff ? 2 : 1;
  }
  for (let index = places.length - 1; index >= 0; index -= 1) {
    const place = places[index]!;
    const codePoint = original.codePointAt(place)!;
    units.add(foldOf(codePoint), place, place + (codePoint > 0xffff ? 2 : 1));
  }
  return at;
}
