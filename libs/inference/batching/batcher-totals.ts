/** Plain numbers of one lane since the start of the process, for metrics and statistics. */
export class BatcherTotals {
  batches = 0;
  requests = 0;
  rows = 0;
  /** Past their time before they ran. */
  expired = 0;
  /** Gave up their place for a tenant that was under its share. */
  evicted = 0;
  readonly refused = { overload: 0, overuse: 0 };
  /** By priority, the most urgent first. */
  readonly waits: { requests: number; waitMs: number }[];

  constructor(priorityLevels: number) {
    this.waits = Array.from({ length: priorityLevels }, () => ({ requests: 0, waitMs: 0 }));
  }

  ran(requests: number, rows: number): void {
    this.batches += 1;
    this.requests += requests;
    this.rows += rows;
  }

  left(priority: number, waitedMs: number): void {
    const wait = this.waits[priority - 1]!;
    wait.requests += 1;
    wait.waitMs += waitedMs;
  }
}
