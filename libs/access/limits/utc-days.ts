import { days, secondsToMs, type Clock } from '#libs/kernel';

const dayMs = secondsToMs(days(1));
const lookEveryMs = secondsToMs(1);
/** Larger steps are not made up for: days would stay too long for weeks. */
const mostMadeUpMs = secondsToMs(3_600);

/**
 * The UTC day as a clock tells it, but for steps back: then time goes on from where it was, at half its speed until the
 * clock has caught up. So no day comes twice, and none stays for ever.
 */
export class UtcDays {
  private steadyMs: number;
  private lookedMs: number;
  private today = 0;
  private endsAtMs = 0;

  constructor(private readonly clock: Clock) {
    this.steadyMs = clock.now().getTime();
    this.lookedMs = clock.monotonicMs();
    this.set();
  }

  /** The number of the day since 1970. @param monotonicMs the clock's own, which the caller has at hand */
  at(monotonicMs: number): number {
    if (monotonicMs >= this.endsAtMs || monotonicMs - this.lookedMs >= lookEveryMs) this.look(monotonicMs);
    return this.today;
  }

  untilNextMs(monotonicMs: number): number {
    return Math.max(0, this.endsAtMs - monotonicMs);
  }

  private look(monotonicMs: number): void {
    const passedMs = monotonicMs - this.lookedMs;
    const wallMs = this.clock.now().getTime();
    const aheadMs = this.steadyMs + passedMs - wallMs;
    if (aheadMs <= 0) this.steadyMs = wallMs;
    else this.steadyMs += passedMs - (aheadMs <= mostMadeUpMs ? Math.min(aheadMs, passedMs / 2) : 0);
    this.lookedMs = monotonicMs;
    this.set();
  }

  private set(): void {
    this.today = Math.floor(this.steadyMs / dayMs);
    this.endsAtMs = this.lookedMs + ((this.today + 1) * dayMs - this.steadyMs);
  }
}
