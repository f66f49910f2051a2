/** Shorter than this says nothing: one request in a millisecond would be a thousand in a second. */
const shortestSeconds = 0.05;
/** So long a window must be when it holds fewer than `crowd`: one dear request is no rate. */
const calmSeconds = 0.25;
const crowd = 8;
/** After a rest of so long what was spent before it says nothing about now. */
const restMs = 1_000;

/** What is spent in a second: it follows a rise at once, so that a burst is soon served from memory, and a fall by halves. */
export class SpendingRate {
  private sum = 0;
  private count = 0;
  private windowFromMs: number;
  private lastMs: number;
  private smoothed = 0;

  constructor(private readonly nowMs: () => number) {
    this.windowFromMs = this.lastMs = nowMs();
  }

  add(amount: number): void {
    const nowMs = this.nowMs();
    // The rest is no part of the window: it would make a burst after it look slow.
    if (nowMs - this.lastMs > restMs) this.begin(nowMs, 0);
    this.lastMs = nowMs;
    this.sum += amount;
    this.count += 1;
  }

  get perSecond(): number {
    const nowMs = this.nowMs();
    if (nowMs - this.lastMs > restMs) this.begin(nowMs, 0);
    const seconds = (nowMs - this.windowFromMs) / 1_000;
    if (seconds < (this.count < crowd ? calmSeconds : shortestSeconds)) return this.smoothed;
    const recent = this.sum / seconds;
    this.begin(nowMs, Math.max(recent, (this.smoothed + recent) / 2));
    return this.smoothed;
  }

  private begin(nowMs: number, perSecond: number): void {
    this.sum = 0;
    this.count = 0;
    this.windowFromMs = nowMs;
    this.smoothed = perSecond;
  }
}
