import type { UsageSum } from '#libs/access';

const columns = [
  'day',
  'tenantId',
  'projectId',
  'keyId',
  'endpoint',
  'model',
  'version',
  'requests',
  'failures',
  'tokensIn',
  'tokensOut',
  'replicaMs',
  'rows',
  'costMicros',
] as const;

/** RFC 4180, with the columns that are asked for. */
export function usageCsv(usage: readonly UsageSum[], groups: ReadonlySet<string>): string {
  const shown = columns.filter((column) => !(column in groupOf) || groups.has(groupOf[column]!));
  const lines = usage.map((sum) => shown.map((column) => cellOf(sum[column])).join(','));
  return [shown.join(','), ...lines, ''].join('\r\n');
}

const groupOf: Partial<Record<(typeof columns)[number], string>> = {
  day: 'day',
  tenantId: 'tenant',
  projectId: 'project',
  keyId: 'key',
  endpoint: 'endpoint',
  model: 'model',
  version: 'model',
};

/** A spreadsheet takes a text that begins like a formula for one; an apostrophe in front of it makes it a text. */
export function cellOf(value: string | number | undefined): string {
  if (typeof value === 'number') return String(value);
  const text = value ?? '';
  const safe = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
