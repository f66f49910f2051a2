import { secondsToMs, type Clock } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { systemTimers, type LaneTimers } from '../batching/batcher-timers.js';
import type { Replica } from '../ports/replica.js';
import type { LiveReplicas } from '../routes/serving-state-tables.js';

export interface ReplicaPlace {
  readonly id: string;
  readonly address: string;
  readonly model: string;
  readonly version: string;
}

export interface ReplicaPoolSettings {
  open: (place: ReplicaPlace) => Replica;
  log: Logger;
  clock: Clock;
  /** Runs that one replica may hold at a time when the next one is sent ahead, which hides the way there and back. */
  runsPerReplica?: number;
  probeEveryMs?: number;
  /** How long a new replica takes to get a full share beside grown ones; enough runs make it grown earlier. */
  rampMs?: number;
  rampRuns?: number;
  random?: (() => number) | undefined;
  timers?: LaneTimers | undefined;
  /** Called when there may be room for work that there was not before. */
  onRoom: () => void;
}

/** `idle`: on a replica without a run. `ahead`: behind another run as well. `alone`: idle, and nobody else beside it. */
export type Claim = 'idle' | 'ahead' | 'alone';

const defaultRunsPerReplica = 2;
const defaultProbeEveryMs = 250;
const defaultRampMs = secondsToMs(5);
const defaultRampRuns = 50;
/** What a replica gets in its first moment: enough to warm up on, too little to be felt. */
const firstShare = 0.1;

/** One replica as this process sees it. */
export class PooledReplica {
  running = 0;
  /** Calls that share it. */
  shared = 0;
  /** It has answered a health check since it was last lost. */
  isUp = false;
  /** It gets no new work and is closed when idle. */
  isLeaving = false;
  /** A run that may kill its replica has it for itself. */
  isTakenAlone = false;
  /** When it last came up, and how many runs it was given since. */
  upSinceMs = 0;
  runs = 0;
  /** It gets a full share. */
  isGrown = false;
  callOffProbe: (() => void) | undefined;

  constructor(readonly replica: Replica) {}

  get isIdle(): boolean {
    return this.running === 0 && this.shared === 0;
  }
}

/**
 * The replicas of one version: in step with the serving state, the less busy of two first, lost ones out until they answer
 * again. Two random ones and no survey of all (Mitzenmacher: "The Power of Two Choices in Randomized Load Balancing",
 * IEEE TPDS 2001): several API processes that each see only their own runs do not all fall upon the same replica.
 */
export class ReplicaPool implements AsyncDisposable {
  private readonly members = new Map<string, PooledReplica>();
  private readonly unfinished = new Set<Promise<void>>();
  private readonly runsPerReplica: number;
  private isClosed = false;
  /** Some replica shall be there, or is coming: waiting makes sense. */
  isExpected = false;
  /** Some replica of this version has once answered this process. */
  hasAnswered = false;
  upCount = 0;
  /** Monotonic time since which none is up. */
  downSinceMs: number;

  constructor(private readonly settings: ReplicaPoolSettings) {
    this.runsPerReplica = settings.runsPerReplica ?? defaultRunsPerReplica;
    this.downSinceMs = settings.clock.monotonicMs();
  }

  get size(): number {
    return this.members.size;
  }

  get runningCount(): number {
    let sum = 0;
    for (const member of this.members.values()) sum += member.running + member.shared;
    return sum;
  }

  /** Takes over what the serving state says now. */
  follow(live: LiveReplicas | undefined): void {
    const places = live?.places ?? [];
    this.isExpected = (live?.desired ?? 0) > 0 || places.some(({ state }) => state === 'starting' || state === 'ready');
    const stay = new Set<string>();
    for (const place of places) {
      if (place.state !== 'ready') continue;
      stay.add(place.id);
      const member = this.members.get(place.id);
      if (member === undefined) this.enter(place);
    }
    for (const [id, member] of this.members) {
      if (!stay.has(id)) this.leave(id, member);
    }
  }

  /** A replica with room for such a claim, or undefined. Nothing is claimed yet. */
  pick(claim: Claim): PooledReplica | undefined {
    const ownLimit = claim === 'ahead' ? this.runsPerReplica : 1;
    let first: PooledReplica | undefined;
    let more: PooledReplica[] | undefined;
    for (const member of this.members.values()) {
      if (!member.isUp || member.isLeaving || member.isTakenAlone || member.running >= limitOf(member, claim, ownLimit))
        continue;
      if (first === undefined) first = member;
      else (more ??= [first]).push(member);
    }
    return more === undefined ? first : this.lessBusyOfTwo(more);
  }

  /** To be called at once after `pick`, and followed by one `release`. */
  take(member: PooledReplica, claim: Claim): void {
    member.running += 1;
    member.runs += 1;
    member.isTakenAlone = claim === 'alone';
  }

  /**
   * The part of a full load that a replica may have: below 1 while it is new and others are grown. A cold one answers its
   * first runs slowly, and whoever is in them waits.
   */
  shareOf(member: PooledReplica): number {
    if (member.isGrown) return 1;
    const { clock, rampMs = defaultRampMs, rampRuns = defaultRampRuns } = this.settings;
    const grown = Math.max((clock.monotonicMs() - member.upSinceMs) / rampMs, member.runs / rampRuns);
    if (grown >= 1) member.isGrown = true;
    if (member.isGrown || !this.hasGrown()) return 1;
    return firstShare + (1 - firstShare) * grown;
  }

  /**
   * For calls that a replica takes many of at a time, beside its runs: the less busy of two, as long as it holds fewer than
   * `limit`. To be followed by one `releaseShared`.
   */
  claimShared(limit: number, except?: PooledReplica): PooledReplica | undefined {
    const free: PooledReplica[] = [];
    for (const member of this.members.values()) {
      if (!member.isUp || member.isLeaving || member === except || member.shared >= limit) continue;
      // Where there is a limit of its own, what is above it waits there in its turn.
      if (member.replica.mostRuns !== 0) free.push(member);
    }
    const claimed = free.length < 2 ? free[0] : this.lessSharedOfTwo(free);
    if (claimed === undefined) return undefined;
    claimed.shared += 1;
    claimed.runs += 1;
    return claimed;
  }

  releaseShared(member: PooledReplica): void {
    member.shared -= 1;
    if (member.isLeaving && member.isIdle) this.close(member);
  }

  release(member: PooledReplica): void {
    member.running -= 1;
    member.isTakenAlone = false;
    if (member.isLeaving && member.isIdle) this.close(member);
  }

  /** Takes a replica out at once; a health check may bring it back. */
  lose(member: PooledReplica): void {
    if (!member.isUp) return;
    this.setDown(member);
    if (!member.isLeaving) this.probeLater(member);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    this.isExpected = false;
    for (const [id, member] of this.members) this.leave(id, member, true);
    await Promise.all(this.unfinished);
  }

  private enter(place: ReplicaPlace): void {
    const member = new PooledReplica(this.settings.open(place));
    member.replica.onOut?.(() => this.lose(member));
    this.members.set(place.id, member);
    this.track(this.probe(member));
  }

  private leave(id: string, member: PooledReplica, atOnce = false): void {
    this.members.delete(id);
    member.isLeaving = true;
    member.callOffProbe?.();
    this.setDown(member);
    if (member.isIdle || atOnce) this.close(member);
  }

  private close(member: PooledReplica): void {
    this.track(member.replica[Symbol.asyncDispose]());
  }

  // A ready row says that the supervisor saw it ready; only an answer to this process proves that work can go there.
  private async probe(member: PooledReplica): Promise<void> {
    const isReady = await member.replica.isReady();
    if (member.isLeaving || this.isClosed) return;
    if (!isReady) {
      this.probeLater(member);
      return;
    }
    member.isUp = true;
    member.upSinceMs = this.settings.clock.monotonicMs();
    member.runs = 0;
    member.isGrown = false;
    this.hasAnswered = true;
    this.upCount += 1;
    this.settings.onRoom();
  }

  private probeLater(member: PooledReplica): void {
    const { timers = systemTimers, probeEveryMs = defaultProbeEveryMs } = this.settings;
    member.callOffProbe = timers.after(probeEveryMs, () => this.track(this.probe(member)));
  }

  private lessBusyOfTwo(members: readonly PooledReplica[]): PooledReplica {
    const random = this.settings.random ?? Math.random;
    const at = Math.floor(random() * members.length);
    const beside = (at + 1 + Math.floor(random() * (members.length - 1))) % members.length;
    const [one, other] = [members[at]!, members[beside]!];
    const [shareOfOne, shareOfOther] = [this.shareOf(one), this.shareOf(other)];
    // Beside one with a full share, a new one is taken as often as its own share says.
    if (shareOfOne < shareOfOther) return random() < shareOfOne / 2 ? one : other;
    if (shareOfOther < shareOfOne) return random() < shareOfOther / 2 ? other : one;
    return other.running < one.running ? other : one;
  }

  private lessSharedOfTwo(members: readonly PooledReplica[]): PooledReplica {
    const random = this.settings.random ?? Math.random;
    const at = Math.floor(random() * members.length);
    const beside = (at + 1 + Math.floor(random() * (members.length - 1))) % members.length;
    const [one, other] = [members[at]!, members[beside]!];
    // What one holds counts for more while it may have only a part of a full load.
    const load = (member: PooledReplica): number => (member.shared + 1) / this.shareOf(member);
    return load(other) < load(one) ? other : one;
  }

  private hasGrown(): boolean {
    for (const { isGrown, isUp } of this.members.values()) if (isGrown && isUp) return true;
    return false;
  }

  private setDown(member: PooledReplica): void {
    if (!member.isUp) return;
    member.isUp = false;
    this.upCount -= 1;
    if (this.upCount === 0) this.downSinceMs = this.settings.clock.monotonicMs();
  }

  private track(work: PromiseLike<void>): void {
    const tracked = Promise.resolve(work)
      .catch((error: unknown) => this.settings.log.warn({ err: error }, 'a replica connection did not close cleanly'))
      .finally(() => this.unfinished.delete(tracked));
    this.unfinished.add(tracked);
  }
}

// A server that runs many at once is idle as long as it has room. A run that is to be alone is alone there as well.
function limitOf({ replica }: PooledReplica, claim: Claim, ownLimit: number): number {
  const { mostRuns } = replica;
  if (mostRuns === undefined) return ownLimit;
  return claim === 'alone' ? Math.min(1, mostRuns) : mostRuns;
}
