import { messageOf } from '#libs/kernel';
import type { Manifest } from '../models/manifest.js';
import type { Database, ReplicaCause, ReplicaRuntime, ReplicaState } from '#libs/store';

/** A replica's row as the supervisor knows it. The database adds the times, so that all of them follow one clock. */
export interface ReplicaRow {
  readonly id: string;
  readonly model: string;
  readonly version: string;
  readonly host: string;
  readonly address: string;
  readonly pid: number | null;
  readonly state: ReplicaState;
  readonly reason: string | null;
  readonly cause: ReplicaCause | null;
  readonly runtime: ReplicaRuntime | null;
  readonly residentBytes: number | null;
}

export interface WantedReplicas {
  model: string;
  version: string;
  desired: number;
  /** Changes with each change of `desired`. */
  updatedAt: Date;
  artifactPath: string;
  manifest: Manifest;
}

const retryMs = 500;

/**
 * Writes the rows of a supervisor's replicas. While the database is away the newest state of each row is kept here and
 * written later.
 */
export class ReplicaLedger {
  private readonly unwritten = new Map<string, ReplicaRow>();
  private writing: Promise<void> | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(
    private readonly database: Database,
    private readonly onProblem: (problem: string) => void,
  ) {}

  /** Resolves when the row is written, or when that was tried and has to wait for the database. */
  async record(row: ReplicaRow): Promise<void> {
    this.unwritten.set(row.id, row);
    // The write in progress may have passed this row already.
    await this.writing;
    await this.write();
  }

  /** Ends the rows that an earlier life of this host left open. @param living ids that are not to be touched */
  async endEarlierLives(host: string, living: readonly string[]): Promise<void> {
    await this.database.query(
      `UPDATE replicas SET state = 'stopped', reason = 'its supervisor ended', ended_at = now()
        WHERE host = $1 AND ended_at IS NULL AND NOT id = ANY($2::uuid[])`,
      [host, living],
    );
  }

  /** @returns ids of this host's replicas that somebody wants drained, those included that drain already */
  async draining(host: string): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>(
      `SELECT id FROM replicas WHERE host = $1 AND state = 'draining' AND ended_at IS NULL`,
      [host],
    );
    return rows.map(({ id }) => id);
  }

  async wanted(): Promise<WantedReplicas[]> {
    return this.database.query<WantedReplicas>(
      `SELECT s.model, s.version, s.desired, s.updated_at AS "updatedAt", v.artifact_path AS "artifactPath", v.manifest
         FROM replica_sets s JOIN model_versions v ON v.model = s.model AND v.version = s.version`,
    );
  }

  /** Tries once more to write what is unwritten, and then gives up on it. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.retryTimer);
    await this.writing;
    await this.write();
  }

  private write(): Promise<void> {
    this.writing ??= this.writeAll().finally(() => {
      this.writing = undefined;
    });
    return this.writing;
  }

  private async writeAll(): Promise<void> {
    while (this.unwritten.size > 0) {
      const [row] = this.unwritten.values();
      try {
        await this.upsert(row!);
      } catch (error) {
        this.onProblem(`the row of replica ${row!.id} was not written: ${messageOf(error)}`);
        return this.retryLater();
      }
      // A newer state may have come in meanwhile; it stays for the next round.
      if (this.unwritten.get(row!.id) === row) this.unwritten.delete(row!.id);
    }
  }

  private retryLater(): void {
    if (this.isClosed) return;
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => void this.write(), retryMs);
  }

  // A drain that somebody asked for meanwhile is not undone by the news that the replica has become ready.
  private async upsert(row: ReplicaRow): Promise<void> {
    const { id, model, version, host, address, pid, state, reason, cause, runtime, residentBytes } = row;
    await this.database.query(
      `INSERT INTO replicas AS r (id, model, version, host, address, pid, state, reason, cause, runtime, resident_bytes, ready_at, ended_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
               CASE WHEN $7 = 'ready' THEN now() END, CASE WHEN $7 IN ('stopped', 'failed') THEN now() END)
       ON CONFLICT (id) DO UPDATE SET pid = EXCLUDED.pid, reason = EXCLUDED.reason, cause = EXCLUDED.cause,
               runtime = EXCLUDED.runtime, resident_bytes = EXCLUDED.resident_bytes,
               state = CASE WHEN r.state = 'draining' AND EXCLUDED.state IN ('starting', 'ready') THEN r.state ELSE EXCLUDED.state END,
               ready_at = coalesce(r.ready_at, EXCLUDED.ready_at), ended_at = coalesce(r.ended_at, EXCLUDED.ended_at)`,
      [
        id,
        model,
        version,
        host,
        address,
        pid,
        state,
        reason,
        cause,
        runtime === null ? null : JSON.stringify(runtime),
        residentBytes,
      ],
    );
  }
}
