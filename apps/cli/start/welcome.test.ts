import { expect, it } from 'vitest';
import { baseAddress } from './welcome.js';

it.each([
  ['127.0.0.1', 'http://127.0.0.1:8080'],
  ['0.0.0.0', 'http://127.0.0.1:8080'],
  ['::1', 'http://[::1]:8080'],
  ['::', 'http://[::1]:8080'],
  ['models.example', 'http://models.example:8080'],
])('prints an address that can be called when the API listens on %s', (host, address) => {
  expect(baseAddress({ host, port: 8080, tls: { kind: 'off' } })).toBe(address);
  const tls = { kind: 'self-signed', folder: '' } as const;
  expect(baseAddress({ host, port: 8080, tls })).toBe(address.replace('http:', 'https:'));
});
