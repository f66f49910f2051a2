import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tiers, and the limits that are set for one key, project, tenant or endpoint. */
export class Limits1763900000010 implements MigrationInterface {
  readonly name = 'Limits1763900000010';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
    for (const [name, limits] of Object.entries(firstTiers))
      await runner.query(`INSERT INTO tiers (name, limits, changed_by) VALUES ($1, $2, 'system')`, [
        name,
        JSON.stringify(limits),
      ]);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const revised = `limits jsonb NOT NULL,
    revision integer NOT NULL DEFAULT 1 CHECK (revision > 0),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL`;

const statements = [
  `CREATE TABLE tiers (name text PRIMARY KEY, ${revised})`,
  `CREATE TABLE limit_overrides (
    scope text NOT NULL CHECK (scope IN ('key', 'project', 'tenant', 'endpoint')),
    subject text NOT NULL,
    ${revised},
    PRIMARY KEY (scope, subject)
  )`,
  `CREATE FUNCTION announce_tiers() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', 'tiers', 'key', NEW.name)::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE ON tiers FOR EACH ROW EXECUTE FUNCTION announce_tiers()`,
  `CREATE FUNCTION announce_limit_overrides() RETURNS trigger LANGUAGE plpgsql AS $$
   DECLARE changed limit_overrides := COALESCE(NEW, OLD);
   BEGIN PERFORM pg_notify('sluice_changed',
     json_build_object('table', 'limit_overrides', 'key', changed.scope || '/' || changed.subject)::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON limit_overrides
   FOR EACH ROW EXECUTE FUNCTION announce_limit_overrides()`,
];

const rate = (perSecond: number, burst: number): { perSecond: number; burst: number } => ({ perSecond, burst });

const firstTiers = {
  free: {
    key: {
      requestsPerSecond: rate(2, 10),
      requestsPerDay: 2_000,
      tokensPerMinute: 20_000,
      tokensPerDay: 200_000,
      concurrentRequests: 4,
      concurrentStreams: 2,
    },
    project: {},
    tenant: { requestsPerSecond: rate(5, 20), requestsPerDay: 5_000, tokensPerDay: 500_000, concurrentRequests: 8 },
    management: rate(5, 20),
  },
  standard: {
    key: {
      requestsPerSecond: rate(50, 100),
      requestsPerDay: 500_000,
      tokensPerMinute: 400_000,
      tokensPerDay: 20_000_000,
      concurrentRequests: 64,
      concurrentStreams: 32,
    },
    project: {},
    tenant: { requestsPerSecond: rate(200, 400), requestsPerDay: 2_000_000, concurrentRequests: 256 },
    management: rate(20, 60),
  },
  premium: {
    key: {
      requestsPerSecond: rate(500, 1_000),
      requestsPerDay: 10_000_000,
      tokensPerMinute: 4_000_000,
      concurrentRequests: 512,
      concurrentStreams: 256,
    },
    project: {},
    tenant: { requestsPerSecond: rate(2_000, 4_000), concurrentRequests: 2_048 },
    management: rate(50, 200),
  },
  internal: {
    key: { requestsPerSecond: rate(100_000, 100_000) },
    project: {},
    tenant: {},
    management: rate(1_000, 2_000),
  },
};
