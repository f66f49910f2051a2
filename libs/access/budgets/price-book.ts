import { freePrice, type Price } from '#libs/decisions';
import type { Database } from '#libs/store';

/** What a request runs on. */
export interface PricedPlace {
  readonly endpoint: string;
  readonly model: string;
  readonly version: string;
}

export interface PriceRow {
  id: string;
  endpoint: string;
  model: string;
  version: string;
  valid_from: Date;
  request_micros: string;
  thousand_tokens_in_micros: string;
  thousand_tokens_out_micros: string;
  replica_second_micros: string;
  row_micros: string;
  failed_request_micros: string;
  created_at: Date;
  created_by: string;
}

export const priceOf = (row: PriceRow): Price => ({
  requestMicros: Number(row.request_micros),
  thousandTokensInMicros: Number(row.thousand_tokens_in_micros),
  thousandTokensOutMicros: Number(row.thousand_tokens_out_micros),
  replicaSecondMicros: Number(row.replica_second_micros),
  rowMicros: Number(row.row_micros),
  failedRequestMicros: Number(row.failed_request_micros),
});

interface DatedPrice {
  readonly fromMs: number;
  readonly price: Price;
}

/** All prices in memory. The price of a version comes before that of an endpoint, and that before the one for everything. */
export class PriceBook {
  private byVersion = new Map<string, DatedPrice[]>();
  private byEndpoint = new Map<string, DatedPrice[]>();
  private forAll: DatedPrice[] = [];

  constructor(private readonly database: Pick<Database, 'query'>) {}

  async load(): Promise<void> {
    const rows = await this.database.query<PriceRow>('SELECT * FROM prices ORDER BY valid_from DESC');
    const byVersion = new Map<string, DatedPrice[]>();
    const byEndpoint = new Map<string, DatedPrice[]>();
    const forAll: DatedPrice[] = [];
    for (const row of rows) {
      const dated = { fromMs: row.valid_from.getTime(), price: priceOf(row) };
      if (row.model !== '') listed(byVersion, `${row.model}/${row.version}`).push(dated);
      else if (row.endpoint !== '') listed(byEndpoint, row.endpoint).push(dated);
      else forAll.push(dated);
    }
    Object.assign(this, { byVersion, byEndpoint, forAll });
  }

  priceAt({ endpoint, model, version }: PricedPlace, atMs: number): Price {
    return (
      validAt(this.byVersion.get(`${model}/${version}`), atMs) ??
      validAt(this.byEndpoint.get(endpoint), atMs) ??
      validAt(this.forAll, atMs) ??
      freePrice
    );
  }
}

function listed(lists: Map<string, DatedPrice[]>, key: string): DatedPrice[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

const validAt = (newestFirst: readonly DatedPrice[] | undefined, atMs: number): Price | undefined =>
  newestFirst?.find(({ fromMs }) => fromMs <= atMs)?.price;
