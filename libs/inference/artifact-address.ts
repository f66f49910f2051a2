import { lookup as resolveName, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { sluiceError } from '#libs/kernel';

/**
 * Addresses that no artifact lies at, whatever a name resolves to: link-local ones, which hold the cloud's metadata
 * services with their credentials, and those that are nobody's. RFC 6890; the single ones are metadata services.
 */
const never = new BlockList();
never.addSubnet('0.0.0.0', 8);
never.addSubnet('169.254.0.0', 16);
never.addSubnet('224.0.0.0', 4);
never.addSubnet('240.0.0.0', 4);
never.addAddress('100.100.100.200');
never.addAddress('192.0.0.192');
never.addSubnet('fe80::', 10, 'ipv6');
never.addSubnet('ff00::', 8, 'ipv6');
never.addAddress('::', 'ipv6');
never.addAddress('fd00:ec2::254', 'ipv6');
never.addAddress('fd20:ce::254', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** @returns whether this is an address that nothing may be fetched from; IPv4 inside IPv6 counts as what it is */
export function isForbiddenAddress(address: string): boolean {
  const plain = embeddedIpv4(address) ?? address;
  return never.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

export function isLoopbackHost(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '');
  if (plain === 'localhost') return true;
  const family = isIP(plain);
  return family !== 0 && loopback.check(plain, family === 6 ? 'ipv6' : 'ipv4');
}

/** Refuses a host that is written as a forbidden address: such a one is never looked up. @throws SLU_ARTIFACT_SOURCE_CLOSED */
export function refuseForbiddenHost(host: string): void {
  const plain = host.replace(/^\[|\]$/g, '');
  if (isIP(plain) !== 0 && isForbiddenAddress(plain)) throw forbidden(plain);
}

type LookupAnswer = (failure: Error | null, address?: string | LookupAddress[], family?: number) => void;

/** For sockets: resolves like the system, and refuses at the moment of connecting, so that no later answer gets around it. */
export function guardedLookup(host: string, options: LookupOptions, answer: LookupAnswer): void {
  resolveName(host, { ...options, all: true }, (failure, addresses) => {
    if (failure !== null) {
      answer(failure);
      return;
    }
    const bad = addresses.find(({ address }) => isForbiddenAddress(address));
    const [first] = addresses;
    if (bad !== undefined || first === undefined) answer(forbidden(host));
    else if (options.all === true) answer(null, addresses);
    else answer(null, first.address, first.family);
  });
}

const forbidden = (host: string): Error =>
  sluiceError('SLU_ARTIFACT_SOURCE_CLOSED', { problem: `${host} is a link-local, metadata or reserved address` });

/** `::ffff:a.b.c.d`, also as the two groups that URL parsers make of it. */
function embeddedIpv4(address: string): string | undefined {
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (dotted !== undefined) return dotted;
  const groups = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address);
  if (groups === null) return undefined;
  const [high, low] = [parseInt(groups[1] ?? '', 16), parseInt(groups[2] ?? '', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
