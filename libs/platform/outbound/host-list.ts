import { isIP, type BlockList } from 'node:net';
import { bareHost, isListed, listOf } from './address-kind.js';

const namePattern = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,252})$/i;

/** Where an operator lets requests go: `host`, `host:port`, `*.domain` for all hosts below it, or a range `10.1.0.0/16`. */
export class HostList {
  private constructor(
    private readonly names: readonly string[],
    private readonly ranges: BlockList | undefined,
  ) {}

  /** @throws Error naming the entry that is none of these */
  static of(entries: readonly string[]): HostList {
    const names: string[] = [];
    const ranges: (readonly [string, number])[] = [];
    for (const entry of entries.map((each) => each.trim().toLowerCase())) {
      const range = rangeOf(entry);
      if (range !== undefined) ranges.push(range);
      else if (isName(entry)) names.push(entry);
      else throw new Error(`${entry} is no host, host:port, *.domain or address range`);
    }
    return new HostList(names, ranges.length === 0 ? undefined : listOf(ranges));
  }

  /** By how it is written: its name, or the range that its literal address lies in. */
  holdsHost(url: URL): boolean {
    const host = url.hostname.replace(/\.$/, '');
    const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
    return this.holdsAddress(bareHost(host)) || this.names.some((entry) => isMatch(entry, host, port));
  }

  holdsAddress(address: string): boolean {
    return this.ranges !== undefined && isListed(this.ranges, address);
  }

  /** May a name that is not listed lie in a listed range? Only its address can tell. */
  get hasRanges(): boolean {
    return this.ranges !== undefined;
  }
}

function isMatch(entry: string, host: string, port: string): boolean {
  if (entry.startsWith('*.')) return host.endsWith(entry.slice(1));
  return entry === host || entry === `${host}:${port}`;
}

function rangeOf(entry: string): readonly [string, number] | undefined {
  const [address = '', prefix = '', ...rest] = entry.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || !/^\d{1,3}$/.test(prefix)) return undefined;
  return Number(prefix) <= (family === 4 ? 32 : 128) ? [address, Number(prefix)] : undefined;
}

function isName(entry: string): boolean {
  const host = entry.replace(/:\d{1,5}$/, '');
  if (/^\[.*\]$/.test(host)) return isIP(bareHost(host)) === 6;
  return isIP(entry) === 6 ? false : namePattern.test(host);
}
