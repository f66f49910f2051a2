import { randomUUID } from 'node:crypto';
import { worstCostMicros } from '#libs/decisions';
import { isSluiceError, minutes, systemClock, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import type { Change, ChangeFeedListener, Database } from '#libs/store';
import { BudgetBook } from './budget-book.js';
import { BudgetRefusal } from './budget-refusal.js';
import type { Budget, Payer } from './budget.js';
import { BudgetReaders, type BudgetChangeId } from './budget-readers.js';
import { BudgetCounts } from './budget-counts.js';
import { DatabaseClock } from './database-clock.js';
import { HeldBudget } from './held-budget.js';
import { LeaseLedger, type Grant } from './lease-ledger.js';
import { forgetOldProcesses, giveUpLostProcesses } from './lost-processes.js';
import { PriceBook } from './price-book.js';
import type { RequestMeter, Used, WorstCase } from './request-meter.js';
import { RepeatedReading } from './repeated-reading.js';
import { Reservation, type Settled } from './reservation.js';
import { SettlementWriter } from './settlement-writer.js';
import { SoftTally } from './soft-tally.js';
import { UsageTally } from './usage-tally.js';

export interface BudgetsSettings {
  database: Database;
  log: Logger;
  /** ISO 4217, for people to read; amounts are whole micro-units of it. */
  currency?: string;
  clock?: Clock;
  /** A process that has not been seen for so long is given up, and what it held counts as spent. */
  lostAfterSeconds?: number;
  settleEveryMs?: number;
  /** How long a change of budgets waits at most for the other processes to know of it. */
  patienceMs?: number;
  /** A reservation was refused. */
  onRefused?: (refused: { account: Payer; budget: Budget; requestId: string }) => void;
}

class Refused extends Error {
  constructor(
    readonly budget: Budget,
    readonly amount: number,
    readonly grant: Grant,
  ) {
    super('the budget has no room');
  }
}

/**
 * Prices and budgets on the way of each request. A request reserves its worst case and settles what it used, both in memory:
 * this process holds a slice of each hard budget, which it was given by the account in PostgreSQL.
 */
export class Budgets implements ChangeFeedListener, AsyncDisposable {
  readonly counts = new BudgetCounts();
  private readonly processId = randomUUID();
  private readonly clock: DatabaseClock;
  private readonly ledger: LeaseLedger;
  private readonly prices: PriceBook;
  private readonly book: BudgetBook;
  private readonly readers: BudgetReaders;
  private readonly held = new Map<string, HeldBudget>();
  private readonly usage = new UsageTally();
  private readonly soft = new SoftTally();
  private readonly writer: SettlementWriter;
  private readonly reading: RepeatedReading;
  private readonly refusal: BudgetRefusal;
  private keeping: Promise<void> | undefined;
  private keeper: NodeJS.Timeout | undefined;

  constructor(private readonly settings: BudgetsSettings) {
    const { database, log, settleEveryMs } = settings;
    this.clock = new DatabaseClock(settings.clock ?? systemClock);
    this.ledger = new LeaseLedger(database);
    this.prices = new PriceBook(database);
    this.book = new BudgetBook(database);
    this.readers = new BudgetReaders(database, settings.patienceMs);
    this.refusal = new BudgetRefusal(settings.currency ?? 'USD');
    this.reading = new RepeatedReading(() => this.read(), log);
    this.writer = new SettlementWriter({
      processId: this.processId,
      ledger: this.ledger,
      clock: this.clock,
      log,
      collect: (isEnding) => ({
        leases: [...this.held.values()].flatMap((held) => [...held.linesToSay(isEnding)]),
        soft: this.soft.take(),
        usage: this.usage.take(),
      }),
      ...(settleEveryMs === undefined ? {} : { everyMs: settleEveryMs }),
    });
  }

  /** Until this has been done, nothing is to be reserved. */
  async start(): Promise<void> {
    const askedAtMs = this.clock.monotonicMs();
    this.clock.observe(await this.ledger.register(this.processId), askedAtMs);
    await this.read();
    this.writer.start();
    const everyMs = ((this.settings.lostAfterSeconds ?? minutes(1)) * 1_000) / 4;
    this.keeper = setInterval(() => void (this.keeping ??= this.keep()), everyMs);
    this.keeper.unref();
  }

  onChange(change: Change): void {
    if (change.table === 'budgets' || change.table === 'prices') this.reading.again();
  }

  onConnected(): void {
    this.reading.again();
  }

  onLost(): void {
    // What is known stays good: a hard budget holds by its lease, whatever is heard.
  }

  /** Resolves when every change heard of so far has been read. */
  async settled(): Promise<void> {
    await this.reading.settled();
  }

  /** Reads prices and budgets anew. */
  async refresh(): Promise<void> {
    this.reading.again();
    await this.reading.settled();
  }

  /** Resolves when this process goes by a change of budgets, and so does every other one that answers in time. */
  async spread(change: BudgetChangeId): Promise<void> {
    await this.refresh();
    try {
      if (await this.readers.untilAllKnow(change)) return;
      this.settings.log.warn('a change of budgets is not yet known to every process; it holds there once it is');
    } catch (err) {
      this.settings.log.warn({ err }, 'whether every process knows a change of budgets cannot be told now');
    }
  }

  meter(account: Payer, requestId: string): RequestMeter {
    let reservation: Reservation | undefined;
    let early: Used | undefined;
    return {
      reserve: (worst) => {
        const reserved = this.reserve(account, worst, requestId);
        if (!(reserved instanceof Promise)) {
          reservation = reserved;
          return undefined;
        }
        return reserved.then((made) => {
          reservation = made;
          // The request ended while it still waited.
          if (early !== undefined) made.settle(early);
        });
      },
      settle: (used) => {
        early = used;
        reservation?.settle(used);
      },
    };
  }

  /** @throws SLU_BUDGET_EXHAUSTED, SLU_BUDGET_UNAVAILABLE, as a rejection */
  reserve(account: Payer, worst: WorstCase, requestId: string): Reservation | Promise<Reservation> {
    const atMs = this.clock.nowMs();
    const price = this.prices.priceAt(worst, atMs);
    const budgets = this.book.of(account);
    const { endpoint, model, version } = worst;
    const place = { endpoint, model, version };
    const soft = budgets.length === 0 ? budgets : budgets.filter(({ isHard }) => !isHard);
    const reservation = new Reservation(account, place, price, soft, atMs, (settled) => this.note(settled));
    let waiting: Promise<void> | undefined;
    for (const budget of budgets) {
      if (!budget.isHard) continue;
      const held = this.heldOf(budget);
      const amount = budget.unit === 'money' ? worstCostMicros(price, worst) : worst.tokensIn + worst.tokensOut;
      const lease = waiting === undefined ? held.tryReserve(amount) : undefined;
      if (lease !== undefined) {
        reservation.hold(held, lease, amount);
        continue;
      }
      const before = waiting;
      waiting = (async () => {
        await before;
        const granted = await held.reserve(amount);
        if (granted !== undefined) reservation.hold(held, granted, amount);
      })();
    }
    if (waiting === undefined) return reservation;
    return waiting.then(
      () => reservation,
      (failure: unknown) => {
        reservation.release();
        throw this.told(failure, { account, worst, requestId, price });
      },
    );
  }

  /** Everything settled so far is written when it resolves. @throws when the database is away */
  flush(): Promise<void> {
    return this.writer.flush();
  }

  /** Ends with everything written and nothing held, unless the database is away: then the others write it off. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.keeper);
    this.writer.stop();
    this.reading.stop();
    await this.keeping;
    try {
      await this.writer.flush(true);
      await this.ledger.end(this.processId);
    } catch (err) {
      this.settings.log.warn(
        { err },
        'the last settlement could not be written: what this process holds counts as spent',
      );
    }
  }

  private note({ account, place, used, cost, tokens, soft, atMs }: Settled): void {
    this.usage.add(account, place, used, cost, atMs);
    for (const { id, unit } of soft) this.soft.add(id, unit === 'money' ? cost : tokens, atMs);
  }

  private told(
    failure: unknown,
    {
      account,
      worst,
      requestId,
      price,
    }: { account: Payer; worst: WorstCase; requestId: string; price: Parameters<BudgetRefusal['errorOf']>[2] },
  ): unknown {
    if (failure instanceof Refused) {
      this.counts.refused(failure.budget);
      this.settings.onRefused?.({ account, budget: failure.budget, requestId });
      return this.refusal.errorOf(failure, worst, price);
    }
    if (isSluiceError(failure)) this.counts.unavailable += 1;
    return failure;
  }

  private heldOf(budget: Budget): HeldBudget {
    let held = this.held.get(budget.id);
    if (held === undefined) {
      held = new HeldBudget(budget, {
        processId: this.processId,
        ledger: this.ledger,
        clock: this.clock,
        refuse: (refused, amount, grant) => new Refused(refused, amount, grant),
        whenUrgent: () => this.writer.soon(),
      });
      this.held.set(budget.id, held);
    }
    return held;
  }

  private async read(): Promise<void> {
    const snapshot = await this.readers.snapshot();
    await this.prices.load();
    await this.book.load();
    for (const held of this.held.values()) held.budget = this.book.find(held.budget.id) ?? held.budget;
    await this.readers.say(this.processId, snapshot);
  }

  private async keep(): Promise<void> {
    const { database, log, lostAfterSeconds = minutes(1) } = this.settings;
    try {
      const lost = await giveUpLostProcesses(database, lostAfterSeconds);
      if (lost.length > 0) log.warn({ lost }, 'what lost processes held of budgets counts as spent');
      await forgetOldProcesses(database);
      await this.counts.read(database);
    } catch (err) {
      log.debug({ err }, 'lost processes cannot be looked for now');
    } finally {
      this.keeping = undefined;
    }
  }
}
