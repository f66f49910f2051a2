import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Prices, budgets, what each process holds of them, and what was used by day. */
export class Budgets1763900000011 implements MigrationInterface {
  readonly name = 'Budgets1763900000011';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const announced = (table: string): string[] => [
  `CREATE FUNCTION announce_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', '${table}', 'key', coalesce(NEW.id, OLD.id))::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION announce_${table}()`,
];

const micros = (name: string): string => `${name} bigint NOT NULL CHECK (${name} BETWEEN 0 AND 1000000000)`;

const statements = [
  // The empty text stands for "any", so that one place has one price at a time.
  `CREATE TABLE prices (
    id uuid PRIMARY KEY,
    endpoint text NOT NULL DEFAULT '',
    model text NOT NULL DEFAULT '',
    version text NOT NULL DEFAULT '',
    valid_from timestamptz NOT NULL,
    ${micros('request_micros')},
    ${micros('thousand_tokens_in_micros')},
    ${micros('thousand_tokens_out_micros')},
    ${micros('replica_second_micros')},
    ${micros('row_micros')},
    ${micros('failed_request_micros')},
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    CHECK (endpoint = '' OR model = ''),
    CHECK ((model = '') = (version = '')),
    CONSTRAINT prices_one_at_a_time UNIQUE (endpoint, model, version, valid_from)
  )`,
  ...announced('prices'),
  `CREATE TABLE budgets (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    tenant_id uuid NOT NULL,
    subject_kind text NOT NULL CHECK (subject_kind IN ('key', 'project', 'tenant')),
    subject_id uuid NOT NULL,
    unit text NOT NULL CHECK (unit IN ('money', 'tokens')),
    limit_units bigint NOT NULL CHECK (limit_units BETWEEN 0 AND 1000000000000000),
    period text NOT NULL CHECK (period IN ('day', 'week', 'month', 'total')),
    time_zone text NOT NULL,
    is_hard boolean NOT NULL,
    thresholds integer[] NOT NULL,
    webhook_url text,
    webhook_key_id text,
    webhook_secret bytea,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    ended_at timestamptz,
    CHECK ((webhook_url IS NULL) = (webhook_secret IS NULL))
  )`,
  `CREATE INDEX budgets_active ON budgets (tenant_id, subject_kind, subject_id) WHERE ended_at IS NULL`,
  ...announced('budgets'),
  // Of a period, spent + held never grows beyond the limit of a hard budget; written_off is the part of spent that a
  // process held when it was lost.
  `CREATE TABLE budget_periods (
    budget_id uuid NOT NULL REFERENCES budgets (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    written_off bigint NOT NULL DEFAULT 0 CHECK (written_off BETWEEN 0 AND spent),
    overrun bigint NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    PRIMARY KEY (budget_id, starts_at)
  )`,
  `CREATE TABLE budget_processes (
    id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('live', 'lost', 'ended')),
    last_sequence bigint NOT NULL DEFAULT 0,
    seen_at timestamptz NOT NULL
  )`,
  `CREATE INDEX budget_processes_live ON budget_processes (seen_at) WHERE state = 'live'`,
  `CREATE TABLE budget_leases (
    process_id uuid NOT NULL REFERENCES budget_processes (id),
    budget_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    granted bigint NOT NULL,
    settled bigint NOT NULL DEFAULT 0 CHECK (settled >= 0),
    returned bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
    PRIMARY KEY (process_id, budget_id, starts_at),
    FOREIGN KEY (budget_id, starts_at) REFERENCES budget_periods (budget_id, starts_at),
    CHECK (settled + returned <= granted)
  )`,
  `CREATE TABLE budget_alerts (
    id uuid PRIMARY KEY,
    budget_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    threshold integer NOT NULL,
    spent bigint NOT NULL,
    limit_units bigint NOT NULL,
    at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    delivered_at timestamptz,
    UNIQUE (budget_id, starts_at, threshold)
  )`,
  `CREATE INDEX budget_alerts_due ON budget_alerts (due_at) WHERE due_at IS NOT NULL`,
  `CREATE TABLE usage_days (
    day date NOT NULL,
    tenant_id uuid NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid NOT NULL,
    endpoint text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    replica_ms bigint NOT NULL,
    rows bigint NOT NULL,
    cost_micros bigint NOT NULL,
    PRIMARY KEY (day, tenant_id, project_id, key_id, endpoint, model, version)
  )`,
  `CREATE INDEX usage_days_key ON usage_days (key_id, day)`,
];
