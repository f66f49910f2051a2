import { describe, expect, it } from 'vitest';
import { isMetadataAddress } from './metadata-address.js';
import { addressProblem, canonicalAddress, guardedLookup, isAllowedHost } from './remote-address.js';

describe('the address of a server', () => {
  it.each([
    'http://triton:8000',
    'https://models.example/base/v2',
    'http://127.0.0.1:8000',
    'http://10.1.2.3',
    'http://[::1]:8000',
    'http://[fd12::1]',
  ])('may be %s', (address) => expect(addressProblem(address)).toBeUndefined());

  it.each([
    ['no address', 'http or https'],
    ['ftp://triton', 'http or https'],
    ['file:///etc/passwd', 'http or https'],
    ['http://user:secret@triton', 'no user or password'],
    ['http://user@triton', 'no user or password'],
    ['http://triton/?a=b', 'no query'],
    ['http://triton/#a', 'no fragment'],
    ['http://169.254.169.254/latest', 'link-local'],
    ['http://0xA9FEA9FE/', 'link-local'],
    ['http://2852039166/', 'link-local'],
    ['http://169.254.1', 'link-local'],
    ['http://[::ffff:169.254.169.254]/', 'link-local'],
    ['http://[::ffff:a9fe:a9fe]/', 'link-local'],
    ['http://[64:ff9b::a9fe:a9fe]/', 'link-local'],
    ['http://[fe80::1]/', 'link-local'],
    ['http://[febf::1]/', 'link-local'],
    ['http://[fd00:ec2::254]/', 'link-local'],
    ['http://100.100.100.200/', 'link-local'],
  ])('may not be %s', (address, problem) => expect(addressProblem(address)).toContain(problem));

  it('has one form', () => {
    expect(canonicalAddress('HTTP://Triton:80/base//')).toBe('http://triton/base');
    expect(canonicalAddress('http://triton')).toBe('http://triton');
  });
});

it.each([
  [undefined, 'http://anywhere', true],
  [['triton'], 'http://triton:8000', true],
  [['triton:8000'], 'http://triton:8000', true],
  [['triton:8000'], 'http://triton:8001', false],
  [['triton:443'], 'https://TRITON./x', true],
  [['*.models.internal'], 'http://a.models.internal', true],
  [['*.models.internal'], 'http://models.internal', false],
  [['*.models.internal'], 'http://evilmodels.internal', false],
  [['models.internal'], 'http://models.internal.evil.example', false],
  [['[::1]:8000'], 'http://[::1]:8000', true],
  [[], 'http://triton', false],
])('by the list %j, %s may be reached: %s', (allowed, address, isAllowed) => {
  expect(isAllowedHost(address, allowed)).toBe(isAllowed);
});

it('refuses addresses and nothing but addresses', () => {
  expect(['169.254.0.1', 'fe80::1', '::ffff:169.254.0.1'].every(isMetadataAddress)).toBe(true);
  expect(['169.253.0.1', '127.0.0.1', 'fec0::1', 'triton', ''].some(isMetadataAddress)).toBe(false);
});

it('refuses a name for what it resolves to', async () => {
  const look = (hostname: string, all: boolean) =>
    new Promise<unknown>((resolve) => {
      guardedLookup(hostname, { all }, (error, address) => resolve(error?.message ?? address));
    });
  // A literal goes through the resolver as a name does.
  expect(await look('169.254.169.254', true)).toContain('link-local or metadata address');
  expect(await look('127.0.0.1', false)).toBe('127.0.0.1');
  expect(await look('127.0.0.1', true)).toEqual([{ address: '127.0.0.1', family: 4 }]);
  expect(await look('no-such-host.invalid', true)).toContain('no-such-host.invalid');
});
