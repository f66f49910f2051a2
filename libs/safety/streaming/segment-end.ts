/** A dot behind these, behind a single letter or behind digits ends no sentence. */
const shortForms =
  /(?:^|[\s("'])(?:mr|mrs|ms|dr|st|ave|rd|blvd|no|vs|prof|jr|sr|apt|eg|e\.g|ie|i\.e|etc|inc|ltd|\p{L}|\d+)$/iu;
const longestShortForm = 8;

const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0x3000;
const isEndSign = (code: number): boolean => code === 0x2e || code === 0x21 || code === 0x3f || code === 0x2026;
const isWideEnd = (code: number): boolean => code === 0x3002 || code === 0xff01 || code === 0xff1f;
const isCloser = (code: number): boolean =>
  code === 0x22 || code === 0x27 || code === 0x29 || code === 0x5d || code === 0x201d || code === 0x2019;

/**
 * Finds where the sentence ends that begins at `begin`, or where it is cut when it is longer than `mostUnits`. It looks at each
 * unit once and back only, so that more text behind changes nothing of what was found.
 */
export class SegmentEnd {
  private at: number;
  private lastSpace = -1;

  constructor(
    private readonly begin: number,
    private readonly mostUnits: number,
  ) {
    this.at = begin;
  }

  /** @returns the offset behind the segment, or undefined when the text does not show it yet */
  find(text: string): number | undefined {
    for (; this.at < text.length; this.at += 1) {
      if (this.at - this.begin >= this.mostUnits) return this.cut(text);
      const code = text.charCodeAt(this.at);
      if (code === 10 || isWideEnd(code)) return this.at + 1;
      if (!isSpace(code)) continue;
      this.lastSpace = this.at;
      if (this.endsBefore(text)) return this.at + 1;
    }
    return undefined;
  }

  private endsBefore(text: string): boolean {
    let end = this.at;
    while (end > this.begin && isCloser(text.charCodeAt(end - 1))) end -= 1;
    if (end === this.begin || !isEndSign(text.charCodeAt(end - 1))) return false;
    if (text.charCodeAt(end - 1) !== 0x2e) return true;
    return !shortForms.test(text.slice(Math.max(this.begin, end - 1 - longestShortForm), end - 1));
  }

  private cut(text: string): number {
    if (this.lastSpace > this.begin) return this.lastSpace + 1;
    const before = text.charCodeAt(this.at - 1);
    // Never between the halves of a pair.
    return before >= 0xd800 && before <= 0xdbff ? this.at - 1 : this.at;
  }
}
