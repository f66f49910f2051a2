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
import { sluiceError } from '#libs/kernel';
import { GuardedFetch, HostList, OutboundGuard, type Logger, type SluiceConfig, type Telemetry } from '#libs/platform';
import type { Database } from '#libs/store';
import type { Spending } from './app.module.js';
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
  config: Pick<SluiceConfig, 'currency' | 'budgetLostSeconds' | 'webhookHosts'>,
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
        refusals.note({ actor: actorOf(account), resource, code: 'SLU_BUDGET_EXHAUSTED', requestId });
      },
    }),
  );
  registerBudgetMetrics(telemetry.meter, budgets.counts);
  const fetcher = stack.use(guardedFetch(config));
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
      register: new BudgetRegister(database, seal, refresh),
      usage: new Usage(database, () => budgets.flush()),
    },
  };
}

function guardedFetch({ webhookHosts }: Pick<SluiceConfig, 'webhookHosts'>): GuardedFetch {
  const setting = 'SLUICE_WEBHOOK_HOSTS';
  const isListed = webhookHosts !== undefined;
  return new GuardedFetch({
    guard: new OutboundGuard({
      setting,
      allowed: isListed ? hostList(webhookHosts, setting) : undefined,
      unlisted: isListed ? 'refused' : 'public',
    }),
    takesPlainHttp: isListed,
  });
}

function hostList(entries: readonly string[], name: string): HostList {
  try {
    return HostList.of(entries);
  } catch (cause) {
    throw sluiceError('SLU_PLATFORM_SETTING', { name, problem: (cause as Error).message });
  }
}
