/** What is spent in a second, smoothed over the last few. */
export class SpendingRate {
  private sum = 0;
  private windowFromMs: number;
  private smoothed = 0;

  constructor(private readonly nowMs: () => number) {
    this.windowFromMs = nowMs();
  }

  add(amount: number): void {
    this.sum += amount;
  }

  get perSecond(): number {
    const seconds = (this.nowMs() - this.windowFromMs) / 1_000;
    if (seconds < 0.25) return this.smoothed;
    const recent = this.sum / seconds;
    this.smoothed = seconds > 4 ? recent : (this.smoothed + recent) / 2;
    this.sum = 0;
    this.windowFromMs = this.nowMs();
    return this.smoothed;
  }
}
