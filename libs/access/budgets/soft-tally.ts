import type { SoftLine } from './settlement.js';

/** Offsets of time zones are multiples of a quarter of an hour, so no period begins or ends inside one. */
const quarterMs = 15 * 60 * 1_000;

/** What soft budgets are to be charged with, by the quarter of an hour in which the request came. */
export class SoftTally {
  private lines = new Map<string, SoftLine>();

  add(budgetId: string, amount: number, atMs: number): void {
    if (amount === 0) return;
    const quarter = Math.floor(atMs / quarterMs) * quarterMs;
    const key = `${budgetId} ${quarter}`;
    const line = this.lines.get(key);
    if (line === undefined) this.lines.set(key, { budgetId, atMs: quarter, amount });
    else line.amount += amount;
  }

  take(): SoftLine[] {
    if (this.lines.size === 0) return [];
    const taken = [...this.lines.values()];
    this.lines = new Map();
    return taken;
  }
}
