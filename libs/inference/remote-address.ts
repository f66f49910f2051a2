import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Where no model is and a cloud tells its machines their credentials: link-local addresses (RFC 3927, RFC 4291), and the
 * metadata services that lie elsewhere (AWS over IPv6, Google over IPv6, Alibaba, Oracle).
 */
const refusedAddresses = new BlockList();
refusedAddresses.addSubnet('169.254.0.0', 16, 'ipv4');
refusedAddresses.addAddress('100.100.100.200', 'ipv4');
refusedAddresses.addAddress('192.0.0.192', 'ipv4');
refusedAddresses.addSubnet('fe80::', 10, 'ipv6');
refusedAddresses.addAddress('fd00:ec2::254', 'ipv6');
refusedAddresses.addAddress('fd20:ce::254', 'ipv6');
// The same IPv4 addresses by way of a NAT64 gateway (RFC 6052); mapped ones (::ffff:0:0/96) are known to the list itself.
refusedAddresses.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
refusedAddresses.addAddress('64:ff9b::6464:64c8', 'ipv6');

export const isRefusedAddress = (address: string): boolean => {
  const family = isIP(address);
  return family !== 0 && refusedAddresses.check(address, family === 4 ? 'ipv4' : 'ipv6');
};

/** @returns what is wrong with it as the address of a server, in words that follow its name; undefined when nothing is */
export function addressProblem(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'must be an http or https address';
  if (url.username !== '' || url.password !== '')
    return 'must hold no user or password: name a header in secretHeaders instead';
  if (url.search !== '' || url.hash !== '') return 'must end with its path: no query and no fragment';
  if (isRefusedAddress(bareHost(url))) return 'is a link-local or metadata address, where no model is served';
  return undefined;
}

/**
 * May this host be reached, by the operator's list? An entry is `host`, `host:port`, or `*.domain` for all hosts below it.
 * @param allowed undefined: there is no list, and any host may be
 */
export function isAllowedHost(address: string, allowed: readonly string[] | undefined): boolean {
  if (allowed === undefined) return true;
  const url = new URL(address);
  const host = url.hostname.replace(/\.$/, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return allowed.some((entry) => {
    const known = entry.toLowerCase();
    if (known.startsWith('*.')) return host.endsWith(known.slice(1));
    return known === host || known === `${host}:${port}`;
  });
}

/** The one form of a target's address: what stands in replica rows, and what two targets are compared by. */
export function canonicalAddress(address: string): string {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}

/** Resolves names as the system does, and refuses what resolves to a refused address: a name proves nothing. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, []);
      return;
    }
    const refused = addresses.find(({ address }) => isRefusedAddress(address));
    if (refused !== undefined || addresses.length === 0) {
      const problem = `${hostname} is at a link-local or metadata address, where no model is served`;
      callback(Object.assign(new Error(problem), { code: 'EREFUSEDADDRESS' }), []);
      return;
    }
    if (options.all === true) callback(null, addresses);
    else callback(null, addresses[0]!.address, addresses[0]!.family);
  });
};

/** Without the brackets of IPv6. */
const bareHost = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, '$1');
