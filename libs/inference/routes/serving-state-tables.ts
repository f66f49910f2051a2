import type { Logger } from '#libs/platform';
import type { Change } from '#libs/store';
import { manifestSchema } from '../models/manifest.js';
import {
  liveEndpoint,
  servedVersion,
  versionKey,
  versionKeysOf,
  type EndpointRow,
  type LiveEndpoint,
  type ServedVersion,
} from './route-table.js';
import { ReplicaEnds } from '../replicas/replica-ends.js';
import type { ReplicaRow, ReplicaSetRow, ServingRows, VersionRow } from './serving-state-rows.js';

/** Where the replicas of one version are, and how many there shall be. */
export interface LiveReplicas {
  readonly desired: number;
  /** Rows that have not ended, of every state. */
  readonly places: readonly ReplicaRow[];
  readonly newest: ReplicaRow | undefined;
}

/** Immutable: a request that holds it sees one state of the world. */
export interface ServingSnapshot {
  readonly endpoints: ReadonlyMap<string, LiveEndpoint>;
  readonly versions: ReadonlyMap<string, ServedVersion>;
  /** By version key. */
  readonly replicas: ReadonlyMap<string, LiveReplicas>;
}

export const emptySnapshot: ServingSnapshot = { endpoints: new Map(), versions: new Map(), replicas: new Map() };

/** The rows as last read, and the snapshot they make. */
export class ServingTables {
  private endpoints = new Map<string, EndpointRow>();
  private versions = new Map<string, ServedVersion>();
  private replicas = new Map<string, ReplicaRow>();
  private sets = new Map<string, ReplicaSetRow>();
  readonly replicaEnds = new ReplicaEnds();

  constructor(
    private readonly rows: ServingRows,
    private readonly log: Logger,
  ) {}

  async readAll(): Promise<void> {
    const [endpoints, versions, replicas, sets] = await Promise.all([
      this.rows.endpoints(),
      this.rows.versions(),
      this.rows.replicas(),
      this.rows.replicaSets(),
    ]);
    await this.noteEnds(replicas);
    this.endpoints = new Map(endpoints.map((row) => [row.name, row]));
    this.replicas = new Map(replicas.map((row) => [row.id, row]));
    this.sets = new Map(sets.map((row) => [versionKey(row.model, row.version), row]));
    const before = this.versions;
    this.versions = new Map();
    for (const row of versions) this.putVersion(row, before);
    await this.readMissingVersions(before);
  }

  // A read of all rows leaves out most of those that have ended; what ended between two reads is asked for by its id.
  private async noteEnds(rows: readonly ReplicaRow[]): Promise<void> {
    const here = new Set(rows.map(({ id }) => id));
    const gone = [...this.replicas.values()].filter(({ id, endedAt }) => endedAt === null && !here.has(id));
    const ended = gone.length === 0 ? [] : await this.rows.replicas(gone.map(({ id }) => id));
    for (const row of [...rows, ...ended]) this.replicaEnds.note(this.replicas.get(row.id), row);
  }

  async readChanged(changes: readonly Change[]): Promise<void> {
    const keysOf = (table: Change['table']): string[] => [
      ...new Set(changes.filter((change) => change.table === table).map((change) => change.key)),
    ];
    const read = async <Row>(table: Change['table'], from: (keys: string[]) => Promise<Row[]>): Promise<Row[]> => {
      const keys = keysOf(table);
      return keys.length === 0 ? [] : from(keys);
    };
    const [endpoints, versions, replicas, sets] = await Promise.all([
      read('endpoints', (keys) => this.rows.endpoints(keys)),
      read('model_versions', (keys) => this.rows.versions(keys)),
      read('replicas', (keys) => this.rows.replicas(keys)),
      read('replica_sets', (keys) => this.rows.replicaSets(keys)),
    ]);
    for (const row of endpoints) this.endpoints.set(row.name, row);
    for (const row of versions) this.putVersion(row, this.versions);
    for (const row of replicas) {
      this.replicaEnds.note(this.replicas.get(row.id), row);
      this.replicas.set(row.id, row);
    }
    for (const row of sets) this.sets.set(versionKey(row.model, row.version), row);
    await this.readMissingVersions(this.versions);
  }

  snapshot(before: ServingSnapshot): ServingSnapshot {
    const endpoints = new Map<string, LiveEndpoint>();
    for (const row of this.endpoints.values()) {
      const previous = before.endpoints.get(row.name);
      const now = liveEndpoint(row, this.versions, previous);
      if (now === undefined) {
        this.log.error(
          { endpoint: row.name, revision: row.revision },
          'a route names an unknown version; the last known route stays',
        );
      }
      const kept = now ?? previous;
      if (kept !== undefined) endpoints.set(row.name, kept);
    }
    return { endpoints, versions: new Map(this.versions), replicas: this.replicasByVersion() };
  }

  // A live route may name an archived version, which the read of all versions leaves out.
  private async readMissingVersions(known: ReadonlyMap<string, ServedVersion>): Promise<void> {
    const named = new Set([...this.endpoints.values()].flatMap(versionKeysOf));
    const missing = [...named].filter((key) => !this.versions.has(key));
    if (missing.length === 0) return;
    for (const row of await this.rows.versions(missing)) this.putVersion(row, known);
  }

  private putVersion(row: VersionRow, known: ReadonlyMap<string, ServedVersion>): void {
    const key = versionKey(row.model, row.version);
    const same = known.get(key);
    // A version never changes its content, so parsing it once is enough.
    if (same?.contentDigest === row.contentDigest) {
      this.versions.set(key, same);
      return;
    }
    const parsed = manifestSchema.safeParse(row.manifest);
    if (parsed.success) this.versions.set(key, servedVersion(parsed.data, row.contentDigest));
    else
      this.log.error(
        { version: key, problem: parsed.error.issues[0]?.message },
        'a stored manifest is not valid; it is not served',
      );
  }

  private replicasByVersion(): Map<string, LiveReplicas> {
    const grouped = new Map<string, { desired: number; places: ReplicaRow[]; newest: ReplicaRow | undefined }>();
    for (const [key, set] of this.sets) grouped.set(key, { desired: set.desired, places: [], newest: undefined });
    for (const row of this.replicas.values()) {
      const key = versionKey(row.model, row.version);
      let group = grouped.get(key);
      if (group === undefined) grouped.set(key, (group = { desired: 0, places: [], newest: undefined }));
      if (row.endedAt === null) group.places.push(row);
      if (group.newest === undefined || row.startedAt >= group.newest.startedAt) group.newest = row;
    }
    for (const group of grouped.values()) if (group.desired > 0) group.places = lastOnesKept(group.places);
    return grouped;
  }
}

// The last replica of a version that is wanted carries on while it drains, until its replacement is ready.
function lastOnesKept(places: ReplicaRow[]): ReplicaRow[] {
  if (places.some(({ state }) => state === 'ready')) return places;
  return places.map((row) => (row.state === 'draining' ? { ...row, state: 'ready' } : row));
}
