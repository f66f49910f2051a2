import type { BudgetRegister, PriceList, Usage } from '#libs/access';

/** Prices, budgets and what was used, as those see them who look after them. */
export abstract class Spending {
  /** ISO 4217. */
  abstract readonly currency: string;
  abstract readonly prices: PriceList;
  abstract readonly register: BudgetRegister;
  abstract readonly usage: Usage;
}
