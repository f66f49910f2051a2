import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tenants, projects, people and service accounts, and what a key says of its owner and its bounds. */
export class Identity1763900000009 implements MigrationInterface {
  readonly name = 'Identity1763900000009';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...tables, ...keys, ...notifications]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const defaultId = '00000000-0000-4000-8000-000000000001';
const states = `state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended'))`;
const making = `created_at timestamptz NOT NULL DEFAULT now(), created_by text NOT NULL`;

const tables = [
  `CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    tier text NOT NULL,
    ${states},
    ${making}
  )`,
  `CREATE TABLE projects (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    ${states},
    ${making},
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, id)
  )`,
  // One who signs in is known by issuer and subject; one who only owns keys needs neither.
  `CREATE TABLE people (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    issuer text,
    subject text,
    ${states},
    ${making},
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    UNIQUE (issuer, subject),
    UNIQUE (tenant_id, id)
  )`,
  `CREATE TABLE service_accounts (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    ${states},
    ${making},
    FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id),
    UNIQUE (project_id, name),
    UNIQUE (tenant_id, id)
  )`,
  `INSERT INTO tenants (id, name, tier, created_by) VALUES ('${defaultId}', 'default', 'internal', 'system')`,
  `INSERT INTO projects (id, tenant_id, name, created_by) VALUES ('${defaultId}', '${defaultId}', 'default', 'system')`,
];

const keys = [
  `ALTER TABLE api_keys
    ADD COLUMN tenant_id uuid NOT NULL DEFAULT '${defaultId}',
    ADD COLUMN project_id uuid NOT NULL DEFAULT '${defaultId}',
    ADD COLUMN person_id uuid,
    ADD COLUMN service_account_id uuid,
    ADD COLUMN roles text[],
    ADD COLUMN tier text,
    ADD COLUMN endpoints text[],
    ADD COLUMN networks cidr[],
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN replaces uuid REFERENCES api_keys (id)`,
  `UPDATE api_keys SET roles = ARRAY[role]`,
  `ALTER TABLE api_keys
    DROP COLUMN role,
    ALTER COLUMN roles SET NOT NULL,
    ALTER COLUMN tenant_id DROP DEFAULT,
    ALTER COLUMN project_id DROP DEFAULT,
    ADD CONSTRAINT api_keys_roles CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['admin', 'operator', 'releaser',
      'approver', 'steward', 'analyst', 'auditor', 'on-call', 'caller']),
    ADD CONSTRAINT api_keys_owner CHECK (num_nonnulls(person_id, service_account_id) <= 1),
    ADD FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id),
    ADD FOREIGN KEY (tenant_id, person_id) REFERENCES people (tenant_id, id),
    ADD FOREIGN KEY (tenant_id, service_account_id) REFERENCES service_accounts (tenant_id, id)`,
  `CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at DESC)`,
  `CREATE INDEX api_keys_by_person ON api_keys (person_id) WHERE person_id IS NOT NULL`,
];

const announced = (table: string): string[] => [
  `CREATE FUNCTION announce_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', '${table}', 'key', NEW.id::text)::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION announce_${table}()`,
];

const notifications = [
  ...['tenants', 'projects', 'people', 'service_accounts'].flatMap(announced),
  // The last use is written for thousands of keys at a time, and changes nothing about what a key may do.
  `DROP TRIGGER announce ON api_keys`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE OF name, roles, tier, endpoints, networks, expires_at, revoked_at
   ON api_keys FOR EACH ROW EXECUTE FUNCTION announce_api_keys()`,
];
