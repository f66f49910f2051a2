import { sluiceError } from '#libs/kernel';
import type { Tx } from '#libs/store';

/**
 * Networks as they are stored. `10.1.2.3/8` is refused: it means either the one address or sixteen million, and only its
 * writer knows which.
 * @param networks addresses and CIDR blocks whose form has been checked
 * @throws SLU_REQUEST_INVALID
 */
export async function plainNetworksIn(tx: Tx, networks: readonly string[]): Promise<string[]> {
  const rows: { network: string; isPlain: boolean }[] = await tx.query(
    `SELECT network(given::inet)::text AS network, host(given::inet) = host(network(given::inet)) AS "isPlain"
       FROM unnest($1::text[]) WITH ORDINALITY AS each (given, place) ORDER BY place`,
    [networks],
  );
  rows.forEach(({ network, isPlain }, index) => {
    if (isPlain) return;
    const problem = `has bits behind its prefix: write ${network} for the network, or a single address without a /`;
    throw sluiceError('SLU_REQUEST_INVALID', { field: `networks[${index}]`, problem });
  });
  return rows.map(({ network }) => network);
}
