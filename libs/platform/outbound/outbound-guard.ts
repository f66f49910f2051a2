import { sluiceError, type SluiceError } from '#libs/kernel';
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { bareHost, kindOfAddress, type AddressKind } from './address-kind.js';
import type { HostList } from './host-list.js';

export interface OutboundGuardSettings {
  /** What the operator listed. A host that is listed may lie in a private network and on this machine. */
  allowed?: HostList | undefined;
  /** What holds for a host that is not listed: `any` address of somebody, `public` ones alone, or it is `refused`. */
  unlisted: 'any' | 'public' | 'refused';
  /** The setting that lists hosts, for the refusal. */
  setting: string;
}

/** Never reached, listed or not: there a cloud hands out credentials, or nobody answers for what does. */
const alwaysRefused: ReadonlySet<AddressKind> = new Set(['metadata', 'link-local', 'nowhere']);

const wordsOf: Record<Exclude<AddressKind, 'public'>, string> = {
  metadata: 'a metadata address',
  'link-local': 'a link-local address',
  nowhere: 'a reserved address',
  private: 'an address of a private network',
  loopback: 'an address of this machine',
};

/**
 * Judges where requests to addresses go that users registered. A host is judged twice: as it is written, when a request or a
 * redirect names it; and by the address that its name resolves to, at the moment of connecting, so that no later answer of
 * a name server gets around it.
 */
export class OutboundGuard {
  constructor(private readonly settings: OutboundGuardSettings) {}

  /** @returns what is wrong with it, in words that follow the host's name; undefined when nothing is, as far as it can be seen */
  problemOf(url: URL): string | undefined {
    const host = bareHost(url.hostname.replace(/\.$/, ''));
    const isListedHost = this.isListed(url);
    const kind = kindOfAddress(host);
    if (kind !== undefined) return this.problemOfKind(kind, isListedHost);
    if (isLocalName(host) && !isListedHost && this.settings.unlisted === 'public')
      return this.problemOfKind('loopback', false);
    const mayBeInRange = this.settings.allowed?.hasRanges === true;
    if (isListedHost || this.settings.unlisted !== 'refused' || mayBeInRange) return undefined;
    return `is not among the hosts of ${this.settings.setting}`;
  }

  /** @throws SLU_OUTBOUND_REFUSED */
  check(url: URL): void {
    const problem = this.problemOf(url);
    if (problem !== undefined) throw refusal(url.hostname, problem);
  }

  /** For sockets: resolves names as the system does, and refuses the host when any of its addresses is refused. */
  lookupFor(url: URL): LookupFunction {
    const isListedHost = this.isListed(url);
    return (hostname, options, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        const [first] = addresses ?? [];
        if (error !== null || first === undefined) return callback(error ?? new Error('no address'), []);
        for (const { address } of addresses) {
          const problem = this.problemOfAddress(address, isListedHost);
          if (problem !== undefined) return callback(refusal(hostname, problem), []);
        }
        if (options.all === true) return callback(null, addresses);
        return callback(null, first.address, first.family);
      });
    };
  }

  private problemOfAddress(address: string, isListedHost: boolean): string | undefined {
    const isListed = isListedHost || this.settings.allowed?.holdsAddress(address) === true;
    return this.problemOfKind(kindOfAddress(address) ?? 'nowhere', isListed);
  }

  private problemOfKind(kind: AddressKind, isListed: boolean): string | undefined {
    const { unlisted, setting } = this.settings;
    if (kind !== 'public' && alwaysRefused.has(kind)) return `is at ${wordsOf[kind]}, where nothing may be reached`;
    if (isListed || unlisted === 'any') return undefined;
    if (unlisted === 'refused') return `is not among the hosts of ${setting}`;
    return kind === 'public' ? undefined : `is at ${wordsOf[kind]}; the operator may list it in ${setting}`;
  }

  private isListed(url: URL): boolean {
    return this.settings.allowed?.holdsHost(url) === true;
  }
}

const isLocalName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');

// Sockets look for a code of their own kind; the refusal is known by the one of the table.
function refusal(host: string, problem: string): SluiceError {
  return sluiceError('SLU_OUTBOUND_REFUSED', { host: bareHost(host).slice(0, 253), problem });
}
