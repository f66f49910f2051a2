import { Flow } from './batcher-line.js';
import { Level, TenantFlow } from './batcher-level.js';
import { aloneKey, type BatchRequest, type WaitingRequest } from './batcher-request.js';
import { TenantUse, Uses, type CallerUse, type Use } from './batcher-uses.js';

export interface QueueLimits {
  maxRequests: number;
  maxBytes: number;
  priorityLevels: number;
}

/** Why a request has no place: too much waits altogether, or too much of its own tenant or caller while others wait as well. */
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

/** One batch in so many is led by the request that has waited longest, whatever its priority, and one whatever its shape. */
export const agedTurn = 8;

/**
 * The waiting requests of one version, by priority, tenant, caller and shape. It never holds more than its limits: a
 * tenant that is under its fair share when the queue is full gets a place from those that are above theirs, and so does a
 * caller from the others of its tenant.
 */
export class RequestQueue {
  count = 0;
  bytes = 0;
  private rows = 0;
  /** Those that share a run with nobody. */
  private alone = 0;
  private readonly levels: Level[];
  private readonly tenants = new Uses((name) => new TenantUse(name));
  private contested = 0;
  private departed = 0;

  constructor(private readonly limits: QueueLimits) {
    this.levels = Array.from({ length: limits.priorityLevels }, (_none, index) => new Level(this, index));
  }

  /** How many tenants have something waiting. */
  get tenantCount(): number {
    return this.tenants.waiting;
  }

  waitingAt(priority: number): number {
    return this.levels[priority - 1]!.count;
  }

  /** Since when the one has waited that came first; undefined when none waits. */
  oldestAt(priority: number): number | undefined {
    return this.levels[priority - 1]!.oldest?.enqueuedMs;
  }

  /** How many requests are answered, about, until the last one of a caller is, since all take turns. */
  turnsOf(tenant: string, key: string): number {
    const { callers } = this.tenants.find(tenant) ?? {};
    const own = callers?.find(key)?.requests ?? 0;
    return Math.min(this.count, own * (callers?.waiting ?? 0) * this.tenants.waiting);
  }

  /**
   * Is there a place for this one? Where others have to give theirs up for it, they are handed to `evict`, which has to
   * settle them.
   */
  refusalOf(request: BatchRequest, evict: (item: WaitingRequest) => void): QueueRefusal | undefined {
    if (this.hasRoomFor(request)) return undefined;
    const tenant = this.tenants.find(request.tenant);
    const caller = tenant?.callers.find(request.key);
    const tenants = this.tenants.sharersWith(tenant);
    const callers = tenant?.callers.sharersWith(caller) ?? 1;
    const { maxRequests, maxBytes } = this.limits;
    let givers: Uses<TenantUse> | Uses<CallerUse>;
    if (tenants > 1 && this.isWithin({ requests: maxRequests, bytes: maxBytes }, tenants, tenant, request))
      givers = this.tenants;
    // What its tenant has is all that there is for its callers.
    else if (tenant !== undefined && callers > 1 && this.isWithin(tenant, callers, caller, request))
      givers = tenant.callers;
    else {
      const own = tenants > 1 ? tenant : callers > 1 ? caller : undefined;
      return (own?.requests ?? 0) > 0 ? 'overuse' : 'overload';
    }
    while (!this.hasRoomFor(request)) {
      const resource = this.count >= maxRequests ? 'requests' : 'bytes';
      const victim = givers.largest(resource)?.leastUrgent(resource);
      if (victim === undefined) return 'overload';
      evict(victim);
    }
    return undefined;
  }

  push(item: WaitingRequest): void {
    const { tenant: tenantName, key, priority, stackKey = aloneKey, bytes, rows } = item.request;
    const tenant = this.tenants.of(tenantName);
    const caller = tenant.callers.of(key);
    const level = this.levels[priority - 1]!;
    const tenantFlow = (tenant.flows[level.index] ??= new TenantFlow(level, tenant));
    const flow = (caller.flows[level.index] ??= new Flow(tenantFlow, caller));
    flow.lineFor(stackKey).push(item);
    level.entered(flow);
    this.tenants.took(tenant, bytes);
    tenant.callers.took(caller, bytes);
    this.count += 1;
    this.bytes += bytes;
    this.rows += rows;
    if (stackKey === aloneKey) this.alone += 1;
  }

  remove(item: WaitingRequest): void {
    const { line } = item;
    if (line === undefined) return;
    const { flow } = line;
    const { bytes } = item.request;
    const tenant = flow.tenant.use;
    line.remove(item);
    flow.dropIfEmpty(line);
    flow.tenant.level.left(flow);
    this.tenants.gave(tenant, bytes);
    tenant.callers.gave(flow.use, bytes);
    this.count -= 1;
    this.bytes -= bytes;
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
    for (const level of this.levels) for (const flow of level.flows()) flow.addKeys(keys);
    return keys;
  }

  /** The next batch as it would leave now. @param chosenKey the shape that it is to have, where that is not up to turns */
  plan(rules: PlanRules, nowMs: number, chosenKey?: string): BatchPlan {
    const lead = chosenKey === undefined ? this.leadLevel() : undefined;
    const key = chosenKey ?? lead?.leadKey(this.departed % agedTurn === agedTurn - 1) ?? aloneKey;
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
    this.departed += 1;
    if (this.levels.length > 1 && this.levels.filter(({ count }) => count > 0).length > 1) this.contested += 1;
    for (const item of items) {
      const { flow } = item.line!;
      flow.tenant.level.served(flow, item.request.rows);
      this.remove(item);
    }
  }

  *[Symbol.iterator](): Generator<WaitingRequest> {
    // Of a copy: whoever asks may take requests out on the way.
    for (const level of this.levels) {
      const flows = [...level.flows()];
      for (const flow of flows) yield* flow;
    }
  }

  private leadLevel(): Level | undefined {
    if (this.levels.length === 1) return this.levels[0];
    const waiting = this.levels.filter(({ count }) => count > 0);
    if (waiting.length <= 1 || this.contested % agedTurn !== agedTurn - 1) return waiting[0];
    return waiting.reduce((first, level) => (level.oldest!.enqueuedMs < first.oldest!.enqueuedMs ? level : first));
  }

  private hasRoomFor({ bytes }: BatchRequest): boolean {
    return this.count < this.limits.maxRequests && this.bytes + bytes <= this.limits.maxBytes;
  }

  /** With this one more, does it have no more than its part of what there is too little of? */
  private isWithin(
    whole: Pick<Use, 'requests' | 'bytes'>,
    sharers: number,
    own: Use | undefined,
    { bytes }: BatchRequest,
  ): boolean {
    const { maxRequests, maxBytes } = this.limits;
    return (
      (this.count < maxRequests || (own?.requests ?? 0) + 1 <= whole.requests / sharers) &&
      (this.bytes + bytes <= maxBytes || (own?.bytes ?? 0) + bytes <= whole.bytes / sharers)
    );
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
