/** What the application may do with a table. Whatever has no line here it may not even read. */
export type ApplicationRight = 'change' | 'append' | 'read' | 'nothing';

export const privilegesOf: Readonly<Record<ApplicationRight, readonly string[]>> = {
  change: ['DELETE', 'INSERT', 'SELECT', 'UPDATE'],
  append: ['INSERT', 'SELECT'],
  read: ['SELECT'],
  nothing: [],
};

/** Tables of proof begin so: a new one can be added to and read, and never changed. */
export const proofPrefix = 'audit_';

const readable = ['audit_retention', 'schema_migrations', 'request_partitions'];

const changeable = [
  'api_keys',
  'budget_alerts',
  'budget_leases',
  'budget_periods',
  'budget_processes',
  'budgets',
  'data_keys',
  'endpoint_policies',
  'endpoints',
  'erasure_steps',
  'erasures',
  'idempotency_keys',
  'limit_overrides',
  'model_signatures',
  'model_versions',
  'outcome_counters',
  'payload_records',
  'payload_windows',
  'people',
  'policy_overrides',
  'prices',
  'projects',
  'quarantined_inputs',
  'replica_sets',
  'replicas',
  'request_records',
  // Both hold many days, and lose single rows; the days of their own go whole, by `drop_request_days`.
  'request_records_before',
  'request_records_rest',
  'rollout_events',
  'rollouts',
  'routes',
  'secret_headers',
  'service_accounts',
  'signing_keys',
  'spooled_batches',
  'tenants',
  'tiers',
  'usage_days',
];

/** Functions that run as the owner: one for each thing that the application needs and only the owner may do. */
export const ownersFunctions: readonly string[] = ['drop_request_days', 'make_request_day', 'purge_audit'];

/** @returns undefined for a table that nobody has thought of */
export function rightOn(table: string): ApplicationRight | undefined {
  if (readable.includes(table)) return 'read';
  if (table.startsWith(proofPrefix)) return 'append';
  if (changeable.includes(table)) return 'change';
  // A day is reached through the table of all days.
  if (/^request_records_d\d{8}$/.test(table)) return 'nothing';
  return undefined;
}
