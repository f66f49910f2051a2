import { sluiceError } from '#libs/kernel';
import type { Database } from './database.js';

/** Which page is wanted. */
export interface PageWish {
  /** Most rows of it. */
  readonly limit: number;
  /** `nextCursor` of the page before; left out: the first. */
  readonly cursor?: string | undefined;
}

export interface Page<Row> {
  rows: Row[];
  /** Leads to the next, older page; null at the end. */
  nextCursor: string | null;
}

/** Names a row by its moment and its id, so that pages neither repeat nor leave out what was there all the time. */
export interface PagePlace {
  /** UTC with microseconds, as PostgreSQL keeps it. */
  readonly at: string;
  readonly id: string;
}

/** UTC with microseconds: a cursor has to name a row exactly, and a Date has milliseconds only. */
export const exactMoment = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export const cursorOf = ({ at, id }: PagePlace): string => Buffer.from(`${at} ${id}`).toString('base64url');

const placePattern =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6}Z) ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** @throws SLU_REQUEST_INVALID for one that is none of ours */
export function placeOf(cursor: string): PagePlace {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const [, second = '', fraction = '', id = ''] = placePattern.exec(text) ?? [];
  const time = Date.parse(`${second}Z`);
  // No February 31, which JavaScript takes for a day in March, and no year before the first, which PostgreSQL refuses.
  if (!Number.isNaN(time) && second > '0001' && new Date(time).toISOString().startsWith(second))
    return { at: `${second}${fraction}`, id };
  throw sluiceError('SLU_REQUEST_INVALID', { field: 'cursor', problem: 'is none of ours: start without one' });
}

/**
 * A page of what `select` finds, the newest first, by the columns `created_at` and `id`, which it has to show as
 * `createdAt` and `id`.
 * @param where what the caller may see, with its parameters in `parameters`
 * @throws SLU_REQUEST_INVALID for a cursor that is none of ours
 */
export async function readPage<Row extends { id: string }>(
  database: Pick<Database, 'query'>,
  { select, where, parameters }: { select: string; where: string; parameters: unknown[] },
  { limit, cursor }: PageWish,
): Promise<Page<Row>> {
  const conditions = [where];
  if (cursor !== undefined) {
    const { at, id } = placeOf(cursor);
    conditions.push(`(created_at, id) < ($${parameters.push(at)}, $${parameters.push(id)})`);
  }
  const found = await database.query<Row & { placedAt: string }>(
    `SELECT page.*, ${exactMoment('"createdAt"')} AS "placedAt" FROM (${select} WHERE ${conditions.join(' AND ')}
     ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}) page ORDER BY "createdAt" DESC, id DESC`,
    parameters,
  );
  const last = found.length > limit ? found[limit - 1] : undefined;
  const rows = found.slice(0, limit).map(({ placedAt: _placedAt, ...row }) => row as unknown as Row);
  return { rows, nextCursor: last === undefined ? null : cursorOf({ at: last.placedAt, id: last.id }) };
}
