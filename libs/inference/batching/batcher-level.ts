import type { Flow, Line } from './batcher-line.js';
import type { RequestQueue } from './batcher-queue.js';
import type { WaitingRequest } from './batcher-request.js';
import { nextPlanned, Turn, Turns } from './batcher-turns.js';
import type { TenantUse } from './batcher-uses.js';

/** What one tenant has waiting at one priority: its callers take turns among themselves. */
export class TenantFlow extends Turn {
  readonly callers = new Turns<Flow>();
  /** While a batch is planned: others are to have their turns first. */
  isPassedOver = false;

  constructor(
    readonly level: Level,
    readonly use: TenantUse,
  ) {
    super();
  }

  get hasPlannable(): boolean {
    return !this.isPassedOver && this.callers.active.some(({ cursor }) => cursor !== undefined);
  }

  beginPlan(): void {
    this.plannedTag = this.tag;
    this.isPassedOver = false;
  }

  /** @returns undefined when it is the turn of one whose requests have another shape, and that one is waited for */
  nextPlannable(isStrict: boolean): Flow | undefined {
    const next = nextPlanned(this.callers.active, isStrict ? ({ hasMore }) => hasMore : hasPlannable);
    if (next?.hasPlannable === true) return next;
    this.isPassedOver = true;
    return undefined;
  }

  get oldest(): WaitingRequest | undefined {
    return oldestOf(this.callers.active);
  }
}

/**
 * One priority. Its tenants take turns by rows, and the callers of a tenant share the tenant's turns in the same way: a
 * tenant gets no more of them by asking through many callers.
 */
export class Level {
  count = 0;
  private readonly tenants = new Turns<TenantFlow>();

  constructor(
    readonly queue: RequestQueue,
    readonly index: number,
  ) {}

  entered(flow: Flow): void {
    this.count += 1;
    this.tenants.entered(flow.tenant);
    flow.tenant.callers.entered(flow);
  }

  left(flow: Flow): void {
    this.count -= 1;
    flow.tenant.callers.left(flow);
    this.tenants.left(flow.tenant);
  }

  served(flow: Flow, rows: number): void {
    this.tenants.served(flow.tenant, rows);
    flow.tenant.callers.served(flow, rows);
  }

  isSettledWith(tenant: TenantFlow): boolean {
    return this.tenants.isSettledWith(tenant);
  }

  /**
   * The shape of the next batch: that of whose turn it is, or of whoever has waited longest. Turns alone would let a
   * caller starve whose tenant gets its rows in the batches that others lead, as long as its shape differs from theirs.
   */
  leadKey(isByAge: boolean): string | undefined {
    return (isByAge ? this.oldest : this.tenants.leader?.callers.leader?.oldest)?.request.stackKey;
  }

  get oldest(): WaitingRequest | undefined {
    return oldestOf(this.tenants.active);
  }

  *flows(): Generator<Flow> {
    for (const { callers } of this.tenants.active) yield* callers.active;
  }

  /** Offers the requests of one key in the order of turns, until `take` refuses one. @returns false when it did */
  offer(key: string, take: (item: WaitingRequest) => boolean): boolean {
    const lines = this.linesOf(key);
    if (lines.length === 1) return offerLine(lines[0]!, take);
    // Room that those leave whose turn it is, others of their tenants fill.
    return this.offerTurns(take, true) && this.offerTurns(take, false);
  }

  /** @param isStrict leaves a tenant out once it is the turn of a caller whose requests have another shape */
  private offerTurns(take: (item: WaitingRequest) => boolean, isStrict: boolean): boolean {
    for (;;) {
      const tenant = nextPlanned(this.tenants.active, hasPlannable);
      if (tenant === undefined) break;
      const flow = tenant.nextPlannable(isStrict);
      if (flow === undefined) continue;
      const item = flow.cursor!;
      if (!take(item)) return false;
      flow.planned(item);
      tenant.plannedTag += Math.max(1, item.request.rows);
    }
    for (const tenant of this.tenants.active) tenant.isPassedOver = false;
    return true;
  }

  private linesOf(key: string): Line[] {
    const lines: Line[] = [];
    for (const tenant of this.tenants.active) {
      tenant.beginPlan();
      for (const flow of tenant.callers.active) {
        const line = flow.beginPlan(key);
        if (line !== undefined) lines.push(line);
      }
    }
    return lines;
  }
}

const hasPlannable = ({ hasPlannable: has }: { hasPlannable: boolean }): boolean => has;

function offerLine(line: Line, take: (item: WaitingRequest) => boolean): boolean {
  for (let item = line.first; item !== undefined; item = item.next) {
    if (!take(item)) return false;
  }
  return true;
}

function oldestOf(members: Iterable<{ readonly oldest: WaitingRequest | undefined }>): WaitingRequest | undefined {
  let oldest: WaitingRequest | undefined;
  for (const { oldest: head } of members) {
    if (head !== undefined && (oldest === undefined || head.enqueuedMs < oldest.enqueuedMs)) oldest = head;
  }
  return oldest;
}
