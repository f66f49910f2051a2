import { timeOrderedId } from '#libs/platform';
import canonicalize from 'canonicalize';

/** Proof that something happened. Never payload values: ids, names and counts only. */
export interface AuditEvent {
  /** `key:<id>`, `person:<id>`, `workflow:<id>` or `system`. */
  actor: string;
  /** For whom the actor did it, in the same form. */
  onBehalfOf?: string | undefined;
  /** `<noun>.<verb>`, for example `model.register`. */
  action: string;
  /** `<noun>:<id>`, for example `model:tone/2`. */
  resource: string;
  /** Why it was done, as the one who did it says. */
  purpose?: string | undefined;
  outcome: 'done' | 'refused' | 'failed';
  requestId?: string | undefined;
  /** Whom it concerns: the tenant of the resource, where that is another than the actor's. Left out: the actor's. */
  tenantId?: string | undefined;
  detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** An event as it is stored, and as its seal and its place in the chain are computed. */
export interface StoredEvent {
  id: string;
  /** UTC with microseconds, `2026-11-24T18:00:00.000000Z`. */
  at: string;
  actor: string;
  onBehalfOf: string | null;
  action: string;
  resource: string;
  purpose: string | null;
  outcome: string;
  requestId: string | null;
  tenantId: string | null;
  detail: Readonly<Record<string, unknown>>;
}

/** How `StoredEvent.at` is read from the database. */
export const eventColumns = `e.id, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, e.actor,
  e.on_behalf_of AS "onBehalfOf", e.action, e.resource, e.purpose, e.outcome, e.request_id AS "requestId",
  e.tenant_id AS "tenantId", e.detail`;

/** The event as it will be stored: texts that PostgreSQL would change on their way are made well-formed first. */
export function storedEvent(event: AuditEvent, tenantId: string | undefined, now: Date): StoredEvent {
  return {
    id: timeOrderedId(now),
    at: now.toISOString().replace('Z', '000Z'),
    actor: event.actor.toWellFormed(),
    onBehalfOf: event.onBehalfOf?.toWellFormed() ?? null,
    action: event.action,
    resource: event.resource.toWellFormed(),
    purpose: event.purpose?.toWellFormed() ?? null,
    outcome: event.outcome,
    requestId: event.requestId ?? null,
    tenantId: tenantId ?? null,
    detail: event.detail === undefined ? {} : wellFormed(event.detail),
  };
}

/**
 * RFC 8785: one text for one event, whatever the order in which its members are given. The members are known, so they are
 * written in their order at once; only the detail has to be sorted.
 */
export function canonicalEvent(event: StoredEvent): string {
  const { id, at, actor, onBehalfOf, action, resource, purpose, outcome, requestId, tenantId, detail } = event;
  return (
    `{"action":${json(action)},"actor":${json(actor)},"at":${json(at)},"detail":${canonicalDetail(detail)},"id":${json(id)},` +
    `"onBehalfOf":${json(onBehalfOf)},"outcome":${json(outcome)},"purpose":${json(purpose)},"requestId":${json(requestId)},` +
    `"resource":${json(resource)},"tenantId":${json(tenantId)}}`
  );
}

const json = (value: string | null): string => JSON.stringify(value);

// A detail is flat and has few members: sorted by UTF-16 units and written at once it costs a third.
function canonicalDetail(detail: StoredEvent['detail']): string {
  const names = Object.keys(detail);
  if (names.length > 1) names.sort();
  let text = '';
  for (const name of names) {
    const value = detail[name];
    if (!isPlain(value) || !name.isWellFormed()) return canonicalText(detail);
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  return `{${text}}`;
}

/** RFC 8785 of what has a JSON form. */
export function canonicalText(value: object): string {
  return canonicalize(value) ?? '';
}

// What has no JSON form (undefined, NaN) is stored as nothing or null, and must not count otherwise in the seal.
function wellFormed(detail: NonNullable<AuditEvent['detail']>): Readonly<Record<string, unknown>> {
  if (Object.values(detail).every(isPlain)) return detail;
  const entries = Object.entries(detail).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.toWellFormed() : value,
  ]);
  return JSON.parse(JSON.stringify(Object.fromEntries(entries))) as Record<string, unknown>;
}

function isPlain(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  return typeof value === 'number' ? Number.isFinite(value) : typeof value === 'boolean' || value === null;
}
