import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { mebibytes, messageOf } from '#libs/kernel';
import type { ReplicaCause, ReplicaState } from '#libs/store';
import type { ReplicaLedger } from './replica-supervisor-ledger.js';
import {
  livenessPathOf,
  type ReplicaLaunch,
  type ReplicaProcess,
  type SpawnReplica,
} from './replica-supervisor-process.js';
import { ReplicaWatch, type WatchTimes } from './replica-supervisor-watch.js';

export interface LifeTimes extends WatchTimes {
  /** A process that is not ready by then counts as failed to load. */
  startDeadlineMs: number;
  /** From the row saying "draining" to the signal: the time in which every API stops sending. */
  drainGraceMs: number;
  /** How long the requests in flight may take before the process is killed. */
  drainDeadlineMs: number;
  /** Between two writings of the memory that a replica holds. */
  memoryRowMs: number;
}

/** Why a replica ends, for its row. */
export interface EndReason {
  cause: ReplicaCause;
  reason: string;
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
  /** It holds more memory than its manifest allows. */
  onMemoryLimit(life: ReplicaLife, reason: string): void;
}

/** One replica from its start to its end: one process, one row, one socket. */
export class ReplicaLife {
  state: ReplicaState = 'starting';
  /** When it became ready, on the monotonic clock. */
  readyAtMs: number | undefined;
  private readonly process: ReplicaProcess;
  private startTimer: NodeJS.Timeout | undefined;
  private readonly ended: Promise<void>;
  private watch: ReplicaWatch | undefined;
  /** Why it was killed, or is to be replaced, by whoever watches it. */
  private verdict: EndReason | undefined;
  /** What it waits for before it is started. */
  private preparation: string | undefined;
  /** What people should know about it while it lives. */
  private notice: string | null = null;
  private residentBytes: number | undefined;
  private memoryRowAtMs = -Infinity;
  private draining: Promise<void> | undefined;

  constructor(private readonly settings: LifeSettings) {
    const { launch, spawn } = settings;
    this.process = spawnSafely(spawn, launch);
    this.preparation = this.process.preparation;
    if (this.process.prepared === undefined) this.beginStart();
    else void this.process.prepared.then(() => this.endPreparation());
    void this.record('starting');
    this.process.onNotice?.((notice) => {
      this.notice = notice;
      if (this.state === 'starting' || this.state === 'ready') void this.record(this.state);
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

  /** It is going to be replaced. The reason stands in its row from now on, and at its end. */
  explain(verdict: EndReason): void {
    this.verdict = verdict;
    void this.record(this.state);
  }

  /** Takes it out of traffic, lets it finish, and ends it. Resolves when it is gone and its row says so. */
  drain(): Promise<void> {
    this.draining ??= this.drainOnce();
    return this.draining;
  }

  private async drainOnce(): Promise<void> {
    this.watch?.stop();
    const { drainGraceMs, drainDeadlineMs } = this.settings.times;
    if (this.state === 'ready') {
      this.state = 'draining';
      await Promise.race([this.record('draining'), pause(longestRowWaitMs, undefined, { ref: false })]);
      await Promise.race([pause(drainGraceMs, undefined, { ref: false }), this.ended]);
    } else if (this.state === 'starting') {
      // No request has ever been sent to it.
      this.state = 'draining';
    }
    this.process.terminate();
    const killTimer = setTimeout(() => {
      this.verdict ??= { cause: 'drain', reason: `had not ended after ${drainDeadlineMs / 1_000} s and was killed` };
      this.process.kill();
    }, drainDeadlineMs);
    await this.ended;
    clearTimeout(killTimer);
  }

  private endPreparation(): void {
    // It may have failed, or been asked to go, or be ready already.
    if (this.state !== 'starting' || this.process.pid === undefined) return;
    this.preparation = undefined;
    this.beginStart();
    void this.record('starting');
  }

  private beginStart(): void {
    const { startDeadlineMs } = this.settings.times;
    this.startTimer = setTimeout(
      () => this.condemn({ cause: 'start-deadline', reason: `was not ready after ${startDeadlineMs / 1_000} s` }),
      startDeadlineMs,
    );
  }

  private becomeReady(): void {
    clearTimeout(this.startTimer);
    if (this.state !== 'starting') return;
    this.state = 'ready';
    this.readyAtMs = performance.now();
    const { launch, times, onReady, onMemoryLimit } = this.settings;
    const memoryLimitBytes = launch.manifest.instances?.memoryLimitBytes;
    void this.record('ready');
    this.watch = new ReplicaWatch({
      process: this.process,
      times,
      memoryLimitBytes,
      onHang: (reason) => this.condemn({ cause: 'liveness', reason }),
      onMemory: (bytes) => this.noteMemory(bytes),
      onMemoryLimit: (bytes) => {
        this.residentBytes = bytes;
        onMemoryLimit(
          this,
          `holds ${inMebibytes(bytes)} MiB, more than the ${inMebibytes(memoryLimitBytes ?? 0)} MiB of instances.memoryLimitBytes`,
        );
      },
    });
    onReady(this);
  }

  private condemn(verdict: EndReason): void {
    this.verdict = verdict;
    this.process.kill();
  }

  // Each writing of a row is read by every API, so not every look is worth one.
  private noteMemory(bytes: number): void {
    this.residentBytes = bytes;
    if (performance.now() - this.memoryRowAtMs < this.settings.times.memoryRowMs) return;
    this.memoryRowAtMs = performance.now();
    void this.record(this.state);
  }

  private async end(reason: string): Promise<void> {
    clearTimeout(this.startTimer);
    this.watch?.stop();
    if (this.state === 'draining') {
      this.verdict ??= { cause: 'drain', reason: '' };
      this.state = 'stopped';
    } else {
      this.verdict = this.verdict?.cause === 'memory' || this.verdict === undefined ? this.crash(reason) : this.verdict;
      this.verdict = { ...this.verdict, reason: this.settings.onDeath(this, this.verdict.reason) };
      this.state = 'failed';
    }
    await this.record(this.state);
    const { socketPath } = this.settings.launch;
    // A socket that stays is removed at the next start.
    for (const left of [socketPath, livenessPathOf(socketPath)]) await rm(left, { force: true }).catch(() => undefined);
  }

  private crash(reason: string): EndReason {
    return { cause: this.readyAtMs === undefined ? 'load' : 'crash', reason };
  }

  private record(state: ReplicaState): Promise<void> {
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
      reason: this.verdict?.reason || (this.state === 'draining' ? null : (this.notice ?? this.preparation ?? null)),
      cause: this.verdict?.cause ?? null,
      runtime: this.process.runtime ?? null,
      residentBytes: this.residentBytes ?? null,
    });
  }
}

const inMebibytes = (bytes: number): number => Math.round(bytes / mebibytes(1));

/** With the database away nobody would see the row; the drain goes on without it. */
const longestRowWaitMs = 1_000;

/** A process that cannot be spawned (no memory, no handles) is one that ended at once. */
function spawnSafely(spawn: SpawnReplica, launch: ReplicaLaunch): ReplicaProcess {
  try {
    return spawn(launch);
  } catch (error) {
    const reason = `could not be started: ${messageOf(error)}`;
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
