import type { Database } from '#libs/store';
import { LimitBook } from './limit-book.js';
import { LimitOverrides } from './limit-overrides.js';
import type { LimitStores } from './limit-stores.js';
import { LimitThrottlerStorage } from './limit-throttler-storage.js';
import { Limits, type LimitsSettings } from './limits.js';
import { Tiers } from './tiers.js';

export interface LimitingSettings extends Pick<LimitsSettings, 'onRefused'> {
  database: Database;
  stores: Pick<LimitStores, 'inference' | 'management'>;
  onProblem?: (problem: unknown) => void;
}

/** All that limits consist of, on one store: what holds, who is let in, and how it is changed. */
export class Limiting implements Disposable {
  readonly book: LimitBook;
  readonly limits: Limits;
  readonly tiers: Tiers;
  readonly overrides: LimitOverrides;
  readonly throttlerStorage: LimitThrottlerStorage;
  readonly onRefused: LimitsSettings['onRefused'];

  constructor({ database, stores, onProblem, onRefused }: LimitingSettings) {
    this.book = new LimitBook({ database, ...(onProblem !== undefined && { onProblem }) });
    this.onRefused = onRefused;
    this.limits = new Limits({
      book: this.book,
      store: stores.inference,
      ...(onRefused !== undefined && { onRefused }),
    });
    const afterChange = (): Promise<void> => this.book.refresh();
    this.tiers = new Tiers({ database, afterChange });
    this.overrides = new LimitOverrides({ database, afterChange });
    this.throttlerStorage = new LimitThrottlerStorage(stores.management);
  }

  [Symbol.dispose](): void {
    this.book[Symbol.dispose]();
  }
}
