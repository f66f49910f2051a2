import type { Database, Tx } from '#libs/store';
import type { UsageLine } from './settlement.js';

const keyColumns = 'day, tenant_id, project_id, key_id, endpoint, model, version';
const sums = ['requests', 'failures', 'tokens_in', 'tokens_out', 'replica_ms', 'rows', 'cost_micros'] as const;

/** Adds to the days' sums. Whoever calls it sees to it that the same use is added once. */
export async function addUsage(tx: Tx, usage: readonly UsageLine[]): Promise<void> {
  if (usage.length === 0) return;
  await tx.query(
    `INSERT INTO usage_days AS u (${keyColumns}, ${sums.join(', ')})
     SELECT day, "tenantId", "projectId", "keyId", endpoint, model, version, requests, failures, "tokensIn", "tokensOut",
            "replicaMs", rows, "costMicros"
       FROM jsonb_to_recordset($1::jsonb) AS r(day date, "tenantId" uuid, "projectId" uuid, "keyId" uuid, endpoint text, model text,
            version text, requests bigint, failures bigint, "tokensIn" bigint, "tokensOut" bigint, "replicaMs" bigint, rows bigint,
            "costMicros" bigint)
      ORDER BY ${sumsOrder}
     ON CONFLICT (${keyColumns}) DO UPDATE SET ${sums.map((sum) => `${sum} = u.${sum} + EXCLUDED.${sum}`).join(', ')}`,
    [JSON.stringify(usage)],
  );
}

// The same order in every process, so that two settlements never wait for each other in a circle.
const sumsOrder = 'day, "tenantId", "projectId", "keyId", endpoint, model, version';

export const usageGroups = ['day', 'tenant', 'project', 'key', 'endpoint', 'model'] as const;
export type UsageGroup = (typeof usageGroups)[number];

/** What the asking person may see at most, and what they want of it. Days are UTC dates, both included. */
export interface UsageQuery {
  from: string;
  to: string;
  groupBy: readonly UsageGroup[];
  tenantId?: string | undefined;
  projectId?: string | undefined;
  keyId?: string | undefined;
  endpoint?: string | undefined;
  model?: string | undefined;
}

/** Sums of one group; members that were not asked to be told apart are left out. */
export interface UsageSum {
  day?: string;
  tenantId?: string;
  projectId?: string;
  keyId?: string;
  endpoint?: string;
  model?: string;
  version?: string;
  requests: number;
  failures: number;
  tokensIn: number;
  tokensOut: number;
  replicaMs: number;
  rows: number;
  costMicros: number;
}

const groupColumns: Record<UsageGroup, readonly [column: string, name: string][]> = {
  day: [['day', 'day']],
  tenant: [['tenant_id', 'tenantId']],
  project: [['project_id', 'projectId']],
  key: [['key_id', 'keyId']],
  endpoint: [['endpoint', 'endpoint']],
  model: [
    ['model', 'model'],
    ['version', 'version'],
  ],
};

const sumNames = ['requests', 'failures', 'tokensIn', 'tokensOut', 'replicaMs', 'rows', 'costMicros'] as const;

export async function usageSums(database: Database, query: UsageQuery, mostRows: number): Promise<UsageSum[]> {
  const columns = query.groupBy.flatMap((group) => groupColumns[group]);
  const shown = columns.map(([column, name]) => `${column === 'day' ? 'day::text' : column} AS "${name}"`);
  const grouping = columns.length === 0 ? '' : `GROUP BY ${columns.map(([column]) => column).join(', ')}`;
  const order = columns.length === 0 ? '' : `ORDER BY ${columns.map(([column]) => column).join(', ')}`;
  const rows = await database.query<Record<string, string>>(
    `SELECT ${[...shown, ...sums.map((sum, index) => `coalesce(sum(${sum}), 0) AS "${sumNames[index]!}"`)].join(', ')}
       FROM usage_days
      WHERE day BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR tenant_id = $3) AND ($4::uuid IS NULL OR project_id = $4)
        AND ($5::uuid IS NULL OR key_id = $5) AND ($6::text IS NULL OR endpoint = $6) AND ($7::text IS NULL OR model = $7)
      ${grouping} ${order} LIMIT ${mostRows}`,
    [query.from, query.to, ...[query.tenantId, query.projectId, query.keyId, query.endpoint, query.model].map(orNull)],
  );
  return rows.map((row) => ({
    ...row,
    ...Object.fromEntries(sumNames.map((name) => [name, Number(row[name])])),
  })) as unknown as UsageSum[];
}

const orNull = (value: string | undefined): string | null => value ?? null;
