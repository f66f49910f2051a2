import { setImmediate as tick } from 'node:timers/promises';

interface Due {
  atMs: number;
  order: number;
  work: () => void;
}

/** Time that passes only when a test lets it: hours take no longer than what happens in them. */
export class VirtualTime {
  nowMs = 0;
  private due: Due[] = [];
  private order = 0;

  readonly clock = { now: (): Date => new Date(this.nowMs), monotonicMs: (): number => this.nowMs };

  readonly timers = {
    soon: (work: () => void): void => void this.at(this.nowMs, work),
    after: (delayMs: number, work: () => void): (() => void) => this.at(this.nowMs + delayMs, work),
  };

  /** @returns how to call it off */
  at(atMs: number, work: () => void): () => void {
    const due = { atMs, order: this.order++, work };
    this.due.push(due);
    return () => {
      this.due = this.due.filter((other) => other !== due);
    };
  }

  /** Resolves when so much time has passed. */
  pause(forMs: number): Promise<void> {
    return new Promise((resolve) => this.at(this.nowMs + forMs, resolve));
  }

  /** Lets everything happen in its order, until `isDone`. @param afterEach looks at the world after each event */
  async runUntil(isDone: () => boolean, afterEach?: () => void): Promise<void> {
    await tick();
    for (let events = 0; !isDone(); events += 1) {
      const next = this.takeNext();
      if (next === undefined || events > 100_000) throw new Error(`this never becomes true (at ${this.nowMs} ms)`);
      this.nowMs = next.atMs;
      next.work();
      // Whatever promises this has settled are followed up before the next event.
      await tick();
      afterEach?.();
    }
  }

  /** Lets everything happen that is due within so much time. */
  async pass(forMs: number): Promise<void> {
    let isOver = false;
    this.at(this.nowMs + forMs, () => (isOver = true));
    await this.runUntil(() => isOver);
  }

  private takeNext(): Due | undefined {
    let at = 0;
    for (let index = 1; index < this.due.length; index += 1) {
      const [one, other] = [this.due[at]!, this.due[index]!];
      if (other.atMs < one.atMs || (other.atMs === one.atMs && other.order < one.order)) at = index;
    }
    return this.due.splice(at, 1)[0];
  }
}
