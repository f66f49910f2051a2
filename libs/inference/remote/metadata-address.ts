import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Where nothing is served and a cloud tells its machines their credentials: link-local addresses (RFC 3927, RFC 4291), and
 * the metadata services that lie elsewhere (AWS over IPv6, Google over IPv6, Alibaba, Oracle).
 */
const metadataAddresses = new BlockList();
metadataAddresses.addSubnet('169.254.0.0', 16, 'ipv4');
metadataAddresses.addAddress('100.100.100.200', 'ipv4');
metadataAddresses.addAddress('192.0.0.192', 'ipv4');
metadataAddresses.addSubnet('fe80::', 10, 'ipv6');
metadataAddresses.addAddress('fd00:ec2::254', 'ipv6');
metadataAddresses.addAddress('fd20:ce::254', 'ipv6');
// The same IPv4 addresses by way of a NAT64 gateway (RFC 6052); mapped ones (::ffff:0:0/96) are known to the list itself.
metadataAddresses.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
metadataAddresses.addAddress('64:ff9b::6464:64c8', 'ipv6');
metadataAddresses.addAddress('64:ff9b::c000:c0', 'ipv6');

export const isMetadataAddress = (address: string): boolean => isListed(metadataAddresses, address);

/** @returns false for what is no address, too */
export function isListed(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Without the brackets of IPv6. */
export const bareHost = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

/**
 * For sockets: resolves names as the system does, and fails with `refusal` where one resolves to a refused address. That
 * is judged at the moment of connecting, so no later answer gets around it.
 */
export function lookupBeside(
  isRefused: (address: string) => boolean,
  refusal: (hostname: string) => Error,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null) callback(error, []);
      else if (first === undefined || addresses.some(({ address }) => isRefused(address)))
        callback(refusal(hostname), []);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}
