/** What was used by one key on one version of one endpoint on one day (UTC). */
export interface UsageLine {
  day: string;
  tenantId: string;
  projectId: string;
  keyId: string;
  endpoint: string;
  model: string;
  version: string;
  requests: number;
  failures: number;
  tokensIn: number;
  tokensOut: number;
  replicaMs: number;
  rows: number;
  costMicros: number;
}

/** Of one lease: what was spent of it since the last settlement, and what is given back. */
export interface LeaseLine {
  budgetId: string;
  startsAtMs: number;
  settled: number;
  returned: number;
  /** What requests used beyond their worst case when nothing was left to charge it to. */
  overrun: number;
}

/** Spending that no lease stands behind: of soft budgets. `atMs` lies in the period that it belongs to. */
export interface SoftLine {
  budgetId: string;
  atMs: number;
  amount: number;
}

/** Everything that one process has to write since its last settlement; written whole and once, by its number. */
export interface Settlement {
  processId: string;
  sequence: number;
  leases: readonly LeaseLine[];
  soft: readonly SoftLine[];
  usage: readonly UsageLine[];
}
