/** What of the text may be said, and which stop string has been met behind it. */
export interface Filtered {
  readonly text: string;
  readonly met: string | undefined;
}

/**
 * Holds back the end of the text for as long as it may be the beginning of a stop string, so that no part of one is ever
 * said, however it is spread over pieces. Of two that match, the one that begins first counts.
 */
export class StopFilter {
  private held = '';

  constructor(private readonly stops: readonly string[]) {}

  push(piece: string): Filtered {
    if (this.stops.length === 0) return { text: piece, met: undefined };
    const text = this.held + piece;
    const first = this.firstIn(text);
    if (first !== undefined) {
      this.held = '';
      return { text: text.slice(0, first.at), met: first.stop };
    }
    const keep = Math.max(...this.stops.map((stop) => overlap(text, stop)));
    this.held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), met: undefined };
  }

  /** Nothing more comes, so what was held back was no stop string. */
  end(): string {
    const { held } = this;
    this.held = '';
    return held;
  }

  private firstIn(text: string): { at: number; stop: string } | undefined {
    return this.stops
      .map((stop) => ({ at: text.indexOf(stop), stop }))
      .filter(({ at }) => at >= 0)
      .toSorted((a, b) => a.at - b.at)[0];
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`, and not all of it. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length -= 1)
    if (stop.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
