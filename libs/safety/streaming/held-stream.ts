import { SegmentEnd } from './segment-end.js';

/** What to put in the place of a part of the text, in offsets of what the filter was given. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

/** `block`: nothing from here on leaves; it says why, in words that may be told. */
export interface FilterVerdict {
  readonly edits: readonly Edit[];
  readonly block?: string;
}

/**
 * Judges a stretch of text that begins with what has left already. What it says must hang on these arguments alone.
 * @param text the last of what has left, the segment, and what of the text behind it is looked ahead at
 * @param from where the segment begins; edits before it are passed over
 * @param to where the segment ends; an edit that begins before it may reach beyond, and then moves the end
 */
export type StreamFilter = (text: string, from: number, to: number) => FilterVerdict;

export interface HoldBack {
  /** A sentence longer than this is cut, at white space where it has any. UTF-16 units. */
  readonly mostSegmentUnits: number;
  /** As long as the longest pattern that may lie across the end of a segment. UTF-16 units. */
  readonly lookAheadUnits: number;
  /** How much of what has left the filter sees again. UTF-16 units. */
  readonly lookBackUnits: number;
}

export interface Released {
  readonly text: string;
  /** The stream has ended here, in its middle: nothing comes after it. */
  readonly block?: string;
}

/**
 * Lets only that prefix of a stream go which no later text can change: whole segments, once all that the filter may look at is
 * there. Where segments end follows from the text and never from how it was cut into chunks, so what leaves is the same for
 * every way of cutting. It holds `lookBackUnits + mostSegmentUnits + lookAheadUnits` units and one chunk at most.
 */
export class HeldStream {
  private pending = '';
  /** Where in `pending` the next segment begins: before it lies what has left already. */
  private from = 0;
  private segment: SegmentEnd;
  private blocked: string | undefined;
  private hasEnded = false;

  constructor(
    private readonly filter: StreamFilter,
    private readonly hold: HoldBack,
  ) {
    this.segment = new SegmentEnd(0, hold.mostSegmentUnits);
  }

  /** Units that wait to be judged or to be let go. */
  get heldUnits(): number {
    return this.pending.length - this.from;
  }

  push(chunk: string): Released {
    if (this.hasEnded) return this.released('');
    this.pending += chunk;
    return this.release(false);
  }

  /** Nothing comes any more: what is held is judged as it is. */
  end(): Released {
    if (this.hasEnded) return this.released('');
    const last = this.release(true);
    this.hasEnded = true;
    return last;
  }

  private release(isLast: boolean): Released {
    const parts: string[] = [];
    while (!this.hasEnded) {
      const found = this.segment.find(this.pending);
      const to = found ?? (isLast ? this.pending.length : undefined);
      if (to === undefined || to <= this.from) break;
      if (!isLast && to + this.hold.lookAheadUnits > this.pending.length) break;
      const part = this.judge(to);
      if (part === undefined) break;
      parts.push(part);
    }
    return this.released(parts.join(''));
  }

  /** @returns the segment up to `to` as it may leave; undefined when it may not */
  private judge(to: number): string | undefined {
    const { pending, from } = this;
    const window = pending.slice(0, to + this.hold.lookAheadUnits);
    const { edits, block } = this.filter(window, from, to);
    if (block !== undefined) {
      this.blocked = block;
      this.hasEnded = true;
      this.pending = '';
      this.from = 0;
      return undefined;
    }
    let end = to;
    let at = from;
    let out = '';
    for (const edit of [...edits].sort((one, other) => one.start - other.start || other.end - one.end)) {
      if (edit.start < at || edit.start >= end || edit.end > window.length) continue;
      out += pending.slice(at, edit.start) + edit.replacement;
      at = edit.end;
      end = Math.max(end, edit.end);
    }
    out += pending.slice(at, end);
    const keptFrom = Math.max(0, end - this.hold.lookBackUnits);
    this.pending = pending.slice(keptFrom);
    this.from = end - keptFrom;
    this.segment = new SegmentEnd(this.from, this.hold.mostSegmentUnits);
    return out;
  }

  private released(text: string): Released {
    return this.blocked === undefined ? { text } : { text, block: this.blocked };
  }
}

/** The same filter on a text that is there as a whole: what a stream of it lets go, in one piece. */
export function filterWhole(text: string, filter: StreamFilter, hold: HoldBack): Released {
  const stream = new HeldStream(filter, hold);
  const first = stream.push(text);
  const last = stream.end();
  return { ...last, text: first.text + last.text };
}
