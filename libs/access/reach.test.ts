import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import { somePrincipal } from '../../test/support/principal.js';
import { actions } from './permit-table.js';
import { defaultTenantId, roles } from './principal.js';
import { can, permitted, whereWithin, type Ownership } from './reach.js';

const ids = [defaultTenantId, ...['b', 'c'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`)];

let db: FreshDatabase;
beforeAll(async () => {
  db = await freshDatabase();
  await db.database.query(
    'CREATE TABLE things (place int, tenant_id uuid, project_id uuid, person_id uuid, key_id uuid)',
  );
});
afterAll(() => db[Symbol.asyncDispose]());

const some = fc.constantFrom(...ids);
const perhaps = fc.option(some, { nil: null });
const thing = fc.record({ tenantId: some, projectId: perhaps, personId: perhaps, keyId: perhaps });
const principal = fc
  .record({
    kind: fc.constantFrom('key' as const, 'token' as const),
    id: some,
    roles: fc.uniqueArray(fc.constantFrom(...roles), { minLength: 1, maxLength: 3 }),
    tenantId: some,
    projectId: some,
    personId: fc.option(some, { nil: undefined }),
  })
  .map(({ personId, ...rest }) => somePrincipal({ ...rest, ...(personId !== undefined && { personId }) }));

it('lists from PostgreSQL exactly those rows that could be read one by one', async () => {
  await fc.assert(
    fc.asyncProperty(principal, fc.array(thing, { maxLength: 12 }), async (who, things) => {
      await fill(things);
      for (const action of actions) {
        const parameters: unknown[] = [];
        const columns = { tenantId: 'tenant_id', projectId: 'project_id', personId: 'person_id', keyId: 'key_id' };
        const where = whereWithin(permitted(who, action), columns, parameters);
        const rows = await db.database.query<{ place: number }>(
          `SELECT place FROM things WHERE ${where} ORDER BY place`,
          parameters,
        );
        const expected = things.flatMap((each, place) => (can(who, action, each) ? [place] : []));
        expect([action, rows.map(({ place }) => place)]).toEqual([action, expected]);
      }
    }),
    { numRuns: 60 },
  );
});

it('holds nothing that has no owner of the kind that the permit asks for', () => {
  const operator = somePrincipal({ roles: ['operator'] });
  const tenantAlone = { tenantId: defaultTenantId };
  expect(can(operator, 'key.read', tenantAlone)).toBe(false);
  expect(whereWithin(permitted(operator, 'key.read'), { tenantId: 'tenant_id' }, [])).toContain('FALSE');
});

it('gives nobody of another tenant a row of this one, whatever the role', () => {
  const mine = { tenantId: defaultTenantId, projectId: ids[1]!, personId: ids[1]!, keyId: ids[1]! };
  for (const role of roles) {
    const stranger = somePrincipal({ id: ids[1]!, roles: [role], tenantId: ids[1]!, personId: ids[1]! });
    for (const action of ['tenant.read', 'key.read', 'key.write', 'key.rotate', 'person.read'] as const)
      expect([role, action, can(stranger, action, mine)]).toEqual([role, action, false]);
  }
});

async function fill(things: readonly Ownership[]): Promise<void> {
  await db.database.query('TRUNCATE things');
  await db.database.query(
    `INSERT INTO things SELECT (each ->> 'place')::int, (each ->> 'tenantId')::uuid, (each ->> 'projectId')::uuid,
       (each ->> 'personId')::uuid, (each ->> 'keyId')::uuid FROM jsonb_array_elements($1::jsonb) AS each`,
    [JSON.stringify(things.map((each, place) => ({ ...each, place })))],
  );
}
