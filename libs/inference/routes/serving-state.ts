import type { Logger } from '#libs/platform';
import type { Change, ChangeFeedListener, Database } from '#libs/store';
import type { CountedEnds } from '../replicas/replica-ends.js';
import { ServingRows } from './serving-state-rows.js';
import { emptySnapshot, ServingTables, type ServingSnapshot } from './serving-state-tables.js';
import type { LiveEndpoint } from './route-table.js';

export interface ServingStateSettings {
  database: Database;
  log: Logger;
  /** Everything is read anew this often, for the change that nobody announced. */
  refreshEveryMs?: number;
}

export type SnapshotListener = (snapshot: ServingSnapshot) => void;

const retryAfterMs = 500;
const defaultRefreshEveryMs = 10_000;

/**
 * What the data plane knows: live routes, versions, replicas. Requests read one immutable snapshot in memory and never
 * wait for PostgreSQL; the change feed keeps it fresh, and without PostgreSQL the last one stays.
 */
export class ServingState implements ChangeFeedListener, AsyncDisposable {
  private readonly tables: ServingTables;
  private readonly listeners = new Set<SnapshotListener>();
  private pending: Change[] = [];
  private isWholeReadDue = false;
  private reading: Promise<void> | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private readonly refreshTimer: NodeJS.Timeout;
  private isDatabaseAway = false;
  private isClosed = false;
  private now: ServingSnapshot = emptySnapshot;
  private loadedAt: Date | undefined;

  constructor(private readonly settings: ServingStateSettings) {
    this.tables = new ServingTables(new ServingRows(settings.database), settings.log);
    this.refreshTimer = setInterval(() => this.readAllSoon(), settings.refreshEveryMs ?? defaultRefreshEveryMs);
    this.refreshTimer.unref();
  }

  get snapshot(): ServingSnapshot {
    return this.now;
  }

  /** Ends of replicas that this process has seen happen. */
  get replicaEnds(): Iterable<CountedEnds> {
    return this.tables.replicaEnds.counts;
  }

  get isLoaded(): boolean {
    return this.loadedAt !== undefined;
  }

  /** When the whole state was last read; undefined before the first time. */
  get lastLoadedAt(): Date | undefined {
    return this.loadedAt;
  }

  endpoint(name: string): LiveEndpoint | undefined {
    return this.now.endpoints.get(name);
  }

  /**
   * Can this process answer for every version that has traffic? `hasAnswered` tells whether a replica of the version has
   * proved so to this process. A version whose newest replica failed, or that was unloaded, does not hold the others back.
   */
  isSettled(hasAnswered: (versionKey: string) => boolean): boolean {
    if (!this.isLoaded) return false;
    for (const { arms } of this.now.endpoints.values()) {
      for (const { weight, version } of arms) {
        if (weight <= 0 || hasAnswered(version.key)) continue;
        const live = this.now.replicas.get(version.key);
        if (live?.newest?.state === 'failed' || (live?.desired === 0 && live.places.length === 0)) continue;
        // A server elsewhere may stay away for as long as it likes, and its row says so.
        if (version.format === 'remote' && live?.newest && live.newest.reason !== null) continue;
        return false;
      }
    }
    return true;
  }

  /** Calls back with each new snapshot. @returns how to stop it */
  onSnapshot(listener: SnapshotListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Reads everything once. When PostgreSQL is away it returns without, and goes on trying. */
  async load(): Promise<void> {
    this.readAllSoon();
    await this.reading;
  }

  onChange(change: Change): void {
    this.pending.push(change);
    this.readSoon();
  }

  onConnected(): void {
    this.readAllSoon();
  }

  onLost(): void {
    // The last snapshot stays; the feed tells when it is back.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    clearInterval(this.refreshTimer);
    clearTimeout(this.retryTimer);
    this.listeners.clear();
    await this.reading;
  }

  private readAllSoon(): void {
    this.isWholeReadDue = true;
    this.readSoon();
  }

  // One reader at a time: changes that come in meanwhile are read together afterwards.
  private readSoon(): void {
    if (this.reading !== undefined || this.isClosed || this.retryTimer !== undefined) return;
    this.reading = this.readPending().finally(() => (this.reading = undefined));
  }

  private async readPending(): Promise<void> {
    while (!this.isClosed && (this.isWholeReadDue || this.pending.length > 0)) {
      const isWhole = this.isWholeReadDue;
      const changes = this.pending;
      this.isWholeReadDue = false;
      this.pending = [];
      try {
        if (isWhole) await this.tables.readAll();
        else await this.tables.readChanged(changes);
      } catch (error) {
        this.postpone(error);
        return;
      }
      if (isWhole) this.loadedAt = new Date();
      this.swap();
    }
  }

  private swap(): void {
    if (this.isDatabaseAway) {
      this.isDatabaseAway = false;
      this.settings.log.info('the serving state is fresh again');
    }
    this.now = this.tables.snapshot(this.now);
    for (const listener of this.listeners) listener(this.now);
  }

  private postpone(error: unknown): void {
    if (!this.isDatabaseAway) {
      this.isDatabaseAway = true;
      this.settings.log.warn(
        { err: error },
        'the serving state cannot be read; serving goes on with the last known one',
      );
    }
    this.isWholeReadDue = true;
    if (this.isClosed) return;
    this.retryTimer = setTimeout(() => {
      this.retryTimer = undefined;
      this.readSoon();
    }, retryAfterMs);
    this.retryTimer.unref();
  }
}
