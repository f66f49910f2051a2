import type { Logger } from '#libs/platform';
import type { Clock } from '#libs/kernel';
import type { Replica } from './ports/replica.js';
import type { LiveReplicas } from './serving-state-tables.js';

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
  /** Called when there may be room for work that there was not before. */
  onRoom: () => void;
}

/** `idle`: on a replica without a run. `ahead`: behind another run as well. `alone`: idle, and nobody else beside it. */
export type Claim = 'idle' | 'ahead' | 'alone';

const defaultRunsPerReplica = 2;
const defaultProbeEveryMs = 250;

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
  probeTimer: NodeJS.Timeout | undefined;

  constructor(readonly replica: Replica) {}

  get isIdle(): boolean {
    return this.running === 0 && this.shared === 0;
  }
}

/** The replicas of one version: in step with the serving state, least busy first, lost ones out until they answer again. */
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

  /** The least busy replica with room, or undefined. */
  claim(claim: Claim): PooledReplica | undefined {
    const limit = claim === 'ahead' ? this.runsPerReplica : 1;
    let best: PooledReplica | undefined;
    for (const member of this.members.values()) {
      if (!member.isUp || member.isLeaving || member.isTakenAlone) continue;
      if (member.running >= limit) continue;
      if (best === undefined || member.running < best.running) best = member;
    }
    if (best === undefined) return undefined;
    best.running += 1;
    best.isTakenAlone = claim === 'alone';
    return best;
  }

  /**
   * For calls that a replica takes many of at a time, beside its runs: the less busy of two that chance draws, as long as
   * it holds fewer than `limit`. Two draws are nearly as even as asking all, and processes that share replicas do not all
   * pick the same one (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
   */
  claimShared(limit: number, random: () => number, except?: PooledReplica): PooledReplica | undefined {
    const free: PooledReplica[] = [];
    for (const member of this.members.values()) {
      if (member.isUp && !member.isLeaving && member !== except && member.shared < limit) free.push(member);
    }
    if (free.length === 0) return undefined;
    const first = Math.floor(random() * free.length);
    const second = free.length === 1 ? 0 : (first + 1 + Math.floor(random() * (free.length - 1))) % free.length;
    const best = free[second]!.shared < free[first]!.shared ? free[second]! : free[first]!;
    best.shared += 1;
    return best;
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
    this.members.set(place.id, member);
    this.track(this.probe(member));
  }

  private leave(id: string, member: PooledReplica, atOnce = false): void {
    this.members.delete(id);
    member.isLeaving = true;
    clearTimeout(member.probeTimer);
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
    this.hasAnswered = true;
    this.upCount += 1;
    this.settings.onRoom();
  }

  private probeLater(member: PooledReplica): void {
    member.probeTimer = setTimeout(
      () => this.track(this.probe(member)),
      this.settings.probeEveryMs ?? defaultProbeEveryMs,
    );
    member.probeTimer.unref();
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
