import { tokensOutThatFit, type Price } from '#libs/decisions';
import { sluiceError, type SluiceError } from '#libs/kernel';
import type { Budget, BudgetUnit } from './budget.js';
import type { Grant } from './lease-ledger.js';
import type { WorstCase } from './request-meter.js';

/** What a budget's refusal has to say: which one, what is left of it, what was asked for, and what would fit. */
export interface RefusedReservation {
  budget: Budget;
  amount: number;
  grant: Pick<Grant, 'left' | 'held' | 'limit' | 'nowMs' | 'endsAtMs'>;
}

export class BudgetRefusal {
  constructor(private readonly currency: string) {}

  /** @returns SLU_BUDGET_EXHAUSTED */
  errorOf({ budget, amount, grant }: RefusedReservation, worst: WorstCase, price: Price): SluiceError {
    const left = Math.max(0, grant.left);
    const detail = {
      budget: budget.name,
      left: this.shown(left, budget.unit),
      limit: this.shown(grant.limit, budget.unit),
      worst: this.shown(amount, budget.unit),
      hint: hintOf(budget, worst, price, left, grant),
    };
    const waitMs = grant.endsAtMs - grant.nowMs;
    const retryAfterSeconds = Number.isFinite(waitMs) ? Math.max(1, Math.ceil(waitMs / 1_000)) : undefined;
    return sluiceError('SLU_BUDGET_EXHAUSTED', detail, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
  }

  private shown(amount: number, unit: BudgetUnit): string {
    return unit === 'tokens' ? `${amount} tokens` : `${moneyText(amount)} ${this.currency}`;
  }
}

/** Micro-units as a decimal number, without floating point. */
export function moneyText(micros: number): string {
  const digits = String(micros).padStart(7, '0');
  const fraction = digits.slice(-6).replace(/0{1,4}$/, '');
  return `${digits.slice(0, -6)}.${fraction}`;
}

function hintOf(
  { unit }: Budget,
  worst: WorstCase,
  price: Price,
  left: number,
  { held, endsAtMs }: RefusedReservation['grant'],
): string {
  const fits = unit === 'tokens' ? left - worst.tokensIn : tokensOutThatFit(price, worst, left);
  if (worst.tokensOut > 0 && fits >= 1 && fits < worst.tokensOut)
    return worst.hasTokenLimit ? `at most ${fits} tokens of answer would fit` : `set max_tokens to at most ${fits}`;
  const whenFreed = held > 0 ? 'some of it is held by requests under way and may come back; ' : '';
  if (!Number.isFinite(endsAtMs)) return `${whenFreed}raising its limit makes room`;
  return `${whenFreed}it starts anew at ${new Date(endsAtMs).toISOString()}`;
}
