import { BlockList, isIP } from 'node:net';

/**
 * What an address is to a caller from outside: `public` is anybody's to reach; `metadata` is where a cloud tells its machines
 * their credentials; `nowhere` is nobody's, so nothing honest lies there (RFC 6890).
 */
export type AddressKind = 'public' | 'private' | 'loopback' | 'link-local' | 'metadata' | 'nowhere';

type Entry = readonly [address: string, prefix: number];

/** The first kind whose list holds an address is the one that counts. */
const ranges: readonly (readonly [Exclude<AddressKind, 'public'>, readonly Entry[]])[] = [
  [
    'metadata',
    [
      ['169.254.169.254', 32],
      ['169.254.170.2', 32],
      ['100.100.100.200', 32],
      ['192.0.0.192', 32],
      ['fd00:ec2::254', 128],
      ['fd20:ce::254', 128],
    ],
  ],
  [
    'link-local',
    [
      ['169.254.0.0', 16],
      ['fe80::', 10],
    ],
  ],
  [
    'loopback',
    [
      ['127.0.0.0', 8],
      ['::1', 128],
    ],
  ],
  [
    'private',
    [
      ['10.0.0.0', 8],
      ['172.16.0.0', 12],
      ['192.168.0.0', 16],
      // Shared by the customers of one carrier (RFC 6598), and by many clusters among themselves.
      ['100.64.0.0', 10],
      // Benchmarks (RFC 2544) and documentation: some networks number their own machines by them.
      ['198.18.0.0', 15],
      ['192.0.2.0', 24],
      ['198.51.100.0', 24],
      ['203.0.113.0', 24],
      ['192.0.0.0', 24],
      ['fc00::', 7],
      ['fec0::', 10],
      ['2001:db8::', 32],
      ['3fff::', 20],
      ['5f00::', 16],
    ],
  ],
  [
    'nowhere',
    [
      ['0.0.0.0', 8],
      ['192.88.99.0', 24],
      ['224.0.0.0', 4],
      ['240.0.0.0', 4],
      ['::', 128],
      ['100::', 64],
      ['ff00::', 8],
    ],
  ],
];

const lists = ranges.map(([kind, entries]) => [kind, listOf(entries)] as const);

/** @returns undefined for what is no address; IPv4 that is carried inside IPv6 counts as what it is */
export function kindOfAddress(address: string): AddressKind | undefined {
  const plain = bareHost(address);
  const family = isIP(plain);
  if (family === 0) return undefined;
  // A zone only says by which wire: fe80::1%eth0.
  const numbered = plain.split('%', 1)[0]!;
  const shown = family === 6 ? (carriedIpv4(numbered) ?? numbered) : numbered;
  return lists.find(([, list]) => isListed(list, shown))?.[0] ?? 'public';
}

export function isListed(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

export function listOf(entries: readonly Entry[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of entries) list.addSubnet(address, prefix, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return list;
}

/** Without the brackets of IPv6. */
export const bareHost = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

/** By how an IPv6 address begins, where in its eight parts the IPv4 address lies. */
const carriers: readonly (readonly [name: string, prefix: Entry, part: number, isInverted?: boolean])[] = [
  ['mapped (RFC 4291)', ['::ffff:0:0', 96], 6],
  ['compatible (RFC 4291, given up)', ['::', 96], 6],
  ['translated (RFC 2765)', ['::ffff:0:0:0', 96], 6],
  ['NAT64 (RFC 6052)', ['64:ff9b::', 96], 6],
  ['NAT64 of one network (RFC 8215)', ['64:ff9b:1::', 48], 6],
  ['6to4 (RFC 3056)', ['2002::', 16], 1],
  ['Teredo (RFC 4380)', ['2001::', 32], 6, true],
];
const carrierLists = carriers.map(([, prefix, part, isInverted]) => ({ list: listOf([prefix]), part, isInverted }));

function carriedIpv4(address: string): string | undefined {
  const parts = partsOf(address);
  // `::` and `::1` only look as if they carried one.
  if (parts.slice(0, 7).every((part) => part === 0) && parts[7]! <= 1) return undefined;
  // BlockList takes a mapped address for the IPv4 address that it holds, so no list of IPv6 finds it.
  const carrier = isMapped(parts) ? { part: 6 } : carrierLists.find(({ list }) => isListed(list, address));
  if (carrier === undefined) return undefined;
  const flip = 'isInverted' in carrier && carrier.isInverted === true ? 0xffff : 0;
  const [high, low] = [parts[carrier.part]! ^ flip, parts[carrier.part + 1]! ^ flip];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

const isMapped = (parts: readonly number[]): boolean =>
  parts.slice(0, 5).every((part) => part === 0) && parts[5] === 0xffff;

/** The eight numbers of an IPv6 address, however it is abbreviated. */
function partsOf(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain =
    dotted === null ? address : `${dotted[1]}${hexPair(dotted[2]!, dotted[3]!)}:${hexPair(dotted[4]!, dotted[5]!)}`;
  const [front = '', back] = plain.split('::');
  const numbers = (text: string): number[] => (text === '' ? [] : text.split(':').map((part) => parseInt(part, 16)));
  if (back === undefined) return numbers(front);
  const [head, tail] = [numbers(front), numbers(back)];
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

const hexPair = (high: string, low: string): string => (Number(high) * 256 + Number(low)).toString(16);
