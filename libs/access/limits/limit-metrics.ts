import type { Meter } from '@opentelemetry/api';
import type { Limit } from './limit-set.js';

/** How often limits refuse, and whether the store that all processes share answers. */
export class LimitMetrics {
  private readonly refusals = new Map<string, { limit: string; scope: string; count: number }>();

  /** @param shared left out where there is no shared store */
  constructor(meter: Meter, shared?: { readonly isUp: boolean; readonly failures: number }) {
    meter
      .createObservableCounter('sluice_access_limit_refusals', { description: 'Requests refused, by limit and scope' })
      .addCallback((result) => {
        for (const { limit, scope, count } of this.refusals.values()) result.observe(count, { limit, scope });
      });
    if (shared === undefined) return;
    meter
      .createObservableGauge('sluice_access_limit_store_up', {
        description: '1 while Redis counts the limits, 0 while this process goes without it',
      })
      .addCallback((result) => result.observe(shared.isUp ? 1 : 0));
    meter
      .createObservableCounter('sluice_access_limit_store_failures', {
        description: 'Questions to Redis that had no answer in time',
      })
      .addCallback((result) => result.observe(shared.failures));
  }

  refused({ name: limit, scope }: Pick<Limit, 'name' | 'scope'>): void {
    const key = `${scope} ${limit}`;
    const known = this.refusals.get(key);
    if (known === undefined) this.refusals.set(key, { limit, scope, count: 1 });
    else known.count += 1;
  }
}
