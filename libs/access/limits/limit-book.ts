import type { Change, ChangeFeedListener, Database } from '#libs/store';
import {
  isLimitScope,
  overridden,
  tierLimitsSchema,
  allowanceSchema,
  type Allowance,
  type LimitScope,
  type TierLimits,
} from './allowance.js';

export interface LimitBookSettings {
  database: Pick<Database, 'query'>;
  /** Told when the limits cannot be read; the book tries again by itself and goes on with what it has. */
  onProblem?: (problem: unknown) => void;
}

const retryMs = 250;
const nothing: Allowance = {};

/** All tiers and all limits that are set for somebody, in memory, as Postgres has them. It follows the change feed. */
export class LimitBook implements ChangeFeedListener, Disposable {
  /** Changes whenever anything here has changed. */
  revision = 0;
  private tiers = new Map<string, TierLimits>();
  private overrides = new Map<string, Allowance>();
  private reading: Promise<void> | undefined;
  private isReadDue = false;
  private retryTimer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(private readonly settings: LimitBookSettings) {}

  get tierNames(): string[] {
    return [...this.tiers.keys()];
  }

  tier(name: string): TierLimits | undefined {
    return this.tiers.get(name);
  }

  /** What holds for a subject: what is set for it, and else what its tier says. */
  allowance(scope: LimitScope, subject: string, tier: Allowance = nothing): Allowance {
    return overridden(tier, this.overrides.get(keyOf(scope, subject)));
  }

  hasOverride(scope: LimitScope, subject: string): boolean {
    return this.overrides.has(keyOf(scope, subject));
  }

  async load(): Promise<void> {
    const { database } = this.settings;
    const tierRows = await database.query<{ name: string; limits: unknown }>('SELECT name, limits FROM tiers');
    const overrideRows = await database.query<{ scope: string; subject: string; limits: unknown }>(
      'SELECT scope, subject, limits FROM limit_overrides',
    );
    // A row that a newer release wrote must not open the gate: what cannot be read stops the reading, and is told.
    const tiers = new Map(tierRows.map(({ name, limits }) => [name, tierLimitsSchema.parse(limits)]));
    const overrides = new Map<string, Allowance>();
    for (const { scope, subject, limits } of overrideRows)
      if (isLimitScope(scope)) overrides.set(keyOf(scope, subject), allowanceSchema.parse(limits));
    this.tiers = tiers;
    this.overrides = overrides;
    this.revision += 1;
  }

  /** Reads everything anew. Resolves when that has been done, or has failed and is tried again later. */
  async refresh(): Promise<void> {
    this.isReadDue = true;
    this.readSoon();
    while (this.reading !== undefined) await this.reading;
  }

  onChange({ table }: Change): void {
    if (table === 'tiers' || table === 'limit_overrides') void this.refresh();
  }

  onConnected(): void {
    void this.refresh();
  }

  /** How long keys stay good without Postgres is for the key ring to say. */
  onLost(): void {}

  [Symbol.dispose](): void {
    this.isClosed = true;
    clearTimeout(this.retryTimer);
  }

  private readSoon(): void {
    if (this.isClosed || this.reading !== undefined) return;
    clearTimeout(this.retryTimer);
    this.isReadDue = false;
    this.reading = this.load().then(
      () => this.afterReading(undefined),
      (problem: unknown) => this.afterReading(problem),
    );
  }

  private afterReading(problem: unknown): void {
    this.reading = undefined;
    if (this.isClosed) return;
    if (problem !== undefined) {
      this.settings.onProblem?.(problem);
      this.retryTimer = setTimeout(() => this.readSoon(), retryMs);
    } else if (this.isReadDue) this.readSoon();
  }
}

const keyOf = (scope: LimitScope, subject: string): string => `${scope}/${subject}`;
