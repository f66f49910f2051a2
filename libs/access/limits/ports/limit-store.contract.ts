import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Allowance, LimitScope } from '../allowance.js';
import { LimitSet, limitsOf } from '../limit-set.js';
import type { LimitCost, LimitHold, LimitStore, LimitVerdict } from './limit-store.js';

export interface StoreUnderTest extends AsyncDisposable {
  store: LimitStore;
  /** Time passes. */
  pass(milliseconds: number): Promise<void>;
  /** The clock is set, and no time passes. */
  step(milliseconds: number): Promise<void>;
  /** Resolves when what was ended before has arrived. */
  settled(): Promise<void>;
}

/** Noon, 2026-01-02. */
export const contractStart = new Date('2026-01-02T12:00:00Z');
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const request: LimitCost = { requests: 1, streams: 0, tokens: 0 };
const stream: LimitCost = { requests: 1, streams: 1, tokens: 0 };
const tokens = (count: number): LimitCost => ({ requests: 1, streams: 0, tokens: count });
let subjects = 0;
/** Of a subject that no other test has. */
const setOf = (allowance: Allowance, scope: LimitScope = 'key', subject = `s${(subjects += 1)}`): LimitSet =>
  new LimitSet(limitsOf(scope, subject, allowance));

/** What every store of limits promises. */
export function limitStoreContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`limits counted ${name}`, () => {
    let tested: StoreUnderTest;
    beforeEach(async () => {
      tested = await make();
    });
    afterEach(() => tested[Symbol.asyncDispose]());

    const admit = async (set: LimitSet, cost = request): Promise<LimitVerdict> => tested.store.admit(set, cost);
    const admitted = async (set: LimitSet, cost = request): Promise<LimitHold> => {
      const { hold } = await admit(set, cost);
      if (hold === undefined) throw new Error('the limit refuses');
      return hold;
    };
    const countAdmitted = async (set: LimitSet, tries: number, cost = request): Promise<number> => {
      let count = 0;
      for (let at = 0; at < tries; at += 1) if ((await admit(set, cost)).refusedBy === -1) count += 1;
      return count;
    };
    const end = async (hold: LimitHold, used = hold.cost.tokens): Promise<void> => {
      tested.store.end(hold, used);
      await tested.settled();
    };

    it('lets a burst in at once, and then as many as the rate gives back', async () => {
      const set = setOf({ requestsPerSecond: { perSecond: 10, burst: 5 } });
      expect(await countAdmitted(set, 8)).toBe(5);
      expect(await admit(set)).toMatchObject({ refusedBy: 0, retryAfterMs: expect.closeTo(100, 0) as number });
      await tested.pass(100);
      expect(await countAdmitted(set, 3)).toBe(1);
      await tested.pass(hour);
      expect(await countAdmitted(set, 8)).toBe(5);
    });

    it('says how much is left', async () => {
      const set = setOf({ requestsPerSecond: { perSecond: 1, burst: 3 }, requestsPerDay: 10, concurrentRequests: 4 });
      expect((await admit(set)).remaining).toEqual([2, 9, 3]);
      expect((await admit(set)).remaining).toEqual([1, 8, 2]);
    });

    it('counts a day by UTC, and begins anew at its midnight', async () => {
      const set = setOf({ requestsPerDay: 3 });
      expect(await countAdmitted(set, 5)).toBe(3);
      expect(await admit(set)).toMatchObject({ refusedBy: 0, retryAfterMs: 12 * hour, untilNextDayMs: 12 * hour });
      await tested.pass(12 * hour - 1);
      expect(await countAdmitted(set, 1)).toBe(0);
      await tested.pass(2);
      expect(await countAdmitted(set, 5)).toBe(3);
    });

    it('takes nothing of any limit when one refuses', async () => {
      const set = setOf({ requestsPerDay: 5, concurrentRequests: 1 });
      const hold = await admitted(set);
      expect(await countAdmitted(set, 10)).toBe(0);
      await end(hold);
      expect((await admit(set)).remaining).toEqual([3, 0]);
    });

    it('counts the same subject in sets of different callers together, and the tightest wins', async () => {
      const tenant = setOf({ requestsPerDay: 3 }, 'tenant');
      const [first, second_] = [setOf({ requestsPerDay: 2 }), setOf({ requestsPerDay: 2 })].map(
        (key) => new LimitSet([...key.limits, ...tenant.limits]),
      );
      expect(await countAdmitted(first!, 4)).toBe(2);
      expect(await countAdmitted(second_!, 4)).toBe(1);
      expect(await admit(second_!)).toMatchObject({ refusedBy: 1 });
    });

    it('names the limit that stays shut the longest', async () => {
      const set = setOf({ requestsPerSecond: { perSecond: 1, burst: 1 }, requestsPerDay: 1 });
      await admit(set);
      expect(await admit(set)).toMatchObject({ refusedBy: 1, retryAfterMs: 12 * hour });
    });

    it('holds a slot until it is given back, of requests and of streams apart', async () => {
      const set = setOf({ concurrentRequests: 3, concurrentStreams: 1 });
      const held = await admitted(set, stream);
      expect(await admit(set, stream)).toMatchObject({ refusedBy: 1, retryAfterMs: second });
      expect(await countAdmitted(set, 5)).toBe(2);
      await end(held);
      expect(await countAdmitted(set, 5, stream)).toBe(1);
    });

    it('reserves tokens and counts what was used', async () => {
      const set = setOf({ tokensPerMinute: 600, tokensPerDay: 1_000 });
      const held = await admitted(set, tokens(500));
      expect(await admit(set, tokens(200))).toMatchObject({
        refusedBy: 0,
        retryAfterMs: expect.closeTo(10 * second, -1) as number,
      });
      await end(held, 100);
      expect((await admit(set, tokens(200))).remaining).toEqual([300, 700]);
    });

    it('makes whoever used more than was reserved wait for it', async () => {
      const set = setOf({ tokensPerMinute: 600 });
      await end(await admitted(set, tokens(10)), 1_200);
      await tested.pass(minute);
      expect((await admit(set, tokens(1))).refusedBy).toBe(0);
      await tested.pass(second);
      expect((await admit(set, tokens(1))).refusedBy).toBe(-1);
    });

    it('does not give back today what was reserved yesterday', async () => {
      const set = setOf({ tokensPerDay: 100 });
      const held = await admitted(set, tokens(80));
      await tested.pass(13 * hour);
      await admit(set, tokens(70));
      await end(held, 0);
      expect((await admit(set, tokens(31))).refusedBy).toBe(0);
    });

    it('never lets in what asks for more than there can be, and says so', async () => {
      const set = setOf({ tokensPerMinute: 100 });
      expect(await admit(set, tokens(101))).toMatchObject({ refusedBy: 0, retryAfterMs: Infinity });
      expect((await admit(set, tokens(100))).refusedBy).toBe(-1);
    });

    it('lets nobody in whose limit is none at all', async () => {
      expect(await countAdmitted(setOf({ requestsPerDay: 0 }), 3)).toBe(0);
      expect(await countAdmitted(setOf({ concurrentRequests: 0 }), 3)).toBe(0);
    });

    it.each([second, hour, 11 * hour, 13 * hour, 10 * day])(
      'gives nobody more and locks nobody out when the clock steps back by %i ms',
      async (back) => {
        const daily = setOf({ requestsPerDay: 2 });
        const rate = setOf({ requestsPerSecond: { perSecond: 1, burst: 2 } });
        await tested.pass(minute);
        expect([await countAdmitted(daily, 4), await countAdmitted(rate, 4)]).toEqual([2, 2]);
        await tested.step(-back);
        expect([await countAdmitted(daily, 4), await countAdmitted(rate, 4)]).toEqual([0, 0]);
        await tested.pass(2 * second);
        expect([await countAdmitted(daily, 4), (await countAdmitted(rate, 4)) > 0]).toEqual([0, true]);
        // A day comes all the same, at the latest when the clock has been caught up with.
        await tested.pass(12 * hour + Math.min(back, hour));
        expect(await countAdmitted(daily, 4)).toBe(2);
        await tested.pass(hour);
        expect(await countAdmitted(daily, 4)).toBe(0);
      },
    );

    it('gives no second day to whoever waits at midnight for the clock to be set back', async () => {
      const set = setOf({ requestsPerDay: 2 });
      await tested.pass(11 * hour);
      expect(await countAdmitted(set, 4)).toBe(2);
      await tested.pass(hour + second);
      expect(await countAdmitted(set, 4)).toBe(2);
      for (let times = 0; times < 3; times += 1) {
        await tested.step(-2 * second);
        expect(await countAdmitted(set, 4)).toBe(0);
        await tested.pass(2 * second);
        expect(await countAdmitted(set, 4)).toBe(0);
      }
    });
  });
}
