import type { Clock } from '#libs/kernel';

/**
 * The time as PostgreSQL has it, carried on by this process's monotonic clock, so that a step of its wall clock moves
 * nothing. It runs ahead of the database by one round trip at most, and never behind.
 */
export class DatabaseClock {
  private offsetMs: number;

  constructor(private readonly clock: Clock) {
    this.offsetMs = clock.now().getTime() - clock.monotonicMs();
  }

  /** @param askedAtMs monotonic time at which the database was asked for `databaseMs` */
  observe(databaseMs: number, askedAtMs: number): void {
    this.offsetMs = databaseMs - askedAtMs;
  }

  /** Milliseconds since 1970. */
  nowMs(): number {
    return this.clock.monotonicMs() + this.offsetMs;
  }

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }
}
