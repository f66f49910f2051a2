/** Later work, as an argument, so that a test can hold time still. */
export interface LaneTimers {
  /** After the work that is due in this turn. */
  soon(work: () => void): void;
  /** @returns how to call it off */
  after(delayMs: number, work: () => void): () => void;
}

export const systemTimers: LaneTimers = {
  soon: (work) => void setImmediate(work),
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
