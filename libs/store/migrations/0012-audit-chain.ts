import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The audit trail as a chain: what binds its rows, proves its length, and lets old rows go without a hole. */
export class AuditChain1763900000012 implements MigrationInterface {
  readonly name = 'AuditChain1763900000012';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...tables, ...refusals, ...holding, purging]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const tables = [
  // The transaction's id tells the chainer which rows can still become visible, without a queue that has to be emptied.
  `ALTER TABLE audit_events
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN on_behalf_of text,
    ADD COLUMN purpose text,
    ADD COLUMN tenant_id text,
    ADD COLUMN seal bytea,
    ADD COLUMN seal_key text,
    ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()`,
  `CREATE INDEX audit_events_by_xid ON audit_events (xid)`,
  `CREATE INDEX audit_events_by_actor ON audit_events (actor, seq)`,
  `CREATE INDEX audit_events_by_resource ON audit_events (resource, seq)`,
  `CREATE INDEX audit_events_by_time ON audit_events USING brin (at)`,
  `CREATE TABLE audit_links (
    position bigint PRIMARY KEY CHECK (position > 0),
    event_seq bigint NOT NULL UNIQUE,
    hash bytea NOT NULL,
    mac bytea NOT NULL,
    key_id text NOT NULL
  )`,
  `CREATE TABLE audit_keys (
    key_id text PRIMARY KEY,
    public_key text NOT NULL,
    previous_key_id text,
    body jsonb NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE TABLE audit_checkpoints (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    count bigint NOT NULL,
    body jsonb NOT NULL,
    watermark xid8 NOT NULL,
    cluster text NOT NULL
  )`,
  `CREATE INDEX audit_checkpoints_by_count ON audit_checkpoints (count)`,
  `CREATE TABLE audit_tombstones (
    first_position bigint PRIMARY KEY,
    last_position bigint NOT NULL CHECK (last_position >= first_position),
    body jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE TABLE audit_holds (
    id uuid PRIMARY KEY,
    reason text NOT NULL,
    actor text,
    resource text,
    tenant_id text,
    from_at timestamptz,
    until_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL
  )`,
  `CREATE TABLE audit_hold_releases (
    hold_id uuid PRIMARY KEY REFERENCES audit_holds (id),
    released_at timestamptz NOT NULL,
    released_by text NOT NULL
  )`,
  `CREATE TABLE audit_retention (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    days integer NOT NULL CHECK (days > 0)
  )`,
  `INSERT INTO audit_retention (days) VALUES (2192)`,
];

const unchangeable = [
  'audit_events',
  'audit_links',
  'audit_keys',
  'audit_checkpoints',
  'audit_tombstones',
  'audit_holds',
  'audit_hold_releases',
];

// Privileges keep the application out; this keeps out the owner's own hand, until it goes to some length.
const refusals = [
  `CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('audit_events', 'audit_links')
        AND current_setting('sluice.audit_purge', true) = 'on' THEN RETURN OLD; END IF;
     RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
   END $$`,
  ...unchangeable.flatMap((table) => [
    `CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()`,
    `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()`,
  ]),
];

const holding = [
  `CREATE FUNCTION audit_is_held(event audit_events) RETURNS boolean LANGUAGE sql STABLE AS $$
     SELECT EXISTS (
       SELECT 1 FROM audit_holds h
       WHERE NOT EXISTS (SELECT 1 FROM audit_hold_releases r WHERE r.hold_id = h.id)
         AND (h.actor IS NULL OR h.actor = event.actor OR h.actor = event.on_behalf_of)
         AND (h.resource IS NULL OR h.resource = event.resource)
         AND (h.tenant_id IS NULL OR h.tenant_id = event.tenant_id)
         AND (h.from_at IS NULL OR event.at >= h.from_at)
         AND (h.until_at IS NULL OR event.at < h.until_at))
   $$`,
];

// The only way out for a row, and it looks for itself: old enough, under no hold, and with a tombstone in its place.
const purging = `CREATE FUNCTION purge_audit(first bigint, last bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
   SET search_path FROM CURRENT AS $$
   DECLARE removed bigint;
   BEGIN
     LOCK TABLE audit_holds, audit_hold_releases IN SHARE MODE;
     IF NOT EXISTS (SELECT 1 FROM audit_tombstones t WHERE t.first_position = first AND t.last_position = last) THEN
       RAISE EXCEPTION 'positions % to % have no tombstone', first, last USING ERRCODE = 'insufficient_privilege';
     END IF;
     IF EXISTS (
       SELECT 1 FROM audit_links l JOIN audit_events e ON e.seq = l.event_seq
       WHERE l.position BETWEEN first AND last
         AND (e.at >= now() - make_interval(days => (SELECT days FROM audit_retention)) OR audit_is_held(e))) THEN
       RAISE EXCEPTION 'positions % to % hold rows that must be kept', first, last USING ERRCODE = 'insufficient_privilege';
     END IF;
     PERFORM set_config('sluice.audit_purge', 'on', true);
     WITH gone AS (DELETE FROM audit_links WHERE position BETWEEN first AND last RETURNING event_seq)
     DELETE FROM audit_events e USING gone WHERE e.seq = gone.event_seq;
     GET DIAGNOSTICS removed = ROW_COUNT;
     PERFORM set_config('sluice.audit_purge', '', true);
     RETURN removed;
   END $$`;
