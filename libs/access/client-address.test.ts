import { expect, it } from 'vitest';
import { ClientAddresses, includesAddress, networkList } from './client-address.js';

const behindProxies = new ClientAddresses(['10.0.0.0/8', 'fd00::/8']);

it.each([
  ['203.0.113.9', '198.51.100.7', '203.0.113.9', 'a header that the caller wrote'],
  ['10.0.0.1', '198.51.100.7', '198.51.100.7', 'what a trusted proxy saw'],
  ['::ffff:10.0.0.1', '198.51.100.7', '198.51.100.7', 'a trusted proxy on a socket for both families'],
  ['10.0.0.1', '192.0.2.1, 198.51.100.7, 10.0.0.2', '198.51.100.7', 'no entry before the first that is not trusted'],
  ['fd00::1', '2001:db8::7', '2001:db8::7', 'the same for IPv6'],
  ['10.0.0.1', undefined, '10.0.0.1', 'the proxy itself'],
  ['10.0.0.1', 'nonsense', undefined, 'nothing that is no address'],
  [undefined, '198.51.100.7', undefined, 'nothing without a socket'],
])('from %s with X-Forwarded-For %s it counts as %s: %s', (address, forwardedFor, expected, _why) => {
  expect(behindProxies.of({ address, forwardedFor })).toBe(expected);
});

it('believes nobody where no proxy is trusted', () => {
  expect(new ClientAddresses().of({ address: '127.0.0.1', forwardedFor: '10.1.1.1' })).toBe('127.0.0.1');
});

it('knows which addresses lie in a network, to the bit, and none that is unknown', () => {
  const list = networkList(['10.1.0.0/16', '2001:db8::/32', '192.0.2.1/32']);
  expect(['10.1.255.255', '2001:db8:ffff::1', '192.0.2.1'].map((each) => includesAddress(list, each))).toEqual([
    true,
    true,
    true,
  ]);
  expect(['10.2.0.0', '2001:db9::', '192.0.2.2', '', undefined].map((each) => includesAddress(list, each))).toEqual(
    Array.from({ length: 5 }, () => false),
  );
});
