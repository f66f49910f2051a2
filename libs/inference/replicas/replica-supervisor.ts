import { randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, minutes, secondsToMs, sluiceError } from '#libs/kernel';
import { openPrivateFolder } from '#libs/platform';
import type { Change, Database } from '#libs/store';
import {
  mostReplicas,
  type VersionGroup,
  forgetLeaving,
  freeOrdinal,
  newGroup,
  serving,
  threadsOf,
} from './replica-supervisor-group.js';
import { ReplicaLedger, type WantedReplicas } from './replica-supervisor-ledger.js';
import { type LifeTimes, ReplicaLife } from './replica-supervisor-life.js';
import type { SpawnReplica } from './replica-supervisor-process.js';

export interface ReplicaSupervisorSettings {
  database: Database;
  /** Names this supervisor in the rows; the same after a restart, and no other's. */
  host: string;
  /** Holds the sockets of this supervisor and nothing else. */
  socketFolder: string;
  spawnReplica: SpawnReplica;
  /** Threads that the replicas of one version may use together, where its manifest does not say how many each has. */
  threads?: number | undefined;
  onProblem?: ((problem: string) => void) | undefined;
  times?: Partial<SupervisorTimes> | undefined;
}

export type SupervisorTimes = LifeTimes & BackOffTimes & ReplacementTimes;

interface BackOffTimes {
  firstBackOffMs: number;
  longestBackOffMs: number;
  /** A replica that was ready for so long starts the back-off anew. */
  healthyMs: number;
}

interface ReplacementTimes {
  /** How long a replica that was asked to go waits for its replacement before it goes without one. */
  replacementWaitMs: number;
  /** Least time between two replacements of one version's replicas for the memory that they hold. */
  memoryRestartMs: number;
}

const defaultTimes: SupervisorTimes = {
  startDeadlineMs: secondsToMs(minutes(5)),
  drainGraceMs: 300,
  drainDeadlineMs: secondsToMs(30),
  firstBackOffMs: 100,
  longestBackOffMs: secondsToMs(10),
  healthyMs: secondsToMs(30),
  replacementWaitMs: secondsToMs(minutes(1)),
  memoryRestartMs: secondsToMs(minutes(1)),
  memoryRowMs: secondsToMs(minutes(1)),
  watchEveryMs: secondsToMs(1),
  livenessMs: secondsToMs(20),
};

const loadFailureLimit = 5;
const databaseRetryMs = 1_000;
/** The kernel's limit is 108 with the closing zero on Linux and 104 on macOS. */
const socketPathLimitBytes = 100;
const socketNameLength = 12;

/**
 * Makes the living replicas of each version as many as `replica_sets` says, as child processes of this one. It goes on
 * from what it knew last while the database is away.
 */
export class ReplicaSupervisor implements AsyncDisposable {
  private readonly groups = new Map<string, VersionGroup>();
  private readonly drains = new Set<Promise<void>>();
  private readonly ledger: ReplicaLedger;
  private readonly times: SupervisorTimes;
  private reconciling: Promise<void> | undefined;
  private isAskedAgain = false;
  private hasEndedEarlierLives = false;
  private retryTimer: NodeJS.Timeout | undefined;
  private isStopping = false;

  /** @throws SLU_PLATFORM_SETTING when a socket in this folder would have too long a path */
  constructor(private readonly settings: ReplicaSupervisorSettings) {
    const bytes = Buffer.byteLength(this.socketPathOf('x'.repeat(socketNameLength)));
    if (bytes >= socketPathLimitBytes) {
      const problem = `sockets in it would have paths of ${bytes} bytes, and a Unix socket takes fewer than ${socketPathLimitBytes}: choose a shorter one`;
      throw sluiceError('SLU_PLATFORM_SETTING', { name: `socket folder ${settings.socketFolder}`, problem });
    }
    this.times = { ...defaultTimes, ...settings.times };
    this.ledger = new ReplicaLedger(settings.database, (problem) => settings.onProblem?.(problem));
  }

  /** Clears what an earlier life left, and starts what is wanted. */
  async start(): Promise<void> {
    const { socketFolder } = this.settings;
    await openPrivateFolder(socketFolder);
    const leftovers = (await readdir(socketFolder)).filter((name) => /\.(sock|live)$/.test(name));
    await Promise.all(leftovers.map((name) => rm(path.join(socketFolder, name), { force: true })));
    await this.reconcile();
  }

  /** Is this a change that asks for a reconciliation? Its own rows concern it only while they may still be drained. */
  concerns({ table, key }: Change): boolean {
    if (table === 'replica_sets') return true;
    return (
      table === 'replicas' && [...this.groups.values()].some((group) => serving(group).some(({ id }) => id === key))
    );
  }

  /** To be called for each change that concerns it. Calls during a reconciliation end with one more. */
  async reconcile(): Promise<void> {
    if (this.reconciling !== undefined) {
      this.isAskedAgain = true;
      return this.reconciling;
    }
    this.reconciling = this.reconcileUntilCalm().finally(() => {
      this.reconciling = undefined;
    });
    return this.reconciling;
  }

  /** Drains all replicas and ends. */
  async stop(): Promise<void> {
    this.isStopping = true;
    clearTimeout(this.retryTimer);
    await this.reconciling;
    for (const group of this.groups.values()) {
      clearTimeout(group.startTimer);
      clearTimeout(group.memoryTimer);
      for (const life of group.lives) this.drain(group, life);
    }
    await Promise.all(this.drains);
    await this.ledger.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private async reconcileUntilCalm(): Promise<void> {
    do {
      this.isAskedAgain = false;
      await this.reconcileOnce();
    } while (this.isAskedAgain && !this.isStopping);
  }

  private async reconcileOnce(): Promise<void> {
    clearTimeout(this.retryTimer);
    let wanted: WantedReplicas[];
    let draining: string[];
    try {
      wanted = await this.readWanted();
      draining = await this.ledger.draining(this.settings.host);
    } catch (error) {
      this.settings.onProblem?.(`the wanted replicas cannot be read: ${messageOf(error)}`);
      if (!this.isStopping) this.retryTimer = setTimeout(() => void this.reconcile(), databaseRetryMs);
      return;
    }
    if (this.isStopping) return;
    this.learn(wanted);
    for (const group of this.groups.values()) {
      const { replacementWaitMs } = this.times;
      for (const life of serving(group)) if (draining.includes(life.id)) this.letGo(group, life, replacementWaitMs);
      this.adjust(group);
    }
  }

  private async readWanted(): Promise<WantedReplicas[]> {
    if (!this.hasEndedEarlierLives) {
      const living = [...this.groups.values()].flatMap(({ lives }) => [...lives].map(({ id }) => id));
      await this.ledger.endEarlierLives(this.settings.host, living);
      this.hasEndedEarlierLives = true;
    }
    return this.ledger.wanted();
  }

  private learn(wanted: readonly WantedReplicas[]): void {
    const keys = new Set<string>();
    for (const version of wanted) {
      const key = `${version.model}/${version.version}`;
      keys.add(key);
      const group = this.groups.get(key);
      if (group === undefined) {
        if (version.desired > 0) this.groups.set(key, newGroup(version, this.times.firstBackOffMs));
        continue;
      }
      const isChanged =
        group.wanted.desired !== version.desired || group.wanted.updatedAt.getTime() !== version.updatedAt.getTime();
      group.wanted = version;
      // A new wish is a new chance for a version that could not start.
      if (isChanged) this.forgetFailures(group);
    }
    for (const [key, group] of this.groups) {
      if (!keys.has(key)) group.wanted = { ...group.wanted, desired: 0 };
    }
  }

  private forgetFailures(group: VersionGroup): void {
    group.loadFailures = 0;
    group.backOffMs = this.times.firstBackOffMs;
    clearTimeout(group.startTimer);
    group.startTimer = undefined;
  }

  private adjust(group: VersionGroup): void {
    if (this.isStopping) return;
    const desired = Math.min(group.wanted.desired, mostReplicas(group.wanted.manifest));
    if (desired < group.wanted.desired) this.refuseSurplus(group, desired);
    const staying = serving(group);
    // The last started are the first to go: they carry the least.
    for (const life of staying.slice(desired).toReversed()) this.drain(group, life);
    this.drainReplaced(group);
    const isWaiting = group.startTimer !== undefined || group.loadFailures >= loadFailureLimit;
    if (isWaiting) return;
    for (let missing = desired - staying.length; missing > 0; missing -= 1) this.startOne(group);
  }

  /**
   * It no longer counts, so that its replacement is started; it is drained when that one is ready, or after the wait, if
   * there is one.
   */
  private letGo(group: VersionGroup, life: ReplicaLife, waitMs?: number): void {
    // No request has ever been sent to one that is starting.
    if (life.state === 'starting') return this.drain(group, life);
    group.leaving.set(life, waitMs === undefined ? undefined : setTimeout(() => this.drain(group, life), waitMs));
  }

  private drainReplaced(group: VersionGroup): void {
    const readyCount = serving(group).filter(({ state }) => state === 'ready').length;
    if (readyCount < Math.min(group.wanted.desired, mostReplicas(group.wanted.manifest))) return;
    for (const life of group.leaving.keys()) this.drain(group, life);
  }

  private startOne(group: VersionGroup): void {
    const { model, version, artifactPath, manifest } = group.wanted;
    const ordinal = freeOrdinal(group);
    const replicaId = randomUUID();
    const socketPath = this.socketPathOf(replicaId.replaceAll('-', '').slice(0, socketNameLength));
    const life = new ReplicaLife({
      launch: {
        replicaId,
        model,
        version,
        artifactPath,
        socketPath,
        manifest,
        ordinal,
        threads: threadsOf(group.wanted, this.settings.threads ?? 1),
      },
      host: this.settings.host,
      ledger: this.ledger,
      spawn: this.settings.spawnReplica,
      times: this.times,
      onReady: () => {
        group.loadFailures = 0;
        this.drainReplaced(group);
      },
      onDeath: (dead, reason) => this.replace(group, dead, reason),
      onMemoryLimit: (heavy, reason) => {
        group.overLimit.set(heavy, reason);
        this.relieve(group);
      },
    });
    group.lives.add(life);
  }

  /** One row for each wish, so that who asked for more sees why there are no more. */
  private refuseSurplus(group: VersionGroup, most: number): void {
    const { model, version, desired, updatedAt } = group.wanted;
    if (group.refusedWish?.getTime() === updatedAt.getTime()) return;
    group.refusedWish = updatedAt;
    const reason = `${desired} replicas are wanted, and each of the ${most} targets is one: ${desired - most} are not started`;
    const { host } = this.settings;
    void this.ledger.record({
      id: randomUUID(),
      model,
      version,
      host,
      address: '-',
      pid: null,
      state: 'failed',
      reason,
      cause: null,
      runtime: null,
      residentBytes: null,
    });
  }

  /**
   * Replaces what holds too much memory, in order and one at a time: the new one first, then the old one goes. A model that
   * never fits would be replaced for ever, so there is a pause in between.
   */
  private relieve(group: VersionGroup): void {
    if (this.isStopping || group.memoryTimer !== undefined || group.overLimit.size === 0) return;
    group.memoryTimer = setTimeout(() => {
      group.memoryTimer = undefined;
      this.relieve(group);
    }, this.times.memoryRestartMs);
    // One more on its way would only take more memory.
    const isBusy = group.leaving.size > 0 || serving(group).some(({ state }) => state === 'starting');
    const [next] = group.overLimit;
    if (isBusy || next === undefined) return;
    const [life, reason] = next;
    group.overLimit.delete(life);
    if (life.state !== 'ready') return;
    const { model, version } = group.wanted;
    life.explain({ cause: 'memory', reason });
    this.settings.onProblem?.(`replica ${life.id} of ${model}/${version} ${reason}; it is being replaced`);
    // Too much memory is better than no answers: without a replacement it stays.
    this.letGo(group, life);
    this.adjust(group);
  }

  private drain(group: VersionGroup, life: ReplicaLife): void {
    forgetLeaving(group, life);
    group.overLimit.delete(life);
    const drain = life.drain().finally(() => {
      group.lives.delete(life);
      this.drains.delete(drain);
    });
    this.drains.add(drain);
  }

  private replace(group: VersionGroup, dead: ReplicaLife, reason: string): string {
    group.lives.delete(dead);
    forgetLeaving(group, dead);
    group.overLimit.delete(dead);
    if (dead.readyAtMs === undefined) group.loadFailures += 1;
    else if (performance.now() - dead.readyAtMs >= this.times.healthyMs) group.backOffMs = this.times.firstBackOffMs;
    if (group.loadFailures >= loadFailureLimit) {
      return `${reason}; ${group.loadFailures} starts in a row have failed, so no more is tried until the wanted number changes`;
    }
    this.startLater(group);
    return reason;
  }

  private startLater(group: VersionGroup): void {
    if (this.isStopping || group.startTimer !== undefined) return;
    group.startTimer = setTimeout(() => {
      group.startTimer = undefined;
      this.adjust(group);
    }, group.backOffMs);
    group.backOffMs = Math.min(this.times.longestBackOffMs, group.backOffMs * 2);
  }

  private socketPathOf(name: string): string {
    return path.join(path.resolve(this.settings.socketFolder), `${name}.sock`);
  }
}
