import type { Principal } from '../principal.js';

/** Whose spending a budget bounds. */
export const subjectKinds = ['key', 'project', 'tenant'] as const;
export type SubjectKind = (typeof subjectKinds)[number];

/** Money is counted in micro-units (millionths) of the currency. */
export const budgetUnits = ['money', 'tokens'] as const;
export type BudgetUnit = (typeof budgetUnits)[number];

export const budgetPeriods = ['day', 'week', 'month', 'total'] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

/** The largest limit: sums of a few of them stay exact. */
export const mostLimitUnits = 1_000_000_000_000_000;

export interface Budget {
  readonly id: string;
  readonly name: string;
  readonly tenantId: string;
  readonly subject: { readonly kind: SubjectKind; readonly id: string };
  readonly unit: BudgetUnit;
  /** In micro-units of money, or in tokens. */
  readonly limit: number;
  readonly period: BudgetPeriod;
  /** IANA name; midnight there begins a period. */
  readonly timeZone: string;
  /** A hard budget refuses what does not fit; a soft one only warns. */
  readonly isHard: boolean;
  /** Whole per cent of the limit. */
  readonly thresholds: readonly number[];
  readonly webhookUrl: string | null;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly endedAt: Date | null;
}

/** Who pays for a request. */
export type Account = Pick<Principal, 'keyId' | 'projectId' | 'tenantId'>;

/** The same, and who they are. */
export type Payer = Account & Pick<Principal, 'kind' | 'id'>;

export interface BudgetRow {
  id: string;
  name: string;
  tenant_id: string;
  subject_kind: SubjectKind;
  subject_id: string;
  unit: BudgetUnit;
  limit_units: string;
  period: BudgetPeriod;
  time_zone: string;
  is_hard: boolean;
  thresholds: number[];
  webhook_url: string | null;
  created_at: Date;
  created_by: string;
  ended_at: Date | null;
}

export const budgetColumns = `id, name, tenant_id, subject_kind, subject_id, unit, limit_units, period, time_zone, is_hard,
  thresholds, webhook_url, created_at, created_by, ended_at`;

export const budgetOf = (row: BudgetRow): Budget => ({
  id: row.id,
  name: row.name,
  tenantId: row.tenant_id,
  subject: { kind: row.subject_kind, id: row.subject_id },
  unit: row.unit,
  limit: Number(row.limit_units),
  period: row.period,
  timeZone: row.time_zone,
  isHard: row.is_hard,
  thresholds: row.thresholds,
  webhookUrl: row.webhook_url,
  createdAt: row.created_at,
  createdBy: row.created_by,
  endedAt: row.ended_at,
});

/**
 * SQL of the period of `budget` (an alias of `budgets`) that `instant` lies in. PostgreSQL knows the calendars of all time
 * zones, and its clock is the one that all processes share.
 */
export const periodBounds = (budget: string, instant: string): { startsAt: string; endsAt: string } => {
  const start = `date_trunc(${budget}.period, ${instant} AT TIME ZONE ${budget}.time_zone)`;
  const isTotal = `${budget}.period = 'total'`;
  return {
    startsAt: `CASE WHEN ${isTotal} THEN to_timestamp(0) ELSE ${start} AT TIME ZONE ${budget}.time_zone END`,
    endsAt: `CASE WHEN ${isTotal} THEN 'infinity'::timestamptz
      ELSE (${start} + ('1 ' || ${budget}.period)::interval) AT TIME ZONE ${budget}.time_zone END`,
  };
};
