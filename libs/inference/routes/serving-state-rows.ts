import type { Database, ReplicaCause, ReplicaState } from '#libs/store';
import type { EndpointRow } from './route-table.js';

export interface VersionRow {
  model: string;
  version: string;
  manifest: unknown;
  contentDigest: string;
}

export interface ReplicaRow {
  id: string;
  model: string;
  version: string;
  address: string;
  state: ReplicaState;
  reason: string | null;
  cause?: ReplicaCause | null;
  residentBytes?: number | null;
  startedAt: Date;
  endedAt: Date | null;
}

export interface ReplicaSetRow {
  model: string;
  version: string;
  desired: number;
}

/** What the data plane reads of PostgreSQL. Each reader takes all rows, or those of the named keys. */
export class ServingRows {
  constructor(private readonly database: Database) {}

  endpoints(names?: readonly string[]): Promise<EndpointRow[]> {
    return this.select<EndpointRow>(
      `SELECT e.name, e.model, e.revision, live.arms, before.arms AS "previousArms"
         FROM endpoints e
         JOIN routes live ON live.endpoint = e.name AND live.revision = e.revision
         LEFT JOIN LATERAL (
           SELECT r.arms FROM routes r WHERE r.endpoint = e.name AND r.revision < e.revision ORDER BY r.revision DESC LIMIT 1
         ) before ON true`,
      'e.name',
      names,
    );
  }

  /** Without keys: all that are not archived. */
  versions(keys?: readonly string[]): Promise<VersionRow[]> {
    const columns = `SELECT model, version, manifest, content_digest AS "contentDigest" FROM model_versions`;
    if (keys === undefined) return this.database.query<VersionRow>(`${columns} WHERE state = 'registered'`);
    return this.select<VersionRow>(columns, `model || '/' || version`, keys);
  }

  /** Without ids: those that live, and the newest of each version, which tells why there may be none. */
  replicas(ids?: readonly string[]): Promise<ReplicaRow[]> {
    const columns = `SELECT id, model, version, address, state, reason, cause, resident_bytes AS "residentBytes", started_at AS "startedAt", ended_at AS "endedAt" FROM replicas`;
    if (ids !== undefined) return this.select<ReplicaRow>(columns, 'id::text', ids);
    return this.database.query<ReplicaRow>(
      `${columns} WHERE ended_at IS NULL
          OR id IN (SELECT DISTINCT ON (model, version) id FROM replicas ORDER BY model, version, started_at DESC)`,
    );
  }

  replicaSets(keys?: readonly string[]): Promise<ReplicaSetRow[]> {
    return this.select<ReplicaSetRow>(
      'SELECT model, version, desired FROM replica_sets',
      `model || '/' || version`,
      keys,
    );
  }

  private select<Row>(sql: string, key: string, keys: readonly string[] | undefined): Promise<Row[]> {
    return keys === undefined
      ? this.database.query<Row>(sql)
      : this.database.query<Row>(`${sql} WHERE ${key} = ANY($1)`, [keys]);
  }
}
