import { describe, expect, it } from 'vitest';
import { HostList } from './host-list.js';
import { OutboundGuard } from './outbound-guard.js';

const guard = (unlisted: 'any' | 'public' | 'refused', allowed?: string[]): OutboundGuard =>
  new OutboundGuard({ unlisted, setting: 'SLUICE_HOSTS', allowed: allowed && HostList.of(allowed) });
const verdict = (of: OutboundGuard, address: string): string => of.problemOf(new URL(address)) ?? 'may be';

const toMetadata = [
  'http://169.254.169.254/latest',
  'http://0xA9FEA9FE/',
  'http://2852039166/',
  'http://0251.0376.0251.0376/',
  'http://169.254.43518/',
  'http://[::ffff:169.254.169.254]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://169.254.169.254./',
  'http://100.100.100.200/',
];
it.each(toMetadata)('never reaches %s, whatever is listed', (address) => {
  expect(verdict(guard('any'), address)).toContain('metadata');
  expect(verdict(guard('public', ['169.254.0.0/16', '100.0.0.0/8', '169.254.169.254']), address)).toContain('metadata');
});

it.each([
  'http://127.0.0.1:9000',
  'http://127.1/',
  'http://0177.0.0.1/',
  'http://2130706433/',
  'http://[::1]/',
  'http://localhost/',
  'http://LOCALHOST./',
  'http://a.localhost/',
  'http://10.0.0.1/',
  'http://[fd12::1]/',
  'http://100.64.0.1/',
])('does not reach %s as long as nobody lists it', (address) => {
  expect(verdict(guard('public'), address)).toMatch(/private network|this machine/);
  expect(verdict(guard('any'), address)).toBe('may be');
});

describe('a list', () => {
  it.each([
    [['triton'], 'http://triton:8000', true],
    [['triton:8000'], 'http://triton:8000', true],
    [['triton:8000'], 'http://triton:8001', false],
    [['triton:443'], 'https://TRITON./x', true],
    [['*.models.internal'], 'http://a.models.internal', true],
    [['*.models.internal'], 'http://models.internal', false],
    [['*.models.internal'], 'http://evilmodels.internal', false],
    [['models.internal'], 'http://models.internal.evil.example', false],
    [['[::1]:8000'], 'http://[::1]:8000', true],
    [['127.0.0.1'], 'http://127.0.0.1:1', true],
    [['10.0.0.0/8'], 'http://10.9.8.7', true],
    [['10.0.0.0/8'], 'http://11.9.8.7', false],
    [['fd12::/16'], 'http://[fd12::9]', true],
    [[], 'http://triton', false],
  ])('%j lets %s through: %s', (allowed, address, isAllowed) => {
    expect(verdict(guard('refused', allowed), address) === 'may be').toBe(isAllowed);
  });

  it.each(['a b', 'http://triton', '10.0.0.0/33', '10.0.0/8', '', 'fe80::1', 'user@host'])(
    'does not take %j',
    (entry) => {
      expect(() => HostList.of([entry])).toThrow(/is no host/);
    },
  );
});

const look = (of: OutboundGuard, host: string, all = true): Promise<unknown> =>
  new Promise((resolve) => {
    of.lookupFor(new URL(`http://${host}`))(host, { all }, (error, address) => resolve(error?.message ?? address));
  });

it('judges a name by what it resolves to when it is connected to', async () => {
  expect(await look(guard('public'), 'localhost')).toMatch(/this machine; the operator may list it in SLUICE_HOSTS/);
  expect(await look(guard('any'), 'localhost')).toEqual(
    expect.arrayContaining([expect.objectContaining({ family: expect.any(Number) as number })]),
  );
  expect(await look(guard('public', ['localhost']), 'localhost', false)).toMatch(/^127\.|^::1$/);
  expect(await look(guard('refused', ['127.0.0.0/8', '::1/128']), 'localhost', false)).toMatch(/^127\.|^::1$/);
  expect(await look(guard('refused', ['10.0.0.0/8']), 'localhost')).toMatch(/not among the hosts of SLUICE_HOSTS/);
  expect(await look(guard('any'), 'no-such-host.invalid')).toContain('no-such-host.invalid');
});
