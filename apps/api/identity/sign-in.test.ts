import { Identities, IssuerKeys, PeopleBook, TokenIdentities } from '#libs/access';
import { systemClock as clock } from '#libs/kernel';
import { expect, it } from 'vitest';
import { managementApi } from '../../../test/support/management-api.js';
import { tokenIssuer } from '../../../test/support/token-issuer.js';

it('opens every protocol to a token beside keys, notes who was refused, and shows people to auditors', async () => {
  await using issuer = await tokenIssuer();
  await using api = await managementApi({ kind: 'any' }, ({ db: { database }, keys }) => ({
    identities: new Identities(
      keys,
      new TokenIdentities({
        issuer: issuer.url,
        audiences: ['sluice'],
        algorithms: ['ES256'],
        clockSkewSeconds: 30,
        clock,
        keys: new IssuerKeys({ issuer: issuer.url, clock }),
        people: new PeopleBook({ database, clock }),
        mapping: { rolesClaim: 'roles' },
      }),
    ),
  }));
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: issuer.url, aud: 'sluice', sub: 'ada', name: 'Ada', iat: now, exp: now + 600 };
  const as = async (more: object): Promise<{ authorization: string }> => ({
    authorization: `Bearer ${await issuer.sign({ ...claims, ...more })}`,
  });
  const auditor = await as({ roles: ['auditor'] });
  const get = (url: string, headers: object) => api.app.inject({ url, headers: { ...headers } });
  for (const url of ['/api/keys', '/v2', '/v1/models'])
    expect([url, (await get(url, auditor)).statusCode]).toEqual([url, 200]);
  expect((await get('/api/people', auditor)).json()).toMatchObject({ people: [{ name: 'Ada', subject: 'ada' }] });
  expect((await get('/api/keys', await as({}))).statusCode).toBe(403);
  expect((await get('/api/keys', api.as.admin)).statusCode).toBe(200);
  const expired = await get('/api/keys', await as({ exp: now - 60 }));
  expect([expired.statusCode, expired.headers['www-authenticate']]).toEqual([401, 'Bearer realm="Sluice"']);
  expect((await get('/v2', await as({ exp: now - 60 }))).json()).toEqual({
    error: 'the token is not valid: it has expired',
  });
  await api.refusals.flush();
  const rows = await api.db.database.query<{ actor: string; detail: { code: string } }>(
    `SELECT actor, detail FROM audit_events WHERE action = 'access.refuse' ORDER BY seq`,
  );
  expect(rows.map(({ actor, detail }) => [actor.split(':')[0], detail.code])).toEqual(
    expect.arrayContaining([
      ['person', 'SLU_ACCESS_FORBIDDEN'],
      ['anonymous', 'SLU_ACCESS_TOKEN_INVALID'],
    ]),
  );
});
