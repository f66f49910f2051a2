import { bareHost, isMetadataAddress, lookupBeside } from './metadata-address.js';

/** @returns what is wrong with it as the address of a server, in words that follow its name; undefined when nothing is */
export function addressProblem(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'must be an http or https address';
  if (url.username !== '' || url.password !== '')
    return 'must hold no user or password: name a header in secretHeaders instead';
  if (url.search !== '' || url.hash !== '') return 'must end with its path: no query and no fragment';
  if (isMetadataAddress(bareHost(url.hostname))) return 'is a link-local or metadata address, where no model is served';
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

/** Refuses a name that resolves to such an address: a name proves nothing. */
export const guardedLookup = lookupBeside(isMetadataAddress, (hostname) => {
  const problem = `${hostname} is at a link-local or metadata address, where no model is served`;
  return Object.assign(new Error(problem), { code: 'EREFUSEDADDRESS' });
});
