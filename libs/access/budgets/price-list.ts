import { randomUUID } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import type { Price } from '#libs/decisions';
import { sluiceError } from '#libs/kernel';
import { isUniqueViolation, type Database } from '#libs/store';
import { priceOf, type PriceRow } from './price-book.js';

/** Where a price holds: at a version, at an endpoint, or everywhere else. */
export type PriceScope =
  | { kind: 'version'; model: string; version: string }
  | { kind: 'endpoint'; endpoint: string }
  | { kind: 'all' };

export interface PriceView extends Price {
  id: string;
  scope: PriceScope;
  validFrom: Date;
  createdAt: Date;
  createdBy: string;
}

export interface NewPrice {
  scope: PriceScope;
  price: Price;
  /** Left out: now. */
  validFrom?: Date | undefined;
  actor: string;
  requestId: string;
}

/** A clock of a caller may run a little behind the database's. */
const pastSeconds = 60;

/** The prices as stored. A price that is in force is never changed: a later one takes its place from its moment on. */
export class PriceList {
  constructor(
    private readonly database: Database,
    private readonly afterChange: () => Promise<void> = async () => undefined,
  ) {}

  /** The newest first, with those that come and those that were. */
  async list(): Promise<PriceView[]> {
    const rows = await this.database.query<PriceRow>('SELECT * FROM prices ORDER BY valid_from DESC, id');
    return rows.map(viewOf);
  }

  /** @throws SLU_REQUEST_INVALID, SLU_PRICE_CONFLICT */
  async add({ scope, price, validFrom, actor, requestId }: NewPrice): Promise<PriceView> {
    const id = randomUUID();
    const { endpoint, model, version } = columnsOf(scope);
    try {
      const view = await this.database.run(async (tx) => {
        const [row] = (await tx.query(
          `INSERT INTO prices (id, endpoint, model, version, valid_from, request_micros, thousand_tokens_in_micros,
             thousand_tokens_out_micros, replica_second_micros, row_micros, failed_request_micros, created_at, created_by)
           SELECT $1, $2, $3, $4, greatest(coalesce($5, now()), now()), $6, $7, $8, $9, $10, $11, now(), $12
            WHERE $5::timestamptz IS NULL OR $5 > now() - make_interval(secs => ${pastSeconds})
           RETURNING *`,
          [id, endpoint, model, version, validFrom ?? null, ...amountsOf(price), actor],
        )) as PriceRow[];
        if (row === undefined) {
          const problem = 'lies in the past, and what is past keeps its price: leave it out, or name a later moment';
          throw sluiceError('SLU_REQUEST_INVALID', { field: 'validFrom', problem });
        }
        const resource = `price:${id}`;
        const detail = { endpoint, model, version, validFrom: row.valid_from.toISOString(), ...price };
        await appendAudit(tx, { actor, action: 'price.add', resource, outcome: 'done', requestId, detail });
        return viewOf(row);
      });
      await this.afterChange();
      return view;
    } catch (failure) {
      if (isUniqueViolation(failure, 'prices_one_at_a_time')) throw sluiceError('SLU_PRICE_CONFLICT');
      throw failure;
    }
  }

  /** Takes back a price that is not in force yet. @throws SLU_PRICE_UNKNOWN, SLU_PRICE_IN_FORCE */
  async remove(id: string, actor: string, requestId: string): Promise<PriceView> {
    const view = await this.database.run(async (tx) => {
      const [row] = (await tx.query(
        'SELECT *, valid_from <= now() AS is_in_force FROM prices WHERE id = $1 FOR UPDATE',
        [id],
      )) as (PriceRow & { is_in_force: boolean })[];
      if (row === undefined) throw sluiceError('SLU_PRICE_UNKNOWN', { id });
      if (row.is_in_force) throw sluiceError('SLU_PRICE_IN_FORCE', { id });
      await tx.query('DELETE FROM prices WHERE id = $1', [id]);
      await appendAudit(tx, { actor, action: 'price.remove', resource: `price:${id}`, outcome: 'done', requestId });
      return viewOf(row);
    });
    await this.afterChange();
    return view;
  }
}

const amountsOf = (price: Price): number[] => [
  price.requestMicros,
  price.thousandTokensInMicros,
  price.thousandTokensOutMicros,
  price.replicaSecondMicros,
  price.rowMicros,
  price.failedRequestMicros,
];

function columnsOf(scope: PriceScope): { endpoint: string; model: string; version: string } {
  switch (scope.kind) {
    case 'version':
      return { endpoint: '', model: scope.model, version: scope.version };
    case 'endpoint':
      return { endpoint: scope.endpoint, model: '', version: '' };
    case 'all':
      return { endpoint: '', model: '', version: '' };
  }
}

function scopeOfRow({ endpoint, model, version }: PriceRow): PriceScope {
  if (model !== '') return { kind: 'version', model, version };
  return endpoint === '' ? { kind: 'all' } : { kind: 'endpoint', endpoint };
}

const viewOf = (row: PriceRow): PriceView => ({
  id: row.id,
  scope: scopeOfRow(row),
  validFrom: row.valid_from,
  createdAt: row.created_at,
  createdBy: row.created_by,
  ...priceOf(row),
});
