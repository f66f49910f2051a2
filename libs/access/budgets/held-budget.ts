import { sluiceError } from '#libs/kernel';
import type { Budget } from './budget.js';
import type { DatabaseClock } from './database-clock.js';
import { Lease } from './lease.js';
import type { Grant, LeaseLedger } from './lease-ledger.js';
import type { LeaseLine } from './settlement.js';
import { SpendingRate } from './spending-rate.js';

export interface HeldBudgetParts {
  processId: string;
  ledger: Pick<LeaseLedger, 'grant'>;
  clock: DatabaseClock;
  /** The budget does not fit this request: what to tell its caller. */
  refuse(budget: Budget, amount: number, grant: Grant): Error;
  /** Something is to be written soon. */
  whenUrgent(): void;
}

interface Waiter {
  readonly amount: number;
  resolve(lease: Lease | undefined): void;
  reject(error: unknown): void;
}

/** Nothing is held in advance for a budget that nobody has used for so long. */
const idleMs = 1_000;
const unavailableRetrySeconds = 2;

/**
 * A hard budget as this process has it: a lease to spend from in memory, and the line of those that wait for more of it.
 * One grant is asked for at a time, for all that wait.
 */
export class HeldBudget {
  private lease: Lease | undefined;
  private readonly olderLeases = new Set<Lease>();
  private endsAtMs = 0;
  private lowSpare = 0;
  private isNearEnd = false;
  private waiters: Waiter[] = [];
  private granting: Promise<void> | undefined;
  private lastUsedMs = 0;
  private readonly rate: SpendingRate;

  constructor(
    public budget: Budget,
    private readonly parts: HeldBudgetParts,
  ) {
    this.rate = new SpendingRate(() => parts.clock.monotonicMs());
  }

  /** What of the worst case is held for, at once; undefined when the database has to be asked. */
  tryReserve(amount: number): Lease | undefined {
    const { lease } = this;
    const nowMs = this.parts.clock.nowMs();
    if (lease === undefined || nowMs >= this.endsAtMs || this.waiters.length > 0 || !lease.reserve(amount))
      return undefined;
    this.lastUsedMs = nowMs;
    if (!this.isNearEnd && lease.spare < this.lowSpare) this.grantSoon();
    return lease;
  }

  /**
   * The same, at whatever it takes. @returns undefined when the budget has ended
   * @throws SLU_BUDGET_EXHAUSTED, SLU_BUDGET_UNAVAILABLE
   */
  reserve(amount: number): Promise<Lease | undefined> {
    this.lastUsedMs = this.parts.clock.nowMs();
    const reserved = new Promise<Lease | undefined>((resolve, reject) =>
      this.waiters.push({ amount, resolve, reject }),
    );
    this.grantSoon();
    return reserved;
  }

  settle(lease: Lease, reserved: number, used: number): void {
    this.rate.add(used);
    const beyond = lease.settle(reserved, used);
    if (beyond > 0) this.chargeBeyond(lease, beyond);
    if (this.isNearEnd) this.parts.whenUrgent();
  }

  /** What is to be written about its leases. @param isEnding everything that is not in use is given back */
  *linesToSay(isEnding: boolean): Iterable<LeaseLine> {
    const nowMs = this.parts.clock.nowMs();
    const current = this.lease;
    if (current !== undefined) {
      const isIdle = nowMs - this.lastUsedMs > idleMs;
      // What a grant under way counts on is kept.
      const isToReturn =
        this.granting === undefined && (isEnding || isIdle || this.isNearEnd || nowMs >= this.endsAtMs);
      const line = current.say(isToReturn);
      if (line !== undefined) yield line;
    }
    for (const lease of this.olderLeases) {
      const line = lease.say(true);
      if (line !== undefined) yield line;
      else if (lease.isDone) this.olderLeases.delete(lease);
    }
  }

  private grantSoon(): void {
    this.granting ??= this.grantAll().finally(() => (this.granting = undefined));
  }

  private async grantAll(): Promise<void> {
    do {
      const waiting = this.waiters;
      try {
        await this.grant(waiting);
      } catch (cause) {
        const { name } = this.budget;
        const options = { cause, retryAfterSeconds: unavailableRetrySeconds };
        for (const waiter of waiting.splice(0))
          waiter.reject(sluiceError('SLU_BUDGET_UNAVAILABLE', { budget: name }, options));
      }
    } while (this.waiters.length > 0);
  }

  private async grant(waiting: Waiter[]): Promise<void> {
    const { parts, lease } = this;
    const askedAtMs = parts.clock.monotonicMs();
    const asked = [...waiting];
    const grant = await parts.ledger.grant({
      processId: parts.processId,
      budgetId: this.budget.id,
      wishes: asked.map(({ amount }) => amount),
      perSecond: this.rate.perSecond,
      lease: lease && { startsAtMs: lease.startsAtMs, granted: lease.granted, spare: lease.spare },
    });
    waiting.splice(0, asked.length);
    if (grant === undefined) {
      this.retire();
      for (const waiter of asked) waiter.resolve(undefined);
      return;
    }
    parts.clock.observe(grant.nowMs, askedAtMs);
    const mine = this.take(grant);
    this.isNearEnd = grant.isNearEnd;
    const passedOver: Waiter[] = [];
    asked.forEach((waiter, index) => {
      if (grant.granted[index] !== true) waiter.reject(parts.refuse(this.budget, waiter.amount, grant));
      else if (mine.reserve(waiter.amount)) waiter.resolve(mine);
      // What was spare when the grant was asked for has been used meanwhile: it is asked for again.
      else passedOver.push(waiter);
    });
    waiting.unshift(...passedOver);
    // Those that came meanwhile, in their order: they would ask for a grant each, and others would come while they wait.
    while (waiting.length > 0 && parts.clock.nowMs() < this.endsAtMs && mine.reserve(waiting[0]!.amount))
      waiting.shift()!.resolve(mine);
    this.lowSpare = mine.spare / 2;
    if (this.isNearEnd) parts.whenUrgent();
  }

  private take({ startsAtMs, endsAtMs, leaseGranted }: Grant): Lease {
    const { lease } = this;
    this.endsAtMs = endsAtMs;
    if (lease !== undefined && lease.startsAtMs === startsAtMs) {
      lease.granted = leaseGranted;
      return lease;
    }
    this.retire();
    this.lease = new Lease(this.budget.id, startsAtMs, leaseGranted);
    return this.lease;
  }

  private retire(): void {
    if (this.lease !== undefined) this.olderLeases.add(this.lease);
    this.lease = undefined;
  }

  // A model server said that it used more than the worst case. It is charged as long as the budget has room for it, and
  // written down as overrun where it has not: spent never grows beyond the limit.
  private chargeBeyond(lease: Lease, beyond: number): void {
    this.reserve(beyond).then(
      (extra) => (extra === undefined ? lease.overrun(beyond) : this.settle(extra, beyond, beyond)),
      () => lease.overrun(beyond),
    );
  }
}
