import { plainKey, type WaitingRequest } from './batcher-request.js';
import type { TenantFlow } from './batcher-level.js';
import { Turn } from './batcher-turns.js';
import type { CallerUse } from './batcher-uses.js';

/** Waiting requests of one caller and priority that can share a run, in order of arrival. Any can leave at no cost. */
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

/** What one caller has waiting at one priority, and where it stands among the callers of its tenant. */
export class Flow extends Turn {
  /** While a batch is planned: its next request of the batch's shape that is not yet in the plan. */
  cursor: WaitingRequest | undefined;
  private plannedCount = 0;
  private readonly plain: Line;
  private shaped: Map<string, Line> | undefined;

  constructor(
    readonly tenant: TenantFlow,
    readonly use: CallerUse,
  ) {
    super();
    this.plain = new Line(this, plainKey);
  }

  get hasPlannable(): boolean {
    return this.cursor !== undefined;
  }

  /** Of whatever shape. */
  get hasMore(): boolean {
    return this.count > this.plannedCount;
  }

  /** @returns its requests of the shape */
  beginPlan(key: string): Line | undefined {
    const line = this.line(key);
    this.plannedTag = this.tag;
    this.plannedCount = 0;
    this.cursor = line?.first;
    return this.cursor === undefined ? undefined : line;
  }

  planned(item: WaitingRequest): void {
    this.cursor = item.next;
    this.plannedCount += 1;
    this.plannedTag += Math.max(1, item.request.rows);
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
