import { isListed, listOf } from '#libs/platform';
import { isIP, type BlockList } from 'node:net';

/** Where a request came from: what its socket says, and what proxies on the way wrote down. */
export interface RequestOrigin {
  readonly address: string | undefined;
  readonly forwardedFor?: string | undefined;
}

/** @param networks as PostgreSQL writes a `cidr`: `10.0.0.0/8`, `::1/128` */
export const networkList = (networks: readonly string[]): BlockList =>
  listOf(
    networks.map((network) => {
      const [address = '', length = ''] = network.split('/');
      return [address, Number(length)] as const;
    }),
  );

export const includesAddress = (list: BlockList, address: string | undefined): boolean =>
  address !== undefined && isListed(list, address);

/**
 * Finds the address that counts. `X-Forwarded-For` is anybody's to write: each of its entries counts only when the one who
 * wrote it down is a proxy that the operator trusts.
 */
export class ClientAddresses {
  private readonly proxies: BlockList;

  constructor(trustedProxies: readonly string[] = []) {
    this.proxies = networkList(trustedProxies);
  }

  /** @returns undefined when it cannot be told, which is in no network */
  of({ address, forwardedFor }: RequestOrigin): string | undefined {
    let known = plainAddress(address);
    const hops = forwardedFor?.split(',') ?? [];
    while (hops.length > 0 && includesAddress(this.proxies, known)) known = plainAddress(hops.pop()?.trim());
    return known;
  }
}

// IPv4 on an IPv6 socket is the same network, and a zone says only by which card it came.
function plainAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return isIP(plain) === 0 ? undefined : plain;
}
