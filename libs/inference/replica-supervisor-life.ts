import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { ReplicaState } from '#libs/store';
import type { ReplicaLedger } from './replica-supervisor-ledger.js';
import type { ReplicaLaunch, ReplicaProcess, SpawnReplica } from './replica-supervisor-process.js';

export interface LifeTimes {
  /** A process that is not ready by then counts as failed to load. */
  startDeadlineMs: number;
  /** From the row saying "draining" to the signal: the time in which every API stops sending. */
  drainGraceMs: number;
  /** How long the requests in flight may take before the process is killed. */
  drainDeadlineMs: number;
}

export interface LifeSettings {
  launch: ReplicaLaunch;
  host: string;
  ledger: ReplicaLedger;
  spawn: SpawnReplica;
  times: LifeTimes;
  onReady(life: ReplicaLife): void;
  /** It ended though nobody asked it to. @returns the reason to write into its row */
  onDeath(life: ReplicaLife, reason: string): string;
}

/** One replica from its start to its end: one process, one row, one socket. */
export class ReplicaLife {
  state: ReplicaState = 'starting';
  /** When it became ready, on the monotonic clock. */
  readyAtMs: number | undefined;
  private readonly process: ReplicaProcess;
  private readonly startTimer: NodeJS.Timeout;
  private readonly ended: Promise<void>;
  private isOverdue = false;
  private draining: Promise<void> | undefined;

  constructor(private readonly settings: LifeSettings) {
    const { launch, spawn, times } = settings;
    this.process = spawnSafely(spawn, launch);
    this.startTimer = setTimeout(() => {
      if (this.process.isPatient === true) return;
      this.isOverdue = true;
      this.process.kill();
    }, times.startDeadlineMs);
    void this.record('starting', null);
    this.process.onNotice?.((notice) => {
      if (this.state === 'starting' || this.state === 'ready') void this.record(this.state, notice);
    });
    void this.process.ready.then(() => this.becomeReady());
    this.ended = this.process.ended.then((reason) => this.end(reason));
  }

  get id(): string {
    return this.settings.launch.replicaId;
  }

  get ordinal(): number {
    return this.settings.launch.ordinal;
  }

  /** Takes it out of traffic, lets it finish, and ends it. Resolves when it is gone and its row says so. */
  drain(): Promise<void> {
    this.draining ??= this.drainOnce();
    return this.draining;
  }

  private async drainOnce(): Promise<void> {
    const { drainGraceMs, drainDeadlineMs } = this.settings.times;
    if (this.state === 'ready') {
      this.state = 'draining';
      await Promise.race([this.record('draining', null), pause(longestRowWaitMs, undefined, { ref: false })]);
      await Promise.race([pause(drainGraceMs, undefined, { ref: false }), this.ended]);
    } else if (this.state === 'starting') {
      // No request has ever been sent to it.
      this.state = 'draining';
    }
    this.process.terminate();
    const killTimer = setTimeout(() => this.process.kill(), drainDeadlineMs);
    await this.ended;
    clearTimeout(killTimer);
  }

  private becomeReady(): void {
    clearTimeout(this.startTimer);
    if (this.state !== 'starting') return;
    this.state = 'ready';
    this.readyAtMs = performance.now();
    void this.record('ready', null);
    this.settings.onReady(this);
  }

  private async end(reason: string): Promise<void> {
    clearTimeout(this.startTimer);
    const { launch, times } = this.settings;
    const wasAsked = this.state === 'draining';
    if (wasAsked) {
      this.state = 'stopped';
      await this.record('stopped', null);
    } else {
      const cause = this.isOverdue ? `was not ready after ${times.startDeadlineMs / 1_000} s` : reason;
      const rowReason = this.settings.onDeath(this, cause);
      this.state = 'failed';
      await this.record('failed', rowReason);
    }
    // A socket that stays is removed at the next start.
    await rm(launch.socketPath, { force: true }).catch(() => undefined);
  }

  private record(state: ReplicaState, reason: string | null): Promise<void> {
    const { launch, host, ledger } = this.settings;
    const { replicaId: id, model, version, socketPath } = launch;
    return ledger.record({
      id,
      model,
      version,
      host,
      address: this.process.address ?? `unix:${socketPath}`,
      pid: this.process.pid ?? null,
      state,
      reason,
    });
  }
}

/** With the database away nobody would see the row; the drain goes on without it. */
const longestRowWaitMs = 1_000;

/** A process that cannot be spawned (no memory, no handles) is one that ended at once. */
function spawnSafely(spawn: SpawnReplica, launch: ReplicaLaunch): ReplicaProcess {
  try {
    return spawn(launch);
  } catch (error) {
    const reason = `could not be started: ${error instanceof Error ? error.message : String(error)}`;
    const nothing = (): void => undefined;
    return {
      pid: undefined,
      ready: new Promise(nothing),
      ended: Promise.resolve(reason),
      terminate: nothing,
      kill: nothing,
    };
  }
}
