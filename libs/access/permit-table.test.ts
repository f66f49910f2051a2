import { isSluiceError } from '#libs/kernel';
import { expect, it } from 'vitest';
import { actions, permits, requirePermit } from './permit-table.js';
import { roles, type Principal } from './principal.js';

const principal = (role: Principal['role']): Principal => ({ keyId: 'k', role, name: 'test' });

it('lets an admin do everything', () => {
  expect(actions.filter((action) => !permits('admin', action))).toEqual([]);
});

it('lets an operator do everything but manage keys and decide what versions must fulfil', () => {
  expect(actions.filter((action) => !permits('operator', action))).toEqual([
    'signing-key.manage',
    'policy.write',
    'key.manage',
  ]);
});

it('lets a caller infer and read what a caller needs for it, and nothing else', () => {
  expect(actions.filter((action) => permits('caller', action))).toEqual(['infer', 'model.metadata', 'reference.read']);
});

it('refuses by the same table, naming the action', () => {
  for (const role of roles) {
    for (const action of actions) {
      if (permits(role, action)) {
        requirePermit(principal(role), action);
        continue;
      }
      expect(() => requirePermit(principal(role), action)).toThrow(
        expect.toSatisfy(
          (error) => isSluiceError(error) && error.code === 'SLU_ACCESS_FORBIDDEN' && error.detail['action'] === action,
        ),
      );
    }
  }
});
