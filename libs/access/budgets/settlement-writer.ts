import { secondsToMs } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { DatabaseClock } from './database-clock.js';
import type { LeaseLedger } from './lease-ledger.js';
import type { Settlement } from './settlement.js';

export interface SettlementWriterParts {
  processId: string;
  ledger: Pick<LeaseLedger, 'settle'>;
  clock: DatabaseClock;
  log: Logger;
  /** Everything since it was last asked for. */
  collect(isEnding: boolean): Pick<Settlement, 'leases' | 'soft' | 'usage'>;
  everyMs?: number;
}

const defaultEveryMs = 200;
const urgentMs = 10;
/** The others may think that a process is lost that says nothing for a while. */
const aliveEveryMs = secondsToMs(1);

/**
 * Writes settlements in order, one at a time. One that may or may not have arrived is sent again as it was, by its number,
 * until it is known to have; what comes meanwhile waits for the next.
 */
export class SettlementWriter {
  private sequence = 0;
  private pending: Settlement | undefined;
  private writing: Promise<void> | undefined;
  private lastTurn: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private urgent: NodeJS.Timeout | undefined;
  private lastWrittenMs = 0;
  private isDatabaseAway = false;

  constructor(private readonly parts: SettlementWriterParts) {}

  start(): void {
    this.timer = setInterval(() => void this.write(), this.parts.everyMs ?? defaultEveryMs);
    this.timer.unref();
  }

  soon(): void {
    if (this.urgent !== undefined || this.timer === undefined) return;
    this.urgent = setTimeout(() => {
      this.urgent = undefined;
      void this.write();
    }, urgentMs);
    this.urgent.unref();
  }

  /** Everything collected until now is written when it resolves. @throws when the database is away */
  flush(isEnding = false): Promise<void> {
    return this.inTurn(async () => {
      await this.writeOnce(false, true);
      await this.writeOnce(isEnding, true);
    });
  }

  stop(): void {
    clearInterval(this.timer);
    clearTimeout(this.urgent);
    this.timer = undefined;
  }

  private write(): Promise<void> {
    this.writing ??= this.inTurn(() => this.writeOnce(false, false)).finally(() => (this.writing = undefined));
    return this.writing;
  }

  // Two that send at the same time would send the same settlement, and the slower one would then take the next one, which
  // is still on its way, for written.
  private inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.lastTurn.then(work);
    this.lastTurn = turn.catch(() => undefined);
    return turn;
  }

  private async writeOnce(isEnding: boolean, isToThrow: boolean): Promise<void> {
    const { clock, ledger, log, collect, processId } = this.parts;
    if (this.pending === undefined) {
      const collected = collect(isEnding);
      const isEmpty = collected.leases.length + collected.soft.length + collected.usage.length === 0;
      if (isEmpty && clock.monotonicMs() - this.lastWrittenMs < aliveEveryMs) return;
      this.pending = { processId, sequence: this.sequence + 1, ...collected };
    }
    try {
      const askedAtMs = clock.monotonicMs();
      clock.observe(await ledger.settle(this.pending), askedAtMs);
      this.sequence = this.pending.sequence;
      this.pending = undefined;
      this.lastWrittenMs = askedAtMs;
      if (this.isDatabaseAway) log.info('settlements are written again');
      this.isDatabaseAway = false;
    } catch (err) {
      if (isToThrow) throw err;
      if (!this.isDatabaseAway) log.warn({ err }, 'settlements cannot be written; they wait in memory');
      this.isDatabaseAway = true;
    }
  }
}
