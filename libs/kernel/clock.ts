/** Time arrives as an argument, so that a test can hold it still and a workflow can replay it. */
export interface Clock {
  /** Wall time. */
  now(): Date;
  /** Monotonic milliseconds with fractions, for durations only. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

export const addSeconds = (instant: Date, seconds: number): Date => new Date(instant.getTime() + seconds * 1_000);
