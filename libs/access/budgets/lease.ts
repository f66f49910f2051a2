import type { LeaseLine } from './settlement.js';

/** What this process holds of one period of one hard budget, in the budget's unit. It is spent from in memory. */
export class Lease {
  private reserved = 0;
  private settled = 0;
  private returned = 0;
  private unsaidSettled = 0;
  private unsaidOverrun = 0;

  constructor(
    readonly budgetId: string,
    readonly startsAtMs: number,
    /** Everything that was ever granted in this period. */
    public granted: number,
  ) {}

  /** Granted, and neither reserved nor spent. */
  get spare(): number {
    return this.granted - this.reserved - this.settled - this.returned;
  }

  /** Nothing of it is in use, and nothing about it remains to be said. */
  get isDone(): boolean {
    return this.reserved === 0 && this.spare === 0 && this.unsaidSettled === 0 && this.unsaidOverrun === 0;
  }

  reserve(amount: number): boolean {
    if (amount > this.spare) return false;
    this.reserved += amount;
    return true;
  }

  /** @returns how much of `used` does not fit into what was reserved and what is spare beside it */
  settle(reserved: number, used: number): number {
    this.reserved -= reserved;
    const charged = Math.min(used, this.spare);
    this.settled += charged;
    this.unsaidSettled += charged;
    return used - charged;
  }

  overrun(amount: number): void {
    this.unsaidOverrun += amount;
  }

  /** What is to be written about it, which then counts as said; undefined when there is nothing. */
  say(isToReturn: boolean): LeaseLine | undefined {
    const returned = isToReturn ? this.spare : 0;
    const { budgetId, startsAtMs, unsaidSettled: settled, unsaidOverrun: overrun } = this;
    if (settled === 0 && returned === 0 && overrun === 0) return undefined;
    this.returned += returned;
    this.unsaidSettled = this.unsaidOverrun = 0;
    return { budgetId, startsAtMs, settled, returned, overrun };
  }
}
