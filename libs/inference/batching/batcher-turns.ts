/** One that takes turns with others, and where it stands in turn. */
export class Turn {
  /** How much of its own waits. */
  count = 0;
  /** Start tag of its next request (start-time fair queueing): the rows it has been served, in the time of its turns. */
  tag = 0;
  /** The busy period of the turns that the tag belongs to. */
  period = -1;
  /** Its place among the active ones; -1 when nothing waits. */
  index = -1;
  /** When it last became active: who has come first goes first among equals. */
  turn = 0;
  /** While a batch is planned: its tag then. */
  plannedTag = 0;
}

/**
 * Turns by rows with start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): the one with
 * the smallest start tag is next, and its tag grows by the rows it gets. Who is passed over for the shape of its requests
 * keeps its tag, and so leads the next batch.
 */
export class Turns<Member extends Turn> {
  /** Those with something waiting. */
  readonly active: Member[] = [];
  private count = 0;
  private virtualTime = 0;
  private period = 0;
  private turns = 0;

  entered(member: Member): void {
    this.count += 1;
    member.count += 1;
    if (member.index >= 0) return;
    // Whoever comes back starts where the others are: time away earns no credit, and what was had is not forgotten.
    member.tag = member.period === this.period ? Math.max(member.tag, this.virtualTime) : this.virtualTime;
    member.period = this.period;
    member.turn = this.turns++;
    member.index = this.active.length;
    this.active.push(member);
  }

  left(member: Member): void {
    this.count -= 1;
    member.count -= 1;
    if (member.count > 0) return;
    const last = this.active.pop()!;
    if (last !== member) {
      this.active[member.index] = last;
      last.index = member.index;
    }
    member.index = -1;
    if (this.count > 0) return;
    // Nobody waits, so nobody is owed anything.
    this.period += 1;
    this.virtualTime = 0;
  }

  served(member: Member, rows: number): void {
    if (member.tag > this.virtualTime) this.virtualTime = member.tag;
    member.tag += Math.max(1, rows);
  }

  /** Can this one be forgotten without a loss to anybody? */
  isSettledWith(member: Member): boolean {
    return member.index < 0 && (member.period !== this.period || member.tag <= this.virtualTime);
  }

  get leader(): Member | undefined {
    let leader: Member | undefined;
    for (const member of this.active) {
      if (leader === undefined || member.tag < leader.tag || (member.tag === leader.tag && member.turn < leader.turn))
        leader = member;
    }
    return leader;
  }
}

/** Who is next, of those that may be, while a batch is planned. */
export function nextPlanned<Member extends Turn>(
  members: readonly Member[],
  mayBe: (member: Member) => boolean,
): Member | undefined {
  let next: Member | undefined;
  for (const member of members) {
    if (
      next !== undefined &&
      (member.plannedTag > next.plannedTag || (member.plannedTag === next.plannedTag && member.turn > next.turn))
    )
      continue;
    if (mayBe(member)) next = member;
  }
  return next;
}
