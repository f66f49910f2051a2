import { hours, minutes, sluiceError } from '#libs/kernel';
import { cursorOf, exactMoment, placeOf, type Database } from '#libs/store';

/** A record as the API shows it. */
export interface RequestView {
  requestId: string;
  at: string;
  keyId: string | null;
  tenantId: string | null;
  projectId: string | null;
  subject: string | null;
  endpoint: string;
  model: string;
  version: string;
  arm: string;
  revision: number;
  status: number;
  errorCode: string | null;
  outcome: string | null;
  rows: number;
  bytesIn: number;
  bytesOut: number;
  queueMs: number;
  modelMs: number;
  totalMs: number;
  isStreamed: boolean | null;
  promptTokens: number | null;
  completionTokens: number | null;
  firstTokenMs: number | null;
  traceId: string | null;
}

/** Whose records may be seen. Left out members do not narrow. */
export interface RequestScope {
  tenantId?: string | undefined;
  projectId?: string | undefined;
  keyId?: string | undefined;
}

export interface RequestFilter {
  endpoint?: string | undefined;
  version?: string | undefined;
  arm?: string | undefined;
  keyId?: string | undefined;
  subject?: string | undefined;
  outcome?: string | undefined;
  status?: number | undefined;
  errorCode?: string | undefined;
  /** Left out: a day before `until`. */
  since?: Date | undefined;
  until?: Date | undefined;
}

export interface RequestPage {
  requests: RequestView[];
  /** Leads to the next, older page; null at the end. */
  nextCursor: string | null;
}

export const requestColumns = `request_id AS "requestId", ${exactMoment('at')} AS at, key_id AS "keyId", tenant_id AS "tenantId",
  project_id AS "projectId", subject, endpoint, model, version, arm, revision, status, error_code AS "errorCode", outcome,
  rows, bytes_in AS "bytesIn", bytes_out AS "bytesOut", queue_ms AS "queueMs", model_ms AS "modelMs", total_ms AS "totalMs",
  is_streamed AS "isStreamed", prompt_tokens AS "promptTokens", completion_tokens AS "completionTokens",
  first_token_ms AS "firstTokenMs", trace_id AS "traceId"`;

const defaultSpanSeconds = hours(24);
/** How far the time in an id may be from the time in its record. */
const idSlackSeconds = minutes(1);

/** Reads request records: pages of them, the newest first, and one by its id. */
export class RequestArchive {
  constructor(private readonly database: Database) {}

  /** @throws SLU_REQUEST_INVALID for a cursor that is none */
  async page(filter: RequestFilter, scope: RequestScope, limit: number, cursor?: string): Promise<RequestPage> {
    const until = filter.until ?? new Date(Date.now() + idSlackSeconds * 1_000);
    const since = filter.since ?? new Date(until.getTime() - defaultSpanSeconds * 1_000);
    const conditions = new Conditions();
    conditions.add('at >= ?', since);
    conditions.add('at <= ?', until);
    const { since: _since, until: _until, ...equals } = filter;
    for (const [name, value] of Object.entries(equals))
      if (value !== undefined) conditions.add(`${filterColumns[name as keyof typeof filterColumns]} = ?`, value);
    addScope(conditions, scope);
    if (cursor !== undefined) {
      const { at, id } = placeOf(cursor);
      conditions.add('(at, request_id) < (?, ?)', at, id);
    }
    const rows = await this.database.query<RequestView>(
      `SELECT ${requestColumns} FROM request_records WHERE ${conditions.text}
       ORDER BY request_records.at DESC, request_id DESC LIMIT ${limit + 1}`,
      conditions.values,
    );
    const requests = rows.slice(0, limit);
    const last = requests.at(-1);
    const hasMore = rows.length > limit && last !== undefined;
    return { requests, nextCursor: hasMore ? cursorOf({ at: last.at, id: last.requestId }) : null };
  }

  /** @throws SLU_REQUEST_RECORD_UNKNOWN also for one that lies outside the scope */
  async get(requestId: string, scope: RequestScope): Promise<RequestView> {
    // An id that says its time leads to one partition, and there to a few rows.
    const at = timeOf(requestId);
    const found =
      (at === undefined ? undefined : await this.find(requestId, scope, at)) ?? (await this.find(requestId, scope));
    if (found === undefined) throw sluiceError('SLU_REQUEST_RECORD_UNKNOWN', { id: requestId });
    return found;
  }

  private async find(requestId: string, scope: RequestScope, atMs?: number): Promise<RequestView | undefined> {
    const conditions = new Conditions();
    conditions.add('request_id = ?', requestId);
    if (atMs !== undefined) {
      conditions.add('at >= ?', new Date(atMs - idSlackSeconds * 1_000));
      conditions.add('at <= ?', new Date(atMs + idSlackSeconds * 1_000));
    }
    addScope(conditions, scope);
    const [found] = await this.database.query<RequestView>(
      `SELECT ${requestColumns} FROM request_records WHERE ${conditions.text} LIMIT 1`,
      conditions.values,
    );
    return found;
  }
}

const filterColumns = {
  endpoint: 'endpoint',
  version: 'version',
  arm: 'arm',
  keyId: 'key_id',
  subject: 'subject',
  outcome: 'outcome',
  status: 'status',
  errorCode: 'error_code',
} as const satisfies Record<Exclude<keyof RequestFilter, 'since' | 'until'>, string>;

// Records of before tenants were told apart belong to the platform's own tenant, whose reach is wider than this.
function addScope(conditions: Conditions, { tenantId, projectId, keyId }: RequestScope): void {
  if (tenantId !== undefined) conditions.add('tenant_id = ?', tenantId);
  if (projectId !== undefined) conditions.add('project_id = ?', projectId);
  if (keyId !== undefined) conditions.add('key_id = ?', keyId);
}

class Conditions {
  private readonly parts: string[] = [];
  readonly values: unknown[] = [];

  /** Each `?` takes one value. */
  add(condition: string, ...values: unknown[]): void {
    this.parts.push(condition.replaceAll('?', () => `$${this.values.push(values.shift())}`));
  }

  get text(): string {
    return this.parts.join(' AND ');
  }
}

/** @returns the time in a UUID of version 7 (RFC 9562), in milliseconds since 1970 */
function timeOf(uuid: string): number | undefined {
  return uuid[14] === '7' ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : undefined;
}
