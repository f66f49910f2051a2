import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RequestQueue, type PlanRules } from './batcher-queue.js';
import { plainKey, WaitingRequest } from './batcher-request.js';

/** What waits of one caller: the rows of its requests, in their order. */
const anyCaller = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 30, size: 'max' });
const anyTenant = fc.array(anyCaller, { minLength: 1, maxLength: 5 });
const most = 5;

interface Served {
  rows: number;
  waiting: number;
}

const ignore = (): void => undefined;
const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

/** Serves batch by batch, and looks at what everybody has had after each of them. */
function serve(tenants: readonly (readonly number[][])[], maxRows: number, look: (served: Served[][]) => void): void {
  const queue = new RequestQueue({ maxRequests: 10_000, maxBytes: 1_000_000, priorityLevels: 1 });
  const served = tenants.map((callers) => callers.map(({ length }) => ({ rows: 0, waiting: length })));
  tenants.forEach((callers, tenant) =>
    callers.forEach((requests, key) =>
      requests.forEach((rows) => {
        const shared = { endpoint: 'e', inputs: [], priority: 1, bytes: 1, timeoutMs: 60_000, stackKey: plainKey };
        const request = { ...shared, tenant: String(tenant), key: String(key), rows };
        queue.push(new WaitingRequest(request, 0, ignore));
      }),
    ),
  );
  const rules: PlanRules = { maxRows, preferredRows: undefined, maxDelayMs: 0 };
  while (queue.count > 0) {
    const plan = queue.plan(rules, 1);
    queue.depart(plan);
    for (const { request } of plan.items) {
      const of = served[Number(request.tenant)]![Number(request.key)]!;
      of.rows += request.rows;
      of.waiting -= 1;
    }
    look(served);
  }
}

// Start-time fair queueing keeps any two with something waiting within the sum of their largest requests of each other.
const spread = (shares: readonly number[]): number =>
  shares.length < 2 ? 0 : Math.max(...shares) - Math.min(...shares);

it('gives tenants equal rows however many keys each has, and the keys of a tenant equal parts of them', () => {
  fc.assert(
    fc.property(
      fc.array(anyTenant, { minLength: 2, maxLength: 6 }),
      fc.constantFrom(1, 4, 16, 64),
      (tenants, maxRows) => {
        serve(tenants, maxRows, (served) => {
          const busy = served.filter((callers) => callers.some(({ waiting }) => waiting > 0));
          expect(spread(busy.map((callers) => sum(callers.map(({ rows }) => rows))))).toBeLessThanOrEqual(2 * most);
          for (const callers of busy)
            expect(spread(callers.filter(({ waiting }) => waiting > 0).map(({ rows }) => rows))).toBeLessThanOrEqual(
              2 * most,
            );
        });
      },
    ),
  );
});

it('serves a tenant with one key as fast whether the other has one key or fifty', () => {
  const rowsUntilDone = (keys: number): number => {
    const one = [Array<number>(40).fill(1)];
    const other = Array.from({ length: keys }, () => Array<number>(200 / keys).fill(1));
    let all = 0;
    serve([other, one], 4, (served) => {
      if (served[1]![0]!.waiting > 0) all = sum(served.flat().map(({ rows }) => rows));
    });
    return all;
  };
  expect(rowsUntilDone(50)).toBe(rowsUntilDone(1));
});
