import type { Flow, Line } from './batcher-line.js';
import type { RequestQueue } from './batcher-queue.js';
import type { WaitingRequest } from './batcher-request.js';

/**
 * One priority. Its tenants take turns by rows with start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair
 * Queuing", SIGCOMM 1996): the flow with the smallest start tag is next, and its tag grows by the rows it gets. A flow
 * that is passed over for the shape of its requests keeps its tag, and so leads the next batch.
 */
export class Level {
  /** Those with something waiting. */
  readonly flows: Flow[] = [];
  count = 0;
  private virtualTime = 0;
  private period = 0;
  private turns = 0;

  constructor(
    readonly queue: RequestQueue,
    readonly index: number,
  ) {}

  entered(flow: Flow): void {
    this.count += 1;
    flow.count += 1;
    if (flow.index >= 0) return;
    // Whoever comes back starts where the others are: time away earns no credit, and what was had is not forgotten.
    flow.tag = flow.period === this.period ? Math.max(flow.tag, this.virtualTime) : this.virtualTime;
    flow.period = this.period;
    flow.turn = this.turns++;
    flow.index = this.flows.length;
    this.flows.push(flow);
  }

  left(flow: Flow): void {
    this.count -= 1;
    flow.count -= 1;
    if (flow.count > 0) return;
    const last = this.flows.pop()!;
    if (last !== flow) {
      this.flows[flow.index] = last;
      last.index = flow.index;
    }
    flow.index = -1;
    if (this.count > 0) return;
    // Nobody waits, so nobody is owed anything.
    this.period += 1;
    this.virtualTime = 0;
  }

  served(flow: Flow, rows: number): void {
    if (flow.tag > this.virtualTime) this.virtualTime = flow.tag;
    flow.tag += Math.max(1, rows);
  }

  /** Can this flow be forgotten without a loss to anybody? */
  isSettledWith(flow: Flow): boolean {
    return flow.index < 0 && (flow.period !== this.period || flow.tag <= this.virtualTime);
  }

  get leader(): Flow | undefined {
    let leader: Flow | undefined;
    for (const flow of this.flows) {
      if (leader === undefined || flow.tag < leader.tag || (flow.tag === leader.tag && flow.turn < leader.turn))
        leader = flow;
    }
    return leader;
  }

  get oldest(): WaitingRequest | undefined {
    let oldest: WaitingRequest | undefined;
    for (const flow of this.flows) {
      const head = flow.oldest;
      if (head !== undefined && (oldest === undefined || head.enqueuedMs < oldest.enqueuedMs)) oldest = head;
    }
    return oldest;
  }

  /** Offers the requests of one key in the order of turns, until `take` refuses one. @returns false when it did */
  offer(key: string, take: (item: WaitingRequest) => boolean): boolean {
    const lines = this.linesOf(key);
    if (lines.length === 1) return offerLine(lines[0]!, take);
    for (;;) {
      const flow = nextPlanned(lines);
      if (flow === undefined) return true;
      const item = flow.cursor!;
      if (!take(item)) return false;
      flow.cursor = item.next;
      flow.plannedTag += Math.max(1, item.request.rows);
    }
  }

  private linesOf(key: string): Line[] {
    const lines: Line[] = [];
    for (const flow of this.flows) {
      const line = flow.line(key);
      if (line?.first === undefined) continue;
      flow.cursor = line.first;
      flow.plannedTag = flow.tag;
      lines.push(line);
    }
    return lines;
  }
}

function offerLine(line: Line, take: (item: WaitingRequest) => boolean): boolean {
  for (let item = line.first; item !== undefined; item = item.next) {
    if (!take(item)) return false;
  }
  return true;
}

function nextPlanned(lines: readonly Line[]): Flow | undefined {
  let next: Flow | undefined;
  for (const { flow } of lines) {
    if (flow.cursor === undefined) continue;
    if (
      next === undefined ||
      flow.plannedTag < next.plannedTag ||
      (flow.plannedTag === next.plannedTag && flow.turn < next.turn)
    )
      next = flow;
  }
  return next;
}
