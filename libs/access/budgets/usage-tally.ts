import type { Account } from './budget.js';
import type { PricedPlace } from './price-book.js';
import type { Used } from './request-meter.js';
import type { UsageLine } from './settlement.js';

/** Sums up what was used since it was last written, so that an outage of the database does not fill the memory. */
export class UsageTally {
  private lines = new Map<string, UsageLine>();
  private day = '';
  private dayEndsMs = 0;

  add(account: Account, place: PricedPlace, used: Used, costMicros: number, atMs: number): void {
    const line = this.lineOf(account, place, this.dayOf(atMs));
    line.requests += 1;
    if (used.isFailed) line.failures += 1;
    line.tokensIn += used.tokensIn;
    line.tokensOut += used.tokensOut;
    line.replicaMs += Math.ceil(used.replicaMs);
    line.rows += used.rows;
    line.costMicros += costMicros;
  }

  take(): UsageLine[] {
    if (this.lines.size === 0) return [];
    const taken = [...this.lines.values()];
    this.lines = new Map();
    return taken;
  }

  private lineOf(account: Account, { endpoint, model, version }: PricedPlace, day: string): UsageLine {
    const key = `${day} ${account.keyId} ${account.projectId} ${endpoint} ${model}/${version}`;
    let line = this.lines.get(key);
    if (line === undefined) {
      const { tenantId, projectId, keyId } = account;
      const none = { requests: 0, failures: 0, tokensIn: 0, tokensOut: 0, replicaMs: 0, rows: 0, costMicros: 0 };
      line = { day, tenantId, projectId, keyId, endpoint, model, version, ...none };
      this.lines.set(key, line);
    }
    return line;
  }

  private dayOf(atMs: number): string {
    if (atMs >= this.dayEndsMs || atMs < this.dayEndsMs - dayMs) {
      this.dayEndsMs = (Math.floor(atMs / dayMs) + 1) * dayMs;
      this.day = new Date(atMs).toISOString().slice(0, 10);
    }
    return this.day;
  }
}

const dayMs = 86_400_000;
