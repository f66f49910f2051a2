import {
  actorOf,
  BudgetAlerts,
  BudgetRegister,
  Budgets,
  PriceList,
  registerBudgetMetrics,
  Usage,
  type SecretSeal,
} from '#libs/access';
import { GuardedFetch, webhookGuard, type Logger, type SluiceConfig, type Telemetry } from '#libs/platform';
import type { Database } from '#libs/store';
import type { Spending } from './budgets/spending.js';
import type { RefusalLog } from './http/refusal-log.js';

export interface SpendingParts {
  database: Database;
  log: Logger;
  telemetry: Telemetry;
  seal: SecretSeal;
  refusals: RefusalLog;
}

/** Prices, budgets and usage: on the way of requests, and for those who look after them. */
export function assembleSpending(
  config: Pick<SluiceConfig, 'currency' | 'budgetLostSeconds' | 'outboundHosts'>,
  { database, log, telemetry, seal, refusals }: SpendingParts,
  stack: AsyncDisposableStack,
): { budgets: Budgets; spending: Spending } {
  const { currency } = config;
  const budgets = stack.use(
    new Budgets({
      database,
      log,
      currency,
      lostAfterSeconds: config.budgetLostSeconds,
      onRefused: ({ account, budget, requestId }) => {
        const resource = `budget:${budget.id}`;
        const { tenantId } = account;
        refusals.note({ actor: actorOf(account), resource, code: 'SLU_BUDGET_EXHAUSTED', requestId, tenantId });
      },
    }),
  );
  registerBudgetMetrics(telemetry.meter, budgets.counts);
  // Without TLS only where the operator has named hosts of its own.
  const takesPlainHttp = config.outboundHosts.length > 0;
  const fetcher = stack.use(new GuardedFetch({ guard: webhookGuard(config), takesPlainHttp }));
  const alerts = stack.use(
    new BudgetAlerts({
      database,
      seal,
      log,
      post: async (url, headers, body) => (await fetcher.fetch(url, { method: 'POST', headers, body })).status,
    }),
  );
  alerts.start();
  const refresh = (): Promise<void> => budgets.refresh();
  return {
    budgets,
    spending: {
      currency,
      prices: new PriceList(database, refresh),
      register: new BudgetRegister(database, seal, (change) => budgets.spread(change)),
      usage: new Usage(database, () => budgets.flush()),
    },
  };
}
