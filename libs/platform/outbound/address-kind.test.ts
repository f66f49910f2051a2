import { expect, it } from 'vitest';
import { kindOfAddress } from './address-kind.js';

it.each([
  ['8.8.8.8', 'public'],
  ['2606:4700::1111', 'public'],
  ['172.15.255.255', 'public'],
  ['172.32.0.1', 'public'],
  ['100.128.0.1', 'public'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['fd12::1', 'private'],
  ['127.0.0.1', 'loopback'],
  ['127.9.9.9', 'loopback'],
  ['::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', 'loopback'],
  ['169.254.0.1', 'link-local'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local'],
  ['169.254.169.254', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['fd00:ec2::254', 'metadata'],
  ['0.0.0.0', 'nowhere'],
  ['::', 'nowhere'],
  ['224.0.0.1', 'nowhere'],
  ['255.255.255.255', 'nowhere'],
])('takes %s for %s', (address, kind) => expect(kindOfAddress(address)).toBe(kind));

it.each([
  ['mapped', '::ffff:169.254.169.254'],
  ['mapped, in hexadecimal', '::ffff:a9fe:a9fe'],
  ['mapped, written out', '0:0:0:0:0:ffff:a9fe:a9fe'],
  ['compatible', '::a9fe:a9fe'],
  ['translated', '::ffff:0:a9fe:a9fe'],
  ['NAT64', '64:ff9b::a9fe:a9fe'],
  ['NAT64 with dots', '64:ff9b::169.254.169.254'],
  ['NAT64 of one network', '64:ff9b:1::a9fe:a9fe'],
  ['6to4', '2002:a9fe:a9fe::1'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:5601:5601'],
])('sees an IPv4 address through IPv6: %s', (_way, address) => expect(kindOfAddress(address)).toBe('metadata'));

it('sees loopback through IPv6, and a public address for what it is', () => {
  expect(['::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::'].map(kindOfAddress)).toEqual(
    Array(3).fill('loopback'),
  );
  expect(['::ffff:8.8.8.8', '64:ff9b::808:808'].map(kindOfAddress)).toEqual(['public', 'public']);
});

it('takes a name for no address', () => {
  expect(['localhost', 'triton', '', '1.2.3', '127.1'].map(kindOfAddress)).toEqual(Array(5).fill(undefined));
});
