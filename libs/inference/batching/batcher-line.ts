import { plainKey, type WaitingRequest } from './batcher-request.js';
import type { Level } from './batcher-level.js';

/** Waiting requests of one tenant and priority that can share a run, in order of arrival. Any can leave at no cost. */
export class Line {
  first: WaitingRequest | undefined;
  last: WaitingRequest | undefined;

  constructor(
    readonly flow: Flow,
    readonly key: string,
  ) {}

  push(item: WaitingRequest): void {
    item.line = this;
    item.previous = this.last;
    if (this.last === undefined) this.first = item;
    else this.last.next = item;
    this.last = item;
  }

  remove(item: WaitingRequest): void {
    if (item.previous === undefined) this.first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.last = item.previous;
    else item.next.previous = item.previous;
    item.line = item.previous = item.next = undefined;
  }
}

/** What one tenant has waiting at one priority, and where it stands in turn. */
export class Flow {
  count = 0;
  /** Start tag of its next request (start-time fair queueing): the rows it has been served, in its level's time. */
  tag = 0;
  /** The busy period of the level that the tag belongs to. */
  period = -1;
  /** Its place among the level's active flows; -1 when nothing waits. */
  index = -1;
  /** When it last became active: who has come first goes first among equals. */
  turn = 0;
  /** While a batch is planned: its tag then, and its next request that is not yet in the plan. */
  plannedTag = 0;
  cursor: WaitingRequest | undefined;
  private readonly plain: Line;
  private shaped: Map<string, Line> | undefined;

  constructor(
    readonly level: Level,
    readonly tenant: TenantUse,
  ) {
    this.plain = new Line(this, plainKey);
  }

  line(key: string): Line | undefined {
    return key === plainKey ? this.plain : this.shaped?.get(key);
  }

  lineFor(key: string): Line {
    if (key === plainKey) return this.plain;
    this.shaped ??= new Map();
    let line = this.shaped.get(key);
    if (line === undefined) this.shaped.set(key, (line = new Line(this, key)));
    return line;
  }

  addKeys(keys: Set<string>): void {
    if (this.plain.first !== undefined) keys.add(plainKey);
    if (this.shaped !== undefined) for (const key of this.shaped.keys()) keys.add(key);
  }

  /** Shapes are the callers' choice, so a line goes with its last request. */
  dropIfEmpty(line: Line): void {
    if (line.first === undefined && line !== this.plain) this.shaped?.delete(line.key);
  }

  /** The one that has waited longest, of whatever shape. */
  get oldest(): WaitingRequest | undefined {
    let oldest = this.plain.first;
    if (this.shaped === undefined) return oldest;
    for (const { first } of this.shaped.values()) {
      if (first !== undefined && (oldest === undefined || first.enqueuedMs < oldest.enqueuedMs)) oldest = first;
    }
    return oldest;
  }

  get newest(): WaitingRequest | undefined {
    let newest = this.plain.last;
    if (this.shaped === undefined) return newest;
    for (const { last } of this.shaped.values()) {
      if (last !== undefined && (newest === undefined || last.enqueuedMs >= newest.enqueuedMs)) newest = last;
    }
    return newest;
  }

  *[Symbol.iterator](): Generator<WaitingRequest> {
    for (const line of [this.plain, ...(this.shaped?.values() ?? [])]) {
      for (let item = line.first; item !== undefined;) {
        const { next }: WaitingRequest = item;
        yield item;
        item = next;
      }
    }
  }
}

/** What one tenant has waiting at all priorities. */
export class TenantUse {
  requests = 0;
  bytes = 0;
  /** By level index. */
  readonly flows: (Flow | undefined)[] = [];

  constructor(readonly name: string) {}

  /** The request that costs it least to lose: the last one that came, of the least urgent. */
  get leastUrgent(): WaitingRequest | undefined {
    return this.flows.findLast((flow) => flow !== undefined && flow.count > 0)?.newest;
  }
}
