import { randomUUID } from 'node:crypto';
import { addSeconds, isSluiceError, minutes, type Clock } from '#libs/kernel';
import { ChangeFeed } from '#libs/store';
import { describe, expect, it, vi } from 'vitest';
import { freshDatabase } from '../../test/support/database.js';
import { ApiKeys } from './api-keys.js';
import { KeyRing } from './key-ring.js';
import type { KeyRow } from './held-key.js';
import { KeyUses } from './key-uses.js';
import { newKey, Pepper } from './key-secret.js';
import { defaultProjectId, defaultTenantId } from './principal.js';

const pepper = new Pepper(Buffer.alloc(32, 9));

class HeldClock implements Clock {
  at = new Date('2026-01-01T00:00:00Z');
  now(): Date {
    return this.at;
  }
  monotonicMs(): number {
    return this.at.getTime();
  }
  pass(seconds: number): void {
    this.at = addSeconds(this.at, seconds);
  }
}

type Row = KeyRow;

/** A ring over rows in memory: what Postgres would answer. */
function ringOver(rows: Row[], clock: Clock = new HeldClock()) {
  const failures: unknown[] = [];
  let isDown = false;
  const database = {
    query: async <T>(sql: string, parameters: unknown[] = []): Promise<T[]> => {
      if (isDown) throw new Error('down');
      const ids = parameters[0] as string[] | undefined;
      const found = sql.includes('ANY')
        ? rows.filter((row) => ids?.includes(row.id))
        : rows.filter((row) => row.revoked_at === null);
      return found as T[];
    },
  };
  const ring = new KeyRing({ database, pepper, clock, onProblem: (problem) => failures.push(problem) });
  return { ring, failures, setDown: (down: boolean) => (isDown = down) };
}

function row(key: string, rest: Partial<Row> = {}): Row {
  return {
    id: randomUUID(),
    name: 'n',
    roles: ['caller'],
    tenant_id: defaultTenantId,
    project_id: defaultProjectId,
    person_id: null,
    tier: 'internal',
    endpoints: null,
    networks: null,
    is_owner_active: true,
    digest: pepper.digestOf(key),
    expires_at: null,
    revoked_at: null,
    ...rest,
  };
}

const code = (work: () => unknown): string => {
  try {
    work();
  } catch (failure) {
    return isSluiceError(failure) ? failure.code : String(failure);
  }
  return 'none';
};

describe('a key ring', () => {
  it('knows who calls by the key alone, in any spelling of the scheme', async () => {
    const key = newKey();
    const { ring } = ringOver([row(key, { id: 'one', name: 'ci', roles: ['operator'] })]);
    await ring.load();
    for (const header of [`Bearer ${key}`, `bearer ${key}`, `BEARER   ${key}`]) {
      expect(ring.authenticate(header)).toEqual({
        kind: 'key',
        id: 'one',
        keyId: 'one',
        name: 'ci',
        roles: ['operator'],
        tenantId: defaultTenantId,
        projectId: defaultProjectId,
        tier: 'internal',
      });
    }
  });

  it('lets nobody in before the keys were read', () => {
    const key = newKey();
    expect(code(() => ringOver([row(key)]).ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID');
  });

  it.each([undefined, ''])('tells a missing key (%s) from a wrong one', (header) => {
    expect(code(() => ringOver([]).ring.authenticate(header))).toBe('SLU_ACCESS_KEY_MISSING');
  });

  it.each([
    'Bearer',
    'Bearer ',
    'Basic abc',
    'slu_x',
    `Bearer ${newKey()}`,
    `Bearer ${newKey()} x`,
    `Bearer ${'a'.repeat(100_000)}`,
  ])('refuses a header that holds no live key', (header) => {
    expect(code(() => ringOver([row(newKey())]).ring.authenticate(header))).toBe('SLU_ACCESS_KEY_INVALID');
  });

  it('never puts a key into an error', async () => {
    const key = newKey();
    const { ring } = ringOver([]);
    try {
      ring.authenticate(`Bearer ${key}`);
      expect.unreachable();
    } catch (failure) {
      expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain(key.slice(4));
    }
  });

  it('ends a key at its expiry to the millisecond, also one that was just used', async () => {
    const key = newKey();
    const clock = new HeldClock();
    const { ring } = ringOver([row(key, { expires_at: addSeconds(clock.now(), 10) })], clock);
    await ring.load();
    clock.pass(9.999);
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('none');
    clock.pass(0.001);
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID');
  });

  it('forgets a revoked key with the change event, also one that was just used', async () => {
    const key = newKey();
    const held = row(key);
    const { ring } = ringOver([held]);
    await ring.load();
    ring.authenticate(`Bearer ${key}`);
    held.revoked_at = new Date();
    ring.onChange({ table: 'api_keys', key: held.id });
    await ring.settled();
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID');
  });

  it('learns a new key, and a changed role, from change events', async () => {
    const rows: Row[] = [];
    const { ring } = ringOver(rows);
    await ring.load();
    const key = newKey();
    rows.push(row(key, { id: 'new' }));
    ring.onChange({ table: 'api_keys', key: 'new' });
    await ring.settled();
    expect(ring.authenticate(`Bearer ${key}`).roles).toEqual(['caller']);
    rows[0]!.roles = ['admin'];
    ring.onChange({ table: 'api_keys', key: 'new' });
    await ring.settled();
    expect(ring.authenticate(`Bearer ${key}`).roles).toEqual(['admin']);
  });

  it('refuses a key with a role that it does not know', async () => {
    const key = newKey();
    const { ring } = ringOver([row(key, { roles: ['caller', 'emperor'] })]);
    await ring.load();
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID');
  });

  it('serves from memory while the database is away, for the grace and no longer', async () => {
    const key = newKey();
    const clock = new HeldClock();
    const { ring } = ringOver([row(key)], clock);
    await ring.load();
    ring.onLost();
    clock.pass(minutes(15));
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('none');
    clock.pass(1);
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_PLATFORM_DATABASE_DOWN');
    ring.onConnected();
    await ring.settled();
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('none');
  });

  it('tries again by itself when a change could not be read', async () => {
    const key = newKey();
    const held = row(key);
    const { ring, failures, setDown } = ringOver([held]);
    await ring.load();
    setDown(true);
    held.revoked_at = new Date();
    ring.onChange({ table: 'api_keys', key: held.id });
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    setDown(false);
    await vi.waitFor(() => expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID'));
    ring[Symbol.dispose]();
  });

  it('digests a good key once, however often it is used', async () => {
    const key = newKey();
    const { ring } = ringOver([row(key)]);
    await ring.load();
    const digest = vi.spyOn(pepper, 'digestOf');
    for (let count = 0; count < 1_000; count += 1) ring.authenticate(`Bearer ${key}`);
    expect(digest).toHaveBeenCalledTimes(1);
    digest.mockRestore();
  });
});

describe('keys in PostgreSQL', () => {
  it('a created key opens at once where it was created, and a revoked one is refused at once, without a change feed', async () => {
    await using db = await freshDatabase();
    using ring = new KeyRing({ database: db.database, pepper });
    const keys = new ApiKeys({ database: db.database, pepper, afterChange: (id) => ring.refresh(id) });
    await ring.load();
    const { id, key } = await keys.create({ name: 'ci', roles: ['operator'], actor: 'system' });
    expect(ring.authenticate(`Bearer ${key}`).keyId).toBe(id);
    await keys.revoke(id, 'system');
    expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID');
  });

  it('a created key opens, and after its revocation is refused well within 200 ms', async () => {
    await using db = await freshDatabase();
    const keys = new ApiKeys({ database: db.database, pepper });
    using ring = new KeyRing({ database: db.database, pepper });
    await using feed = new ChangeFeed(db.url, 'test', ring);
    await ring.load();
    await feed.start();
    const { id, key } = await keys.create({ name: 'ci', roles: ['operator'], actor: 'system' });
    await vi.waitFor(
      () => expect(ring.authenticate(`Bearer ${key}`)).toMatchObject({ keyId: id, roles: ['operator'], name: 'ci' }),
      { interval: 5 },
    );
    await keys.revoke(id, 'system');
    const from = performance.now();
    await vi.waitFor(() => expect(code(() => ring.authenticate(`Bearer ${key}`))).toBe('SLU_ACCESS_KEY_INVALID'), {
      interval: 2,
      timeout: 5_000,
    });
    expect(performance.now() - from).toBeLessThan(200);
  });

  it('are written down as used in one statement for all, which changes nothing in the ring', async () => {
    await using db = await freshDatabase();
    using ring = new KeyRing({ database: db.database, pepper });
    const keys = new ApiKeys({ database: db.database, pepper, afterChange: (id) => ring.refresh(id) });
    await ring.load();
    const made = await Promise.all(
      ['a', 'b', 'c'].map((name) => keys.create({ name, roles: ['caller'], actor: 'system' })),
    );
    await using uses = new KeyUses({ database: db.database, keyRing: ring });
    await using feed = new ChangeFeed(db.url, 'test', ring);
    await feed.start();
    await ring.settled();
    for (const { key } of made.slice(0, 2)) ring.authenticate(`Bearer ${key}`);
    // A key that is read anew in between was used all the same.
    await ring.refresh(made[0]!.id);
    const query = vi.spyOn(db.database, 'query');
    await uses.flush();
    await uses.flush();
    expect(query).toHaveBeenCalledTimes(1);
    query.mockRestore();
    const used = (await keys.list({ scope: 'all' }, { limit: 100 })).rows
      .filter(({ lastUsedAt }) => lastUsedAt !== null)
      .map(({ name }) => name);
    expect(used.sort()).toEqual(['a', 'b']);
  });
});
