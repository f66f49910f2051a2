import { secondsToMs } from '#libs/kernel';

const memoryMs = secondsToMs(10);
const longestSeconds = 60;
/** Before anything has been answered nobody knows: soon, then. */
const unknownSeconds = 1;
const roundingSeconds = 0.001;

/**
 * How fast requests are answered while there is work, over about the last ten seconds of work. Idle time does not count,
 * so that a quiet hour does not make a sudden crowd look hopeless.
 */
export class DrainRate {
  private requests = 0;
  private busyMs = 0;
  private sinceMs: number | undefined;

  /** Work begins, or goes on. */
  busy(nowMs: number): void {
    this.sinceMs ??= nowMs;
  }

  /** @param isBusy more is under way */
  answered(requests: number, nowMs: number, isBusy: boolean): void {
    const elapsedMs = this.sinceMs === undefined ? 0 : nowMs - this.sinceMs;
    const fade = Math.exp(-elapsedMs / memoryMs);
    this.requests = this.requests * fade + requests;
    this.busyMs = this.busyMs * fade + elapsedMs;
    this.sinceMs = isBusy ? nowMs : undefined;
  }

  /** Requests per second; undefined while nothing was answered. A run that hangs slows it down. */
  perSecond(nowMs: number): number | undefined {
    if (this.requests === 0) return undefined;
    const hungMs = this.sinceMs === undefined ? 0 : nowMs - this.sinceMs;
    const milliseconds = this.busyMs + hungMs;
    return milliseconds <= 0 ? undefined : this.requests / (milliseconds / 1_000);
  }

  /** @returns whole seconds, from 1 to 60, until so many requests are answered */
  secondsFor(requests: number, nowMs: number): number {
    const rate = this.perSecond(nowMs);
    if (rate === undefined) return unknownSeconds;
    return Math.min(longestSeconds, Math.max(1, Math.ceil(requests / rate - roundingSeconds)));
  }
}
