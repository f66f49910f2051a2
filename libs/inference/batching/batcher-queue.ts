import { Flow, TenantUse } from './batcher-line.js';
import { Level } from './batcher-level.js';
import { aloneKey, type BatchRequest, type WaitingRequest } from './batcher-request.js';

export interface QueueLimits {
  maxRequests: number;
  maxBytes: number;
  priorityLevels: number;
}

/** Why a request has no place: too much waits altogether, or too much of its own tenant's while others wait as well. */
export type QueueRefusal = 'overload' | 'overuse';

/** A batch that could leave now. Nothing has left the queue yet. */
export interface BatchPlan {
  /** What all its requests have in common. */
  readonly key: string;
  items: WaitingRequest[];
  /** Waiting would not make it larger. */
  isFull: boolean;
  /** It has one of the sizes that the model runs best. */
  isPreferred: boolean;
  /** Until when it may wait for more rows; in the past when it may not. */
  holdUntilMs: number;
  /** Met on the way, and past their time. */
  expired: WaitingRequest[];
}

export interface PlanRules {
  /** A larger request goes alone. */
  maxRows: number;
  preferredRows: ReadonlySet<number> | undefined;
  maxDelayMs: number;
}

/** One batch in so many is led by the request that has waited longest, whatever its priority. */
export const agedTurn = 8;
const firstSweepAt = 256;

/**
 * The waiting requests of one version, by priority, tenant and shape. It never holds more than its limits: whoever is
 * under its fair share when the queue is full gets a place from those that are above theirs.
 */
export class RequestQueue {
  count = 0;
  bytes = 0;
  private rows = 0;
  /** Those that share a run with nobody. */
  private alone = 0;
  private readonly levels: Level[];
  private readonly tenants = new Map<string, TenantUse>();
  private lastTenant: TenantUse | undefined;
  private waitingTenants = 0;
  private contested = 0;
  private sweepAt = firstSweepAt;

  constructor(private readonly limits: QueueLimits) {
    this.levels = Array.from({ length: limits.priorityLevels }, (_none, index) => new Level(this, index));
  }

  /** How many tenants have something waiting. */
  get tenantCount(): number {
    return this.waitingTenants;
  }

  waitingAt(priority: number): number {
    return this.levels[priority - 1]!.count;
  }

  /** Since when the one has waited that came first; undefined when none waits. */
  oldestAt(priority: number): number | undefined {
    return this.levels[priority - 1]!.oldest?.enqueuedMs;
  }

  requestsOf(tenant: string): number {
    return this.tenants.get(tenant)?.requests ?? 0;
  }

  /**
   * Is there a place for this one? Where others have to give theirs up for it, they are handed to `evict`, which has to
   * settle them.
   */
  refusalOf(request: BatchRequest, evict: (item: WaitingRequest) => void): QueueRefusal | undefined {
    const { maxRequests, maxBytes } = this.limits;
    if (this.count < maxRequests && this.bytes + request.bytes <= maxBytes) return undefined;
    const own = this.tenants.get(request.tenant);
    const ownRequests = own?.requests ?? 0;
    const sharers = this.waitingTenants + (ownRequests === 0 ? 1 : 0);
    const isWithinShare =
      (this.count < maxRequests || ownRequests + 1 <= maxRequests / sharers) &&
      (this.bytes + request.bytes <= maxBytes || (own?.bytes ?? 0) + request.bytes <= maxBytes / sharers);
    if (sharers === 1) return 'overload';
    if (!isWithinShare) return ownRequests > 0 ? 'overuse' : 'overload';
    while (this.count >= maxRequests || this.bytes + request.bytes > maxBytes) {
      const victim = this.largest(this.count >= maxRequests ? 'requests' : 'bytes')?.leastUrgent;
      if (victim === undefined) return 'overload';
      evict(victim);
    }
    return undefined;
  }

  push(item: WaitingRequest): void {
    const { tenant: name, priority, stackKey = aloneKey, bytes, rows } = item.request;
    const tenant = this.tenantOf(name);
    const level = this.levels[priority - 1]!;
    const flow = (tenant.flows[level.index] ??= new Flow(level, tenant));
    flow.lineFor(stackKey).push(item);
    level.entered(flow);
    if (tenant.requests === 0) this.waitingTenants += 1;
    tenant.requests += 1;
    tenant.bytes += bytes;
    this.count += 1;
    this.bytes += bytes;
    this.rows += rows;
    if (stackKey === aloneKey) this.alone += 1;
  }

  remove(item: WaitingRequest): void {
    const { line } = item;
    if (line === undefined) return;
    const { flow } = line;
    const { tenant } = flow;
    line.remove(item);
    flow.dropIfEmpty(line);
    flow.level.left(flow);
    tenant.requests -= 1;
    tenant.bytes -= item.request.bytes;
    if (tenant.requests === 0) this.waitingTenants -= 1;
    this.count -= 1;
    this.bytes -= item.request.bytes;
    this.rows -= item.request.rows;
    if (line.key === aloneKey) this.alone -= 1;
  }

  /** May the next batch be full? Costs nothing; the plan itself knows for sure. */
  mayBeFull({ maxRows }: PlanRules): boolean {
    return this.rows >= maxRows || this.alone > 0;
  }

  /** The shapes of what waits. */
  keys(): Set<string> {
    const keys = new Set<string>();
    for (const level of this.levels) for (const flow of level.flows) flow.addKeys(keys);
    return keys;
  }

  /** The next batch as it would leave now. @param chosenKey the shape that it is to have, where that is not up to turns */
  plan(rules: PlanRules, nowMs: number, chosenKey?: string): BatchPlan {
    const lead = chosenKey === undefined ? this.leadLevel() : undefined;
    const key = chosenKey ?? lead?.leader?.oldest?.request.stackKey ?? aloneKey;
    const batch = new Plan(key, rules, nowMs);
    // Room that the leading level leaves is filled with what is less urgent: it costs nobody anything.
    let goesOn = lead === undefined || lead.offer(key, batch.take);
    for (const level of this.levels) {
      if (!goesOn) break;
      if (level !== lead && level.count > 0) goesOn = level.offer(key, batch.take);
    }
    batch.end();
    return batch;
  }

  /** A planned batch leaves. */
  depart({ items }: BatchPlan): void {
    if (this.levels.length > 1 && this.levels.filter(({ count }) => count > 0).length > 1) this.contested += 1;
    for (const item of items) {
      const { flow } = item.line!;
      flow.level.served(flow, item.request.rows);
      this.remove(item);
    }
  }

  *[Symbol.iterator](): Generator<WaitingRequest> {
    // Of a copy: whoever asks may take requests out on the way.
    for (const level of this.levels) for (const flow of level.flows.slice()) yield* flow;
  }

  private leadLevel(): Level | undefined {
    if (this.levels.length === 1) return this.levels[0];
    const waiting = this.levels.filter(({ count }) => count > 0);
    if (waiting.length <= 1 || this.contested % agedTurn !== agedTurn - 1) return waiting[0];
    return waiting.reduce((first, level) => (level.oldest!.enqueuedMs < first.oldest!.enqueuedMs ? level : first));
  }

  private tenantOf(name: string): TenantUse {
    if (this.lastTenant?.name === name) return this.lastTenant;
    let tenant = this.tenants.get(name);
    if (tenant === undefined) {
      if (this.tenants.size >= this.sweepAt) this.sweepTenants();
      this.tenants.set(name, (tenant = new TenantUse(name)));
    }
    this.lastTenant = tenant;
    return tenant;
  }

  private sweepTenants(): void {
    this.lastTenant = undefined;
    for (const [name, { requests, flows }] of this.tenants) {
      if (requests === 0 && flows.every((flow) => flow === undefined || flow.level.isSettledWith(flow)))
        this.tenants.delete(name);
    }
    this.sweepAt = Math.max(firstSweepAt, this.tenants.size * 2);
  }

  private largest(resource: 'requests' | 'bytes'): TenantUse | undefined {
    let largest: TenantUse | undefined;
    for (const tenant of this.tenants.values()) {
      if (tenant.requests === 0) continue;
      if (largest === undefined || tenant[resource] > largest[resource]) largest = tenant;
    }
    return largest;
  }
}

/** A batch in the making. */
class Plan implements BatchPlan {
  readonly items: WaitingRequest[] = [];
  readonly expired: WaitingRequest[] = [];
  isFull = false;
  isPreferred = false;
  holdUntilMs = Infinity;
  private rows = 0;
  /** How many of the items make up the largest preferred size so far. */
  private preferredCount = 0;

  constructor(
    readonly key: string,
    private readonly rules: PlanRules,
    private readonly nowMs: number,
  ) {}

  readonly take = (item: WaitingRequest): boolean => {
    if (item.isSettled) return true;
    if (this.nowMs >= item.deadlineMs) {
      this.expired.push(item);
      return true;
    }
    const { rows, stackKey, timeoutMs } = item.request;
    const { maxRows, maxDelayMs, preferredRows } = this.rules;
    if (this.items.length > 0 && this.rows + rows > maxRows) {
      this.isFull = true;
      return false;
    }
    this.items.push(item);
    this.rows += rows;
    if (maxDelayMs > 0) {
      // Nobody is held back for more than half of the time that it has.
      this.holdUntilMs = Math.min(this.holdUntilMs, item.enqueuedMs + Math.min(maxDelayMs, timeoutMs / 2));
    }
    if (preferredRows?.has(this.rows) === true) this.preferredCount = this.items.length;
    if (this.rows < maxRows && stackKey !== undefined) return true;
    this.isFull = true;
    return false;
  };

  /** A batch of a preferred size leaves without what would spoil it, unless somebody has waited long enough. */
  end(): void {
    if (this.rules.maxDelayMs === 0) this.holdUntilMs = -Infinity;
    const hasWaited = this.rules.maxDelayMs > 0 && this.nowMs >= this.holdUntilMs;
    if (this.preferredCount === 0 || hasWaited) return;
    this.isPreferred = true;
    this.items.length = this.preferredCount;
  }
}
