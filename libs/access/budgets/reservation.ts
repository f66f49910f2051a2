import { costMicros, type Price } from '#libs/decisions';
import type { Account, Budget } from './budget.js';
import type { HeldBudget } from './held-budget.js';
import type { Lease } from './lease.js';
import type { PricedPlace } from './price-book.js';
import type { Used } from './request-meter.js';

/** What a request used, and what it costs. */
export interface Settled {
  account: Account;
  place: PricedPlace;
  used: Used;
  cost: number;
  tokens: number;
  soft: readonly Budget[];
  /** When it was reserved, by the clock of the database. */
  atMs: number;
}

interface HeldShare {
  held: HeldBudget;
  lease: Lease;
  amount: number;
}

/** What is held for one request, from before it runs until it is known what it used. */
export class Reservation {
  private shares: HeldShare[] = [];
  private isSettled = false;

  constructor(
    private readonly account: Account,
    private readonly place: PricedPlace,
    private readonly price: Price,
    private readonly soft: readonly Budget[],
    private readonly atMs: number,
    private readonly whenSettled: (settled: Settled) => void,
  ) {}

  hold(held: HeldBudget, lease: Lease, amount: number): void {
    this.shares.push({ held, lease, amount });
  }

  /** Charges what was used; only the first call counts. */
  settle(used: Used): void {
    if (this.isSettled) return;
    this.isSettled = true;
    const { account, place, price, soft, atMs } = this;
    const cost = used.isFailed ? price.failedRequestMicros : costMicros(price, used);
    const tokens = used.isFailed ? 0 : used.tokensIn + used.tokensOut;
    for (const { held, lease, amount } of this.shares)
      held.settle(lease, amount, held.budget.unit === 'money' ? cost : tokens);
    this.whenSettled({ account, place, used, cost, tokens, soft, atMs });
  }

  /** Gives everything back: the request was never run. */
  release(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    for (const { held, lease, amount } of this.shares) held.settle(lease, amount, 0);
  }
}
