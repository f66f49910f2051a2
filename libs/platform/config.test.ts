import { describe, expect, it } from 'vitest';
import { loadConfig } from './config.js';

it('gives the defaults of the contract when nothing is set', () => {
  const config = loadConfig({});
  expect(config).toMatchObject({ host: '127.0.0.1', port: 8_080, grpcPort: 8_081, traceSampling: 0.01 });
  expect(config.home).toBe(`${process.cwd()}/.sluice`);
  expect(config.databaseUrl).toBeUndefined();
});

it('takes an empty variable for an unset one', () => {
  expect(loadConfig({ DATABASE_URL: '', SLUICE_PORT: '' }).port).toBe(8_080);
});

it.each([
  [{ SLUICE_PORT: '99999' }, /SLUICE_PORT/],
  [{ SLUICE_PORT: 'http' }, /SLUICE_PORT/],
  [{ DATABASE_URL: 'mysql://x' }, /DATABASE_URL: must start with postgres/],
  [{ DATABASE_URL: 'postgres://x', SLUICE_DATABASE_OWNER_URL: 'x' }, /SLUICE_DATABASE_OWNER_URL: must start with/],
  [{ SLUICE_DATABASE_OWNER_URL: 'postgres://x' }, /DATABASE_URL: is not set: beside SLUICE_DATABASE_OWNER_URL/],
  [{ TEMPORAL_ADDRESS: 'http://x:7233' }, /TEMPORAL_ADDRESS: must be host:port/],
  [{ SLUICE_MASTER_KEY: 'short' }, /SLUICE_MASTER_KEY: must be 64 hex digits/],
  [{ SLUICE_TRACE_SAMPLING: '2' }, /SLUICE_TRACE_SAMPLING/],
  [{ SLUICE_REMOTE_HOSTS: 'http://triton:8000' }, /SLUICE_REMOTE_HOSTS: must be hosts/],
  [{ SLUICE_REMOTE_HOSTS: 'a,,b' }, /SLUICE_REMOTE_HOSTS: must be hosts/],
  [{ SLUICE_REPLICA_DRAIN_SECONDS: '0' }, /SLUICE_REPLICA_DRAIN_SECONDS/],
  [{ SLUICE_REPLICA_LIVENESS_SECONDS: '1.5' }, /SLUICE_REPLICA_LIVENESS_SECONDS/],
])('refuses %o and names the variable', (env, message) => {
  expect(() => loadConfig(env)).toThrow(message);
});

it('reads the hosts of remote models as a list, and no list as none', () => {
  expect(loadConfig({ SLUICE_REMOTE_HOSTS: 'triton:8000, *.models.internal' }).remoteHosts).toEqual([
    'triton:8000',
    '*.models.internal',
  ]);
  expect(loadConfig({}).remoteHosts).toBeUndefined();
});

it('keeps the socket folder short however deep the state folder lies', () => {
  expect(loadConfig({ SLUICE_HOME: `/${'deep/'.repeat(40)}` }).socketFolder.length).toBeLessThan(60);
});

it.each([
  [undefined, '/h/audit-checkpoints'],
  ['/elsewhere', '/elsewhere'],
  ['s3://bucket/prefix', 's3://bucket/prefix'],
])('puts the audit checkpoints where SLUICE_AUDIT_CHECKPOINTS=%s says', (given, place) => {
  expect(loadConfig({ SLUICE_HOME: '/h', SLUICE_AUDIT_CHECKPOINTS: given }).auditCheckpoints).toBe(place);
});

it.each(['http://bucket', 's3://x', 's3://bucket/a b'])('refuses %s as a place of audit checkpoints', (given) => {
  expect(() => loadConfig({ SLUICE_AUDIT_CHECKPOINTS: given })).toThrow('SLUICE_AUDIT_CHECKPOINTS');
});

it('trusts an issuer only with an audience, and an audience only with an issuer', () => {
  const issuer = { SLUICE_OIDC_ISSUER: 'https://login.example.com' };
  const audience = { SLUICE_OIDC_AUDIENCE: 'sluice, other' };
  expect(loadConfig({}).oidc).toBeUndefined();
  expect(loadConfig({ ...issuer, ...audience }).oidc).toMatchObject({
    issuer: 'https://login.example.com',
    audiences: ['sluice', 'other'],
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    clockSkewSeconds: 30,
  });
  expect(() => loadConfig(issuer)).toThrow('SLUICE_OIDC_AUDIENCE');
  expect(() => loadConfig(audience)).toThrow('SLUICE_OIDC_ISSUER');
  expect(() => loadConfig({ SLUICE_OIDC_TENANT_CLAIM: 'org' })).toThrow('SLUICE_OIDC_ISSUER');
});

it.each([
  ['SLUICE_OIDC_ISSUER', 'http://login.example.com'],
  ['SLUICE_OIDC_JWKS_URI', 'http://10.0.0.1/keys'],
  ['SLUICE_OIDC_ALGORITHMS', 'RS256,HS256'],
  ['SLUICE_OIDC_ALGORITHMS', 'none'],
  ['SLUICE_OIDC_ROLE_MAP', 'admins'],
  ['SLUICE_TRUSTED_PROXIES', '10.0.0.1'],
  ['SLUICE_TRUSTED_PROXIES', 'everybody'],
])('does not start with %s=%s', (name, value) => {
  const whole = { SLUICE_OIDC_ISSUER: 'https://login.example.com', SLUICE_OIDC_AUDIENCE: 'sluice' };
  expect(() => loadConfig({ ...whole, [name]: value })).toThrow(name);
});

describe('limits', () => {
  it('refuse to be counted by several processes without Redis', () => {
    expect(() => loadConfig({ SLUICE_API_PROCESSES: '4' })).toThrow(
      /REDIS_URL: is not set, and SLUICE_API_PROCESSES=4/,
    );
    expect(loadConfig({ SLUICE_API_PROCESSES: '4', REDIS_URL: 'redis://a:1,redis://b:2' }).apiProcesses).toBe(4);
  });

  it('go on without Redis as they are told, and refuse when they are not', () => {
    const without = (text: string) => loadConfig({ SLUICE_LIMITS_WITHOUT_REDIS: text }).limitsWithoutRedis;
    expect(loadConfig({}).limitsWithoutRedis).toEqual({ kind: 'refuse' });
    expect([without('refuse'), without('local:0.25'), without('local:1')]).toEqual([
      { kind: 'refuse' },
      { kind: 'local', share: 0.25 },
      { kind: 'local', share: 1 },
    ]);
    for (const text of ['local', 'local:0', 'local:2', 'local:-1', 'open'])
      expect(() => without(text)).toThrow(/SLUICE_LIMITS_WITHOUT_REDIS/);
  });
});
