import { addSeconds, hours, isSluiceError, minutes, secondsToMs, type Clock } from '#libs/kernel';
import { exportSPKI, importJWK, UnsecuredJWT, type JWTPayload } from 'jose';
import { createHmac, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { tokenIssuer, type TokenIssuer } from '../../../test/support/token-issuer.js';
import { Directory } from '../directory/directory.js';
import { defaultTenantId } from '../principal.js';
import { IssuerKeys } from './issuer-keys.js';
import { PeopleBook } from './people-book.js';
import type { ClaimMapping } from './token-claims.js';
import { TokenIdentities, type TokenIdentitiesSettings } from './token-identities.js';

let db: FreshDatabase;
let issuer: TokenIssuer;
beforeAll(async () => {
  db = await freshDatabase();
  issuer = await tokenIssuer();
});
beforeEach(() => issuer.setDown(false));
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

class HeldClock implements Clock {
  private at = new Date('2026-06-01T12:00:00Z');
  private ms = 0;
  now = (): Date => this.at;
  monotonicMs = (): number => this.ms;
  pass(seconds: number): void {
    this.at = addSeconds(this.at, seconds);
    this.ms += secondsToMs(seconds);
  }
  setBack(seconds: number): void {
    this.at = addSeconds(this.at, -seconds);
  }
}

const rolesAsNamed: ClaimMapping = { rolesClaim: 'roles' };

function identities(clock: Clock, mapping = rolesAsNamed, more: Partial<TokenIdentitiesSettings> = {}) {
  const { url } = issuer;
  return new TokenIdentities({
    issuer: url,
    audiences: ['sluice'],
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    clockSkewSeconds: 30,
    clock,
    keys: new IssuerKeys({ issuer: url, clock }),
    people: new PeopleBook({ database: db.database, clock }),
    mapping,
    ...more,
  });
}

const seconds = (clock: Clock): number => Math.floor(clock.now().getTime() / 1_000);

const claimsAt = (clock: Clock, more: JWTPayload = {}): JWTPayload => ({
  iss: issuer.url,
  aud: 'sluice',
  sub: 'ada',
  iat: seconds(clock),
  exp: seconds(clock) + minutes(10),
  roles: ['caller'],
  ...more,
});

const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
  } catch (failure) {
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : String(failure);
  }
  return 'none';
};

describe('a token', () => {
  it.each(['ES256', 'RS256', 'EdDSA'])(
    'signed with %s opens as the person it stands for, with the roles it gives',
    async (algorithm) => {
      const clock = new HeldClock();
      await issuer.rotate(algorithm);
      const token = await issuer.sign(claimsAt(clock, { name: 'Ada', roles: ['analyst', 'caller', 'emperor'] }));
      const principal = await identities(clock).authenticate(token);
      expect(principal).toMatchObject({
        kind: 'token',
        name: expect.any(String) as string,
        roles: ['analyst', 'caller'],
        tenantId: defaultTenantId,
        projectId: defaultTenantId,
        tier: 'internal',
        personId: principal.id,
      });
    },
  );

  const wrongClaims: [string, (clock: Clock) => JWTPayload, string][] = [
    ['for another audience', () => ({ aud: 'elsewhere' }), 'aud is not what is wanted here'],
    ['without an audience', () => ({ aud: undefined }), 'aud is missing'],
    ['of another issuer', () => ({ iss: 'https://other.example' }), 'iss is not what is wanted here'],
    ['of an issuer that differs by a slash', () => ({ iss: `${issuer.url}/` }), 'iss is not what is wanted here'],
    ['that has expired', (clock) => ({ exp: seconds(clock) - 31 }), 'it has expired'],
    ['that never expires', () => ({ exp: undefined }), 'exp is missing'],
    ['that is not valid yet', (clock) => ({ nbf: seconds(clock) + 31 }), 'it is not valid yet'],
    ['that was issued in the future', (clock) => ({ iat: seconds(clock) + 31 }), 'iat lies in the future'],
    ['without a subject', () => ({ sub: undefined }), 'sub is missing'],
    ['with an empty subject', () => ({ sub: '' }), 'sub is not a name'],
  ];
  it.each(wrongClaims)('%s is refused, and the refusal says so', async (_what, change, problem) => {
    const clock = new HeldClock();
    const token = await issuer.sign(claimsAt(clock, change(clock)));
    const expected = `SLU_ACCESS_TOKEN_INVALID: the token is not valid: ${problem}`;
    expect(await codeOf(() => identities(clock).authenticate(token))).toBe(expected);
  });

  it('is taken within the clock skew, on both sides', async () => {
    const clock = new HeldClock();
    const now = seconds(clock);
    for (const claims of [{ exp: now - 29 }, { nbf: now + 29 }, { iat: now + 29 }]) {
      const token = await issuer.sign(claimsAt(clock, claims));
      expect([claims, await codeOf(() => identities(clock).authenticate(token))]).toEqual([claims, 'none']);
    }
  });

  it('without a signature is refused: alg none', async () => {
    const clock = new HeldClock();
    const token = new UnsecuredJWT(claimsAt(clock)).encode();
    expect(await codeOf(() => identities(clock).authenticate(token))).toContain('SLU_ACCESS_TOKEN_INVALID');
  });

  it('signed with the public key as a shared secret is refused: HS256 confusion', async () => {
    const clock = new HeldClock();
    await issuer.rotate('RS256');
    const key = (await importJWK(issuer.publicKeyOf(), 'RS256', { extractable: true })) as Parameters<
      typeof exportSPKI
    >[0];
    const pem = await exportSPKI(key);
    for (const secret of [pem, pem.trim(), JSON.stringify(issuer.publicKeyOf()), issuer.publicKeyOf().n!]) {
      const [head, body] = [{ alg: 'HS256', typ: 'JWT' }, claimsAt(clock)].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      );
      const mac = createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url');
      expect(await codeOf(() => identities(clock).authenticate(`${head}.${body}.${mac}`))).toBe(
        'SLU_ACCESS_TOKEN_INVALID: the token is not valid: its algorithm is not allowed here',
      );
    }
  });

  it('signed with an algorithm that is not on the list is refused, though the issuer has the key', async () => {
    const clock = new HeldClock();
    await issuer.rotate('ES384');
    const token = await issuer.sign(claimsAt(clock));
    expect(await codeOf(() => identities(clock).authenticate(token))).toContain('its algorithm is not allowed');
    await issuer.rotate();
  });

  it('that was changed, cut, or signed by somebody else is refused', async () => {
    const clock = new HeldClock();
    const token = await issuer.sign(claimsAt(clock));
    const [head = '', body = '', signature = ''] = token.split('.');
    const richer = Buffer.from(JSON.stringify(claimsAt(clock, { roles: ['admin'] }))).toString('base64url');
    await using stranger = await tokenIssuer();
    const forged = await stranger.sign(
      claimsAt(clock),
      JSON.parse(Buffer.from(head, 'base64url').toString()) as object,
    );
    for (const bad of [`${head}.${richer}.${signature}`, `${head}.${body}.`, `${head}.${body}`, 'a.b.c', forged])
      expect(await codeOf(() => identities(clock).authenticate(bad))).toContain('SLU_ACCESS_TOKEN_INVALID');
  });

  it('brings no key of its own: jwk, jku and x5u in the header count for nothing', async () => {
    const clock = new HeldClock();
    await using stranger = await tokenIssuer();
    const header = { jwk: stranger.publicKeyOf(), jku: `${stranger.url}/keys`, x5u: `${stranger.url}/keys` };
    const token = await stranger.sign(claimsAt(clock), header as object);
    expect(await codeOf(() => identities(clock).authenticate(token))).toContain('SLU_ACCESS_TOKEN_INVALID');
    expect(stranger.asked()).toBe(0);
  });
});

describe('a token that was seen', () => {
  it('opens at once the next time, until it expires to the second', async () => {
    const clock = new HeldClock();
    const tokens = identities(clock);
    const token = await issuer.sign(claimsAt(clock, { exp: seconds(clock) + 10 }));
    await tokens.authenticate(token);
    await tokens.authenticate(token);
    expect(tokens.authenticate(token)).not.toBeInstanceOf(Promise);
    clock.pass(40);
    expect(await codeOf(() => tokens.authenticate(token))).toContain('it has expired');
  });

  it('opens no longer than a minute without a look, also when the clock is set back', async () => {
    const clock = new HeldClock();
    const tokens = identities(clock);
    const token = await issuer.sign(claimsAt(clock));
    await tokens.authenticate(token);
    await tokens.authenticate(token);
    clock.pass(61);
    clock.setBack(60);
    expect(tokens.authenticate(token)).toBeInstanceOf(Promise);
    await tokens.authenticate(token);
  });

  it('is refused once its person is suspended', async () => {
    const clock = new HeldClock();
    const tokens = identities(clock);
    const token = await issuer.sign(claimsAt(clock, { sub: 'suspended one' }));
    const { id } = await tokens.authenticate(token);
    const directory = new Directory({ database: db.database });
    await directory.change('person', { scope: 'all' }, id, { state: 'suspended' }, { actor: 'system' });
    tokens.onChange({ table: 'people', key: id });
    expect(await codeOf(() => tokens.authenticate(token))).toContain('whom it stands for is suspended here');
  });
});

describe('the keys of the issuer', () => {
  it('are read again when it signs with a new one, and an unknown key id asks at most once per cool-down', async () => {
    const clock = new HeldClock();
    const tokens = identities(clock);
    await tokens.authenticate(await issuer.sign(claimsAt(clock)));
    const before = issuer.asked();
    await issuer.rotate();
    const rotated = await issuer.sign(claimsAt(clock));
    expect(await codeOf(() => tokens.authenticate(rotated))).toContain('the issuer has no key that fits it');
    clock.pass(31);
    await tokens.authenticate(rotated);
    expect(issuer.asked()).toBe(before + 1);
    for (let count = 0; count < 20; count += 1)
      await codeOf(async () => tokens.authenticate(await issuer.sign(claimsAt(clock), { kid: randomUUID() })));
    expect(issuer.asked()).toBe(before + 1);
  });

  it('serve on while the issuer is down, for a bounded time, and again when it is back', async () => {
    const clock = new HeldClock();
    const tokens = identities(clock);
    await tokens.authenticate(await issuer.sign(claimsAt(clock)));
    issuer.setDown(true);
    clock.pass(minutes(59));
    await tokens.authenticate(await issuer.sign(claimsAt(clock)));
    clock.pass(minutes(2));
    const late = await issuer.sign(claimsAt(clock));
    expect(await codeOf(() => tokens.authenticate(late))).toContain('SLU_ACCESS_ISSUER_DOWN');
    issuer.setDown(false);
    await tokens.authenticate(late);
  });

  it('are read once, however many tokens wait for them', async () => {
    const clock = new HeldClock();
    const tokens = identities(clock);
    const before = issuer.asked();
    const made = await Promise.all(
      Array.from({ length: 20 }, (_none, at) => issuer.sign(claimsAt(clock, { jti: `${at}` }))),
    );
    await Promise.all(made.map(async (token) => tokens.authenticate(token)));
    expect(issuer.asked()).toBe(before + 1);
  });

  it('are not believed when the discovery document is of another issuer', async () => {
    const clock = new HeldClock();
    const keys = new IssuerKeys({ issuer: `${issuer.url}/`, clock });
    const tokens = identities(clock, rolesAsNamed, { issuer: `${issuer.url}/`, keys });
    const token = await issuer.sign(claimsAt(clock, { iss: `${issuer.url}/` }));
    expect(await codeOf(() => tokens.authenticate(token))).toContain('SLU_ACCESS_ISSUER_DOWN');
  });
});

describe('people', () => {
  const rowsOf = (subject: string): Promise<{ id: string; name: string }[]> =>
    db.database.query('SELECT id, name FROM people WHERE subject = $1', [subject]);

  it('are written down when they are first seen, once, with an audit row that does not say who they are elsewhere', async () => {
    const clock = new HeldClock();
    const subject = `s-${randomUUID()}`;
    const made = await Promise.all(
      [1, 2, 3].map(async (at) => issuer.sign(claimsAt(clock, { sub: subject, name: 'Ada', jti: `${at}` }))),
    );
    const principals = await Promise.all(made.map(async (token) => identities(clock).authenticate(token)));
    const rows = await rowsOf(subject);
    expect(rows).toEqual([{ id: principals[0]!.id, name: 'Ada' }]);
    const audit = await db.database.query<{ text: string }>(
      'SELECT row_to_json(a)::text AS text FROM audit_events a WHERE resource = $1',
      [`person:${rows[0]!.id}`],
    );
    expect(audit).toHaveLength(1);
    expect(audit[0]!.text).not.toContain(subject);
  });

  it('are of the tenant that the claim names, and of no other later on', async () => {
    const clock = new HeldClock();
    const directory = new Directory({ database: db.database });
    const tenant = await directory.create('tenant', { name: 'acme', tier: 'premium' }, { actor: 'system' });
    const mapping = { ...rolesAsNamed, tenantClaim: 'org.name' };
    const sign = (org: unknown): Promise<string> =>
      issuer.sign(claimsAt(clock, { sub: 'of acme', ...(org === undefined ? {} : { org }) }));
    const known = await identities(clock, mapping).authenticate(await sign({ name: 'acme' }));
    expect(known).toMatchObject({ tenantId: tenant.id, tier: 'premium' });
    expect(known.projectId).not.toBe(defaultTenantId);
    for (const [org, problem] of [
      [{ name: 'default' }, 'it names another tenant than before'],
      [{}, 'it names no tenant'],
      [undefined, 'it names no tenant'],
    ] as const)
      expect(await codeOf(async () => identities(clock, mapping).authenticate(await sign(org)))).toContain(problem);
    const stranger = await issuer.sign(claimsAt(clock, { sub: 'new one', org: { name: 'nowhere' } }));
    expect(await codeOf(() => identities(clock, mapping).authenticate(stranger))).toContain(
      'a tenant that there is not',
    );
    expect(await rowsOf('new one')).toEqual([]);
  });

  it('have the roles that groups are mapped to, and none by a name that only looks like a role', async () => {
    const clock = new HeldClock();
    const mapping: ClaimMapping = { rolesClaim: 'groups', roleMap: new Map([['ml-team', 'releaser']]) };
    const token = await issuer.sign(claimsAt(clock, { groups: ['ml-team', 'admin'], roles: ['admin'] }));
    expect((await identities(clock, mapping).authenticate(token)).roles).toEqual(['releaser']);
    const none = await issuer.sign(claimsAt(clock, { roles: ['admin'] }));
    expect((await identities(clock, mapping).authenticate(none)).roles).toEqual([]);
  });

  it('who were here stay known while the database is away, for the grace, and nobody else gets in', async () => {
    await using own = await freshDatabase();
    const clock = new HeldClock();
    const tokens = identities(clock, rolesAsNamed, { people: new PeopleBook({ database: own.database, clock }) });
    const sign = (sub: string): Promise<string> =>
      issuer.sign(claimsAt(clock, { sub, exp: seconds(clock) + hours(1) }));
    const token = await sign('ada');
    await tokens.authenticate(token);
    await tokens.authenticate(token);
    await own.takeAway();
    clock.pass(minutes(14));
    expect(await codeOf(() => tokens.authenticate(token))).toBe('none');
    expect(await codeOf(async () => tokens.authenticate(await sign('eve')))).toContain('SLU_PLATFORM_DATABASE_DOWN');
    clock.pass(minutes(2));
    expect(await codeOf(() => tokens.authenticate(token))).toContain('SLU_PLATFORM_DATABASE_DOWN');
    await own.giveBack();
  });
});
