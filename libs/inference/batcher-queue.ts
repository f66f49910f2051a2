import type { Span } from '@opentelemetry/api';
import type { SluiceError } from '#libs/kernel';
import type { CallerPresence } from './batcher-caller.js';
import type { Tensor } from './tensor.js';

/** One request's wish for a run. */
export interface BatchRequest {
  /** How errors name the place. */
  readonly endpoint: string;
  readonly inputs: readonly Tensor[];
  readonly rows: number;
  /** What it holds in memory, about. */
  readonly bytes: number;
  readonly timeoutMs: number;
  /** Requests with equal keys may share a run; undefined runs alone. */
  readonly stackKey: string | undefined;
  readonly caller?: CallerPresence | undefined;
  readonly span?: Span | undefined;
}

export interface BatchAnswer {
  outputs: readonly Tensor[];
  queueMs: number;
  modelMs: number;
}

/** A request between its arrival and its one answer. */
export class WaitingRequest {
  queue: RequestQueue | undefined;
  previous: WaitingRequest | undefined;
  next: WaitingRequest | undefined;
  /** How many replicas died while they had it. */
  losses = 0;
  isSettled = false;
  startedMs = 0;
  readonly deadlineMs: number;
  private resolve!: (answer: BatchAnswer) => void;
  private reject!: (error: SluiceError) => void;

  constructor(
    readonly request: BatchRequest,
    readonly enqueuedMs: number,
    private readonly whenAbandoned: (request: WaitingRequest) => void,
  ) {
    this.deadlineMs = enqueuedMs + request.timeoutMs;
  }

  answered(): Promise<BatchAnswer> {
    this.request.caller?.await(this);
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  answer(outputs: readonly Tensor[], nowMs: number): void {
    if (!this.settle()) return;
    this.resolve({ outputs, queueMs: this.startedMs - this.enqueuedMs, modelMs: nowMs - this.startedMs });
  }

  fail(error: SluiceError): void {
    if (this.settle()) this.reject(error);
  }

  abandon(): void {
    if (!this.isSettled) this.whenAbandoned(this);
  }

  // The first answer counts; whatever comes later finds nobody.
  private settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.request.caller?.forget(this);
    this.queue?.remove(this);
    return true;
  }
}

class Line {
  first: WaitingRequest | undefined;
  last: WaitingRequest | undefined;
  rows = 0;
}

/** Waiting requests in lines of equal stack key. Any request can leave from anywhere at no cost. */
export class RequestQueue {
  private readonly lines = new Map<string, Line>();
  count = 0;
  bytes = 0;

  push(item: WaitingRequest): void {
    const key = item.request.stackKey ?? aloneKey;
    let line = this.lines.get(key);
    if (line === undefined) this.lines.set(key, (line = new Line()));
    item.queue = this;
    item.previous = line.last;
    if (line.last === undefined) line.first = item;
    else line.last.next = item;
    line.last = item;
    line.rows += item.request.rows;
    this.count += 1;
    this.bytes += item.request.bytes;
  }

  remove(item: WaitingRequest): void {
    const key = item.request.stackKey ?? aloneKey;
    const line = this.lines.get(key);
    if (item.queue !== this || line === undefined) return;
    if (item.previous === undefined) line.first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) line.last = item.previous;
    else item.next.previous = item.previous;
    item.queue = item.previous = item.next = undefined;
    line.rows -= item.request.rows;
    this.count -= 1;
    this.bytes -= item.request.bytes;
    if (line.first === undefined && key !== plainKey) this.lines.delete(key);
  }

  /** The next batch: from the line that has waited longest, as many as fit. A request that is larger goes alone. */
  take(maxRows: number): WaitingRequest[] {
    const head = this.longestWaiting()?.first;
    if (head === undefined) return [];
    const batch: WaitingRequest[] = [];
    let rows = 0;
    for (let item: WaitingRequest | undefined = head; item !== undefined;) {
      rows += item.request.rows;
      if (batch.length > 0 && rows > maxRows) break;
      const { next }: WaitingRequest = item;
      this.remove(item);
      batch.push(item);
      if (item.request.stackKey === undefined) break;
      item = next;
    }
    return batch;
  }

  /** Would waiting make the next batch larger? Not when it is full, nor when its request runs alone anyway. */
  isNextFull(maxRows: number): boolean {
    const line = this.longestWaiting();
    return line?.first !== undefined && (line.rows >= maxRows || line.first.request.stackKey === undefined);
  }

  *[Symbol.iterator](): Generator<WaitingRequest> {
    for (const line of this.lines.values()) {
      for (let item = line.first; item !== undefined;) {
        const { next }: WaitingRequest = item;
        yield item;
        item = next;
      }
    }
  }

  private longestWaiting(): Line | undefined {
    let longest: Line | undefined;
    for (const line of this.lines.values()) {
      if (line.first === undefined) continue;
      if (longest?.first === undefined || line.first.enqueuedMs < longest.first.enqueuedMs) longest = line;
    }
    return longest;
  }
}

/** The key of versions whose requests cannot differ in shape; its line is kept when it is empty. */
export const plainKey = '';
const aloneKey = '\0';
