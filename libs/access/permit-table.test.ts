import { isSluiceError } from '#libs/kernel';
import { expect, it } from 'vitest';
import { somePrincipal } from '../../test/support/principal.js';
import { actions, permits, requirePermit, scopeOf } from './permit-table.js';
import { roles } from './principal.js';

const elsewhere = '00000000-0000-4000-8000-0000000000bb';

it('lets an admin do everything but read what people said, and take along what is held of a person', () => {
  expect(actions.filter((action) => !permits('admin', action))).toEqual([
    'payload.read',
    'privacy.export',
    'privacy.access-report',
  ]);
});

it('lets an operator do everything but write down who there is, decide what versions must fulfil, read who did what and touch what is held of a person', () => {
  expect(actions.filter((action) => !permits('operator', action))).toEqual([
    'signing-key.manage',
    'policy.write',
    'payload.read',
    'privacy.read',
    'privacy.export',
    'privacy.erase',
    'privacy.access-report',
    'limit.write',
    'tenant.write',
    'project.write',
    'person.write',
    'service-account.write',
    'key.write',
    'audit.read',
    'audit.verify',
    'audit.hold',
    'price.write',
    'budget.write',
  ]);
});

it('lets a caller infer and read what a caller needs for it, and nothing else', () => {
  expect(actions.filter((action) => permits('caller', action))).toEqual([
    'infer',
    'model.metadata',
    'reference.read',
    'request.read',
    'price.read',
    'usage.read',
  ]);
});

it('refuses by the same table, naming the action', () => {
  for (const role of roles) {
    for (const action of actions) {
      if (permits(role, action)) {
        requirePermit(somePrincipal({ roles: [role] }), action);
        continue;
      }
      expect(() => requirePermit(somePrincipal({ roles: [role] }), action)).toThrow(
        expect.toSatisfy(
          (error) => isSluiceError(error) && error.code === 'SLU_ACCESS_FORBIDDEN' && error.detail['action'] === action,
        ),
      );
    }
  }
});

it('gives somebody with several roles the widest of their permits', () => {
  expect(scopeOf(somePrincipal({ roles: ['caller', 'admin'] }), 'key.write')).toBe('all');
});

it('lets no role of another tenant reach over its borders, nor touch the platform', () => {
  const stranger = somePrincipal({ roles: ['admin'], tenantId: elsewhere });
  expect(actions.filter((action) => scopeOf(stranger, action) === 'all')).toEqual([
    'infer',
    'model.metadata',
    'reference.read',
    'price.read',
  ]);
  expect([scopeOf(stranger, 'key.write'), scopeOf(stranger, 'audit.read')]).toEqual(['tenant', 'tenant']);
});
