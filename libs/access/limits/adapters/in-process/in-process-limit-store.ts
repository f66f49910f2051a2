import { systemClock, type Clock } from '#libs/kernel';
import type { Limit, LimitSet } from '../../limit-set.js';
import type { LimitCost, LimitHold, LimitStore, LimitVerdict } from '../../ports/limit-store.js';
import { UtcDays } from '../../utc-days.js';

/** One counted thing: when a bucket is full again (rates), or how many (days, slots). */
interface Cell {
  value: number;
  /** Of day counts. */
  day: number;
}

interface SetNotes {
  readonly cells: readonly Cell[];
  /** Of the store that they belong to, and of its last sweep. */
  readonly owner: InProcessLimitStore;
  readonly sweeps: number;
}

export interface InProcessLimitStoreSettings {
  clock?: Clock;
  /** Buckets at which those that nobody uses are thrown out. */
  sweepAtCells?: number;
}

const defaultSweepAtCells = 10_000;
/** Sums of fractions of milliseconds end a little beside the whole. */
const roundingMs = 1e-6;

/**
 * Counts in this process alone, without a timer and without waiting. Rates are buckets by the generic cell rate
 * algorithm, on the monotonic clock: one number says when the bucket will be full.
 */
export class InProcessLimitStore implements LimitStore {
  private readonly cells = new Map<string, Cell>();
  private readonly clock: Clock;
  private readonly days: UtcDays;
  private sweepAtCells: number;
  private sweeps = 0;

  constructor(private readonly settings: InProcessLimitStoreSettings = {}) {
    this.clock = settings.clock ?? systemClock;
    this.days = new UtcDays(this.clock);
    this.sweepAtCells = settings.sweepAtCells ?? defaultSweepAtCells;
  }

  /** How many buckets there are: those in use, and some that were. */
  get cellCount(): number {
    return this.cells.size;
  }

  admit(set: LimitSet, cost: LimitCost): LimitVerdict {
    const nowMs = this.clock.monotonicMs();
    const day = this.days.at(nowMs);
    const { limits } = set;
    const cells = this.cellsOf(set);
    let refusedBy = -1;
    let retryAfterMs = 0;
    for (let index = 0; index < limits.length; index += 1) {
      const limit = limits[index]!;
      const waitMs = this.waitMs(limit, cells[index]!, cost[limit.unit], nowMs, day);
      if (waitMs > retryAfterMs) {
        retryAfterMs = waitMs;
        refusedBy = index;
      }
    }
    const isAdmitted = refusedBy === -1;
    const remaining = new Array<number>(limits.length);
    for (let index = 0; index < limits.length; index += 1) {
      const limit = limits[index]!;
      remaining[index] = take(limit, cells[index]!, isAdmitted ? cost[limit.unit] : 0, nowMs, day);
    }
    const untilNextDayMs = this.days.untilNextMs(nowMs);
    return { refusedBy, retryAfterMs, remaining, untilNextDayMs, hold: isAdmitted ? { set, cost, day } : undefined };
  }

  end({ set, cost, day }: LimitHold, usedTokens: number): void {
    const cells = this.cellsOf(set);
    const today = this.days.at(this.clock.monotonicMs());
    const more = usedTokens - cost.tokens;
    for (let index = 0; index < set.limits.length; index += 1) {
      const limit = set.limits[index]!;
      const cell = cells[index]!;
      if (limit.kind === 'slots') cell.value = Math.max(0, cell.value - cost[limit.unit]);
      else if (limit.unit === 'tokens' && more !== 0) correct(limit, cell, more, day === today);
    }
  }

  /** How long until there is room; 0: now. */
  private waitMs(limit: Limit, cell: Cell, units: number, nowMs: number, day: number): number {
    if (units === 0) return 0;
    if (units > limit.capacity) return limit.kind === 'slots' ? slotWaitMs : Infinity;
    switch (limit.kind) {
      case 'rate': {
        const fullMs = Math.max(cell.value, nowMs) + units * limit.intervalMs;
        const waitMs = fullMs - nowMs - limit.capacity * limit.intervalMs;
        return waitMs > roundingMs ? waitMs : 0;
      }
      case 'day': {
        const used = cell.day === day ? cell.value : 0;
        return used + units > limit.capacity ? Math.max(1, this.days.untilNextMs(nowMs)) : 0;
      }
      case 'slots':
        return cell.value + units > limit.capacity ? slotWaitMs : 0;
    }
  }

  private cellsOf(set: LimitSet): readonly Cell[] {
    const notes = set.notes as SetNotes | undefined;
    if (notes !== undefined && notes.owner === this && notes.sweeps === this.sweeps) return notes.cells;
    if (this.cells.size >= this.sweepAtCells) this.sweep();
    const cells = set.limits.map((limit) => this.cellOf(`${limit.bucket}:${limit.name}`));
    set.notes = { cells, owner: this, sweeps: this.sweeps } satisfies SetNotes;
    return cells;
  }

  private cellOf(key: string): Cell {
    let cell = this.cells.get(key);
    if (cell === undefined) {
      cell = { value: 0, day: 0 };
      this.cells.set(key, cell);
    }
    return cell;
  }

  // A bucket that is full and a count of an earlier day are as good as none.
  private sweep(): void {
    const nowMs = this.clock.monotonicMs();
    const today = this.days.at(nowMs);
    for (const [key, { value, day }] of this.cells) {
      const isIdle = key.includes(':concurrent-') ? value === 0 : day === 0 ? value <= nowMs : day < today;
      if (isIdle) this.cells.delete(key);
    }
    this.sweeps += 1;
    this.sweepAtCells = Math.max(this.settings.sweepAtCells ?? defaultSweepAtCells, this.cells.size * 2);
  }
}

/** Nobody knows when a request ends that runs now. */
const slotWaitMs = 1_000;

/** @returns what is left, in whole units */
function take(limit: Limit, cell: Cell, units: number, nowMs: number, day: number): number {
  switch (limit.kind) {
    case 'rate': {
      const fullMs = Math.max(cell.value, nowMs) + units * limit.intervalMs;
      if (units > 0) cell.value = fullMs;
      const left = limit.capacity - (fullMs - nowMs) / limit.intervalMs;
      return left <= 0 ? 0 : Math.floor(left + roundingMs);
    }
    case 'day':
      if (cell.day !== day) {
        cell.day = day;
        cell.value = 0;
      }
      cell.value += units;
      return Math.max(0, limit.capacity - cell.value);
    case 'slots':
      cell.value += units;
      return Math.max(0, limit.capacity - cell.value);
  }
}

/** Counts tokens that were used beyond the reservation, or gives back those that were not. */
function correct(limit: Limit, cell: Cell, more: number, isSameDay: boolean): void {
  if (limit.kind === 'rate') cell.value += more * limit.intervalMs;
  // What was reserved yesterday is not given back today.
  else if (isSameDay || more > 0) cell.value = Math.max(0, cell.value + more);
}
