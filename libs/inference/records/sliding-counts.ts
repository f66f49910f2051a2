import type { Clock } from '#libs/kernel';

const slots = 10;

/** Counts of the last `windowMs`, in tenths of it: what is older than nine to ten tenths is forgotten. */
export class SlidingCounts {
  private readonly slotMs: number;
  private readonly counts: number[][];
  private readonly slotNumbers: number[] = new Array<number>(slots).fill(-1);

  constructor(
    windowMs: number,
    kinds: number,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.slotMs = windowMs / slots;
    this.counts = Array.from({ length: slots }, () => new Array<number>(kinds).fill(0));
  }

  add(kind: number): void {
    const number = this.slotNumber();
    const index = number % slots;
    const slot = this.counts[index]!;
    if (this.slotNumbers[index] !== number) {
      this.slotNumbers[index] = number;
      slot.fill(0);
    }
    slot[kind] = slot[kind]! + 1;
  }

  sum(kind: number): number {
    const oldest = this.slotNumber() - slots + 1;
    let sum = 0;
    for (let index = 0; index < slots; index += 1) {
      if (this.slotNumbers[index]! >= oldest) sum += this.counts[index]![kind]!;
    }
    return sum;
  }

  clear(): void {
    this.slotNumbers.fill(-1);
  }

  private slotNumber(): number {
    return Math.floor(this.clock.monotonicMs() / this.slotMs);
  }
}
