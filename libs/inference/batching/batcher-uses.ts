import type { Flow } from './batcher-line.js';
import type { TenantFlow } from './batcher-level.js';
import type { WaitingRequest } from './batcher-request.js';

const firstSweepAt = 256;

/** What one has waiting at all priorities. */
export abstract class Use {
  requests = 0;
  bytes = 0;

  constructor(readonly name: string) {}

  /** Can it be forgotten without a loss to anybody? */
  abstract readonly isSettled: boolean;
  /** The request that costs it least to lose: the last one that came, of the least urgent. */
  abstract leastUrgent(resource: Resource): WaitingRequest | undefined;
}

export type Resource = 'requests' | 'bytes';

/** A caller within its tenant. */
export class CallerUse extends Use {
  /** By level index. */
  readonly flows: (Flow | undefined)[] = [];

  get isSettled(): boolean {
    return (
      this.requests === 0 && this.flows.every((flow) => flow === undefined || flow.tenant.callers.isSettledWith(flow))
    );
  }

  leastUrgent(): WaitingRequest | undefined {
    return this.flows.findLast((flow) => flow !== undefined && flow.count > 0)?.newest;
  }
}

/** A tenant with its callers. What it gives up, that one of them gives up that has most. */
export class TenantUse extends Use {
  /** By level index. */
  readonly flows: (TenantFlow | undefined)[] = [];
  readonly callers = new Uses((name) => new CallerUse(name));

  get isSettled(): boolean {
    return this.requests === 0 && this.flows.every((flow) => flow === undefined || flow.level.isSettledWith(flow));
  }

  leastUrgent(resource: Resource): WaitingRequest | undefined {
    return this.callers.largest(resource)?.leastUrgent();
  }
}

/** Those that share something, by their names. */
export class Uses<Member extends Use> {
  /** How many have something waiting. */
  waiting = 0;
  private readonly members = new Map<string, Member>();
  private last: Member | undefined;
  private sweepAt = firstSweepAt;

  constructor(private readonly make: (name: string) => Member) {}

  find(name: string): Member | undefined {
    return this.members.get(name);
  }

  of(name: string): Member {
    if (this.last?.name === name) return this.last;
    let member = this.members.get(name);
    if (member === undefined) {
      if (this.members.size >= this.sweepAt) this.sweep();
      this.members.set(name, (member = this.make(name)));
    }
    this.last = member;
    return member;
  }

  took(member: Member, bytes: number): void {
    if (member.requests === 0) this.waiting += 1;
    member.requests += 1;
    member.bytes += bytes;
  }

  gave(member: Member, bytes: number): void {
    member.requests -= 1;
    member.bytes -= bytes;
    if (member.requests === 0) this.waiting -= 1;
  }

  largest(resource: Resource): Member | undefined {
    let largest: Member | undefined;
    for (const member of this.members.values()) {
      if (member.requests === 0) continue;
      if (largest === undefined || member[resource] > largest[resource]) largest = member;
    }
    return largest;
  }

  /** Among how many it is shared when this one has a part as well. */
  sharersWith(member: Member | undefined): number {
    return this.waiting + (member === undefined || member.requests === 0 ? 1 : 0);
  }

  private sweep(): void {
    this.last = undefined;
    for (const [name, member] of this.members) if (member.isSettled) this.members.delete(name);
    this.sweepAt = Math.max(firstSweepAt, this.members.size * 2);
  }
}
