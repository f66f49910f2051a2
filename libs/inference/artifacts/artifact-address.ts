import { BlockList } from 'node:net';
import { sluiceError } from '#libs/kernel';
import { bareHost, isListed, isMetadataAddress, lookupBeside } from '../remote/metadata-address.js';

/** Addresses that are nobody's (RFC 6890), so that no artifact lies there either, whatever a name resolves to. */
const nobodys = new BlockList();
nobodys.addSubnet('0.0.0.0', 8);
nobodys.addSubnet('224.0.0.0', 4);
nobodys.addSubnet('240.0.0.0', 4);
nobodys.addSubnet('ff00::', 8, 'ipv6');
nobodys.addAddress('::', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** @returns whether this is an address that nothing may be fetched from; IPv4 inside IPv6 counts as what it is */
export const isForbiddenAddress = (address: string): boolean =>
  isMetadataAddress(address) || isListed(nobodys, address);

export function isLoopbackHost(host: string): boolean {
  const plain = bareHost(host);
  return plain === 'localhost' || isListed(loopback, plain);
}

/** Refuses a host that is written as a forbidden address: such a one is never looked up. @throws SLU_ARTIFACT_SOURCE_CLOSED */
export function refuseForbiddenHost(host: string): void {
  const plain = bareHost(host);
  if (isForbiddenAddress(plain)) throw forbidden(plain);
}

const forbidden = (host: string): Error =>
  sluiceError('SLU_ARTIFACT_SOURCE_CLOSED', { problem: `${host} is a link-local, metadata or reserved address` });

export const guardedLookup = lookupBeside(isForbiddenAddress, forbidden);
