import { describe, expect, it } from 'vitest';
import { addressProblem, canonicalAddress } from './remote-address.js';

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
    ['http://0.0.0.0/', 'reserved'],
  ])('may not be %s', (address, problem) => expect(addressProblem(address)).toContain(problem));

  it('has one form', () => {
    expect(canonicalAddress('HTTP://Triton:80/base//')).toBe('http://triton/base');
    expect(canonicalAddress('http://triton')).toBe('http://triton');
  });
});
