import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The tables of the first release: models, endpoints and routes, replicas, rollouts, keys, counters, records, audit. */
export class FirstLight1763900000001 implements MigrationInterface {
  readonly name = 'FirstLight1763900000001';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...tables, ...notifications]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const tables = [
  `CREATE TABLE model_versions (
    model text NOT NULL,
    version text NOT NULL,
    format text NOT NULL,
    manifest jsonb NOT NULL,
    content_digest text NOT NULL,
    artifact_path text NOT NULL,
    state text NOT NULL CHECK (state IN ('registered', 'archived')),
    registered_at timestamptz NOT NULL DEFAULT now(),
    registered_by text NOT NULL,
    PRIMARY KEY (model, version)
  )`,
  `CREATE TABLE endpoints (
    name text PRIMARY KEY,
    model text NOT NULL,
    revision integer NOT NULL,
    rollout_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL
  )`,
  `CREATE TABLE routes (
    endpoint text NOT NULL REFERENCES endpoints (name),
    revision integer NOT NULL,
    arms jsonb NOT NULL,
    reason text NOT NULL,
    made_by text NOT NULL,
    rollout_id uuid,
    fence integer,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (endpoint, revision)
  )`,
  `CREATE UNIQUE INDEX routes_by_fence ON routes (rollout_id, fence) WHERE rollout_id IS NOT NULL`,
  `CREATE TABLE replica_sets (
    model text NOT NULL,
    version text NOT NULL,
    desired integer NOT NULL CHECK (desired >= 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
  )`,
  `CREATE TABLE replicas (
    id uuid PRIMARY KEY,
    model text NOT NULL,
    version text NOT NULL,
    host text NOT NULL,
    address text NOT NULL,
    pid integer,
    state text NOT NULL CHECK (state IN ('starting', 'ready', 'draining', 'stopped', 'failed')),
    reason text,
    started_at timestamptz NOT NULL DEFAULT now(),
    ready_at timestamptz,
    ended_at timestamptz
  )`,
  `CREATE INDEX replicas_alive ON replicas (model, version) WHERE ended_at IS NULL`,
  `CREATE TABLE rollouts (
    id uuid PRIMARY KEY,
    endpoint text NOT NULL REFERENCES endpoints (name),
    model text NOT NULL,
    stable_version text NOT NULL,
    candidate_version text NOT NULL,
    strategy text NOT NULL,
    spec jsonb NOT NULL,
    phase text NOT NULL,
    step_index integer NOT NULL DEFAULT 0,
    weight real NOT NULL DEFAULT 0,
    verdict jsonb,
    reason text,
    started_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
  )`,
  `CREATE UNIQUE INDEX rollouts_one_per_endpoint ON rollouts (endpoint) WHERE ended_at IS NULL`,
  `CREATE TABLE rollout_events (
    rollout_id uuid NOT NULL REFERENCES rollouts (id),
    event_key text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    actor text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (rollout_id, event_key)
  )`,
  `CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    prefix text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'operator', 'caller')),
    digest bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
  )`,
  `CREATE TABLE outcome_counters (
    process uuid NOT NULL,
    endpoint text NOT NULL,
    revision integer NOT NULL,
    arm text NOT NULL,
    version text NOT NULL,
    second timestamptz NOT NULL,
    requests integer NOT NULL,
    errors integer NOT NULL,
    latency jsonb NOT NULL,
    PRIMARY KEY (endpoint, second, revision, arm, version, process)
  )`,
  `CREATE TABLE request_records (
    request_id uuid NOT NULL,
    at timestamptz NOT NULL,
    key_id uuid,
    endpoint text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    arm text NOT NULL,
    revision integer NOT NULL,
    status smallint NOT NULL,
    error_code text,
    rows integer NOT NULL,
    bytes_in integer NOT NULL,
    bytes_out integer NOT NULL,
    queue_ms real NOT NULL,
    model_ms real NOT NULL,
    total_ms real NOT NULL,
    trace_id text
  )`,
  // Records arrive in time order, so a block-range index is enough and costs the hot path next to nothing.
  `CREATE INDEX request_records_at ON request_records USING brin (at)`,
  `CREATE TABLE spooled_batches (batch_id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`,
  `CREATE TABLE audit_events (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    request_id text,
    detail jsonb NOT NULL
  )`,
];

const watched: readonly [table: string, key: string][] = [
  ['model_versions', `NEW.model || '/' || NEW.version`],
  ['endpoints', 'NEW.name'],
  ['replica_sets', `NEW.model || '/' || NEW.version`],
  ['replicas', 'NEW.id::text'],
  ['rollouts', 'NEW.id::text'],
  ['api_keys', 'NEW.id::text'],
];

// A trigger, not the application, announces each change: no writer can forget it, and it goes out on commit.
const notifications = watched.flatMap(([table, key]) => [
  `CREATE FUNCTION announce_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', '${table}', 'key', ${key})::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION announce_${table}()`,
]);
