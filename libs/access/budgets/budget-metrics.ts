import type { Meter } from '@opentelemetry/api';
import type { BudgetCounts } from './budget-counts.js';

/** Shows budgets as metrics; they are read when somebody scrapes. */
export function registerBudgetMetrics(meter: Meter, counts: BudgetCounts): void {
  const spent = meter.createObservableGauge('sluice_access_budget_spent_ratio', {
    description: 'Of the limit of a budget, the share spent in the current period (0 to 1)',
  });
  const held = meter.createObservableGauge('sluice_access_budget_held_ratio', {
    description: 'Of the limit of a budget, the share that API processes hold for requests (0 to 1)',
  });
  const refusals = meter.createObservableCounter('sluice_access_budget_refusals', {
    description: 'Requests that a budget had no room for',
  });
  const unavailable = meter.createObservableCounter('sluice_access_budget_unavailable', {
    description: 'Requests whose budget could not be checked, as the database was away',
  });
  meter.addBatchObservableCallback(
    (result) => {
      for (const share of counts.shares) {
        const labels = { budget: share.id, name: share.name };
        const limit = Math.max(1, share.limit);
        result.observe(spent, share.spent / limit, labels);
        result.observe(held, share.held / limit, labels);
      }
      for (const [budget, { name, count }] of counts.refusals) result.observe(refusals, count, { budget, name });
      result.observe(unavailable, counts.unavailable);
    },
    [spent, held, refusals, unavailable],
  );
}
