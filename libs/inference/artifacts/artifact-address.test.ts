import { describe, expect, it } from 'vitest';
import { guardedLookup, isForbiddenAddress, isLoopbackHost, refuseForbiddenHost } from './artifact-address.js';

describe('an address', () => {
  it.each([
    '169.254.169.254',
    '169.254.0.1',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '::ffff:0.0.0.0',
    '::ffff:e000:1',
    'fe80::1',
    'fd00:ec2::254',
    '100.100.100.200',
    '0.0.0.0',
    '::',
    '224.0.0.1',
    '255.255.255.255',
  ])('%s is never fetched from', (address) => {
    expect(isForbiddenAddress(address)).toBe(true);
    expect(() => refuseForbiddenHost(address.includes(':') ? `[${address}]` : address)).toThrow(/link-local, metadata/);
  });

  it.each(['127.0.0.1', '10.1.2.3', '192.168.1.1', '8.8.8.8', '::1', '2001:db8::1'])('%s may be', (address) => {
    expect(isForbiddenAddress(address)).toBe(false);
  });

  it('of the machine itself is known however it is written', () => {
    expect(['localhost', '127.0.0.1', '127.9.9.9', '[::1]', '::1'].map(isLoopbackHost)).toEqual(Array(5).fill(true));
    expect(['10.0.0.1', 'localhost.example', 'example', '128.0.0.1'].map(isLoopbackHost)).toEqual(Array(4).fill(false));
  });

  it('in a number that URL parsers read as one is refused as well', () => {
    for (const host of ['2852039166', '0xa9fea9fe', '0251.0376.0251.0376'])
      expect(() => refuseForbiddenHost(new URL(`http://${host}/`).hostname)).toThrow(/169\.254\.169\.254/);
  });
});

it('a name is resolved, and what it resolves to is judged', async () => {
  const answer = (host: string) =>
    new Promise<unknown>((done) =>
      guardedLookup(host, { all: true }, (failure, addresses) => done(failure ?? addresses)),
    );
  expect(await answer('localhost')).toEqual(
    expect.arrayContaining([expect.objectContaining({ address: expect.any(String) as string })]),
  );
  expect(await answer('169.254.169.254')).toMatchObject({ code: 'SLU_ARTIFACT_SOURCE_CLOSED' });
});
