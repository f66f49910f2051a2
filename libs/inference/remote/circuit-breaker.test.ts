import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CircuitBreaker, type CallOutcome, type CircuitPass } from './circuit-breaker.js';

const settings = { failureRatio: 0.5, minCalls: 4, windowMs: 1_000, openMs: 500 };

function setUp(change: Partial<typeof settings> = {}) {
  const clock = { nowMs: 10_000, monotonicMs: () => clock.nowMs };
  const breaker = new CircuitBreaker({ ...settings, ...change }, clock);
  const call = (outcome: CallOutcome): boolean => {
    const pass = breaker.begin();
    if (pass !== undefined) breaker.end(pass, outcome);
    return pass !== undefined;
  };
  return { clock, breaker, call };
}

it('opens when enough calls of the window failed, and not before', () => {
  const { breaker, call } = setUp();
  for (const outcome of ['ok', 'ok', 'failed'] as const) call(outcome);
  expect(breaker.state).toBe('closed');
  call('failed');
  expect(breaker.state).toBe('open');
  expect(call('ok')).toBe(false);
});

it('forgets failures that lie behind the window, and calls that say nothing', () => {
  const { clock, breaker, call } = setUp();
  for (let count = 0; count < 3; count += 1) call('failed');
  for (let count = 0; count < 50; count += 1) call('unknown');
  clock.nowMs += 1_001;
  call('failed');
  expect(breaker.state).toBe('closed');
});

it('lets one call at a time try when its time has passed, and closes or opens by what that one meets', () => {
  const { clock, breaker, call } = setUp();
  for (let count = 0; count < 4; count += 1) call('failed');
  clock.nowMs += 499;
  expect(breaker.state).toBe('open');
  clock.nowMs += 1;
  expect(breaker.state).toBe('half-open');
  const trial = breaker.begin()!;
  expect([trial.isTrial, breaker.begin()]).toEqual([true, undefined]);
  breaker.end(trial, 'unknown');
  expect(breaker.state).toBe('half-open');
  expect(call('failed')).toBe(true);
  expect(breaker.state).toBe('open');
  clock.nowMs += 500;
  call('ok');
  expect(breaker.state).toBe('closed');
  // It begins anew: what opened it is no longer counted.
  call('failed');
  expect(breaker.state).toBe('closed');
});

it('takes no notice of an answer from before a change', () => {
  const { clock, breaker, call } = setUp();
  const late = breaker.begin()!;
  for (let count = 0; count < 4; count += 1) call('failed');
  clock.nowMs += 500;
  const trial = breaker.begin()!;
  breaker.end(late, 'failed');
  expect(breaker.state).toBe('half-open');
  breaker.end(trial, 'ok');
  breaker.fail(trial);
  breaker.end(late, 'ok');
  expect(breaker.state).toBe('closed');
});

type Step = { kind: 'begin' } | { kind: 'end'; which: number; outcome: CallOutcome } | { kind: 'pass'; ms: number };

const steps = fc.array(
  fc.oneof(
    fc.constant<Step>({ kind: 'begin' }),
    fc.record<Step & { kind: 'end' }>({
      kind: fc.constant('end'),
      which: fc.nat(20),
      outcome: fc.constantFrom('ok', 'failed', 'unknown'),
    }),
    fc.record<Step & { kind: 'pass' }>({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 700 }) }),
  ),
  { maxLength: 200 },
);

it('never lets anything through while open, nor two at once while half open, whatever happens', () => {
  fc.assert(
    fc.property(steps, (script) => {
      const { clock, breaker } = setUp();
      const running: CircuitPass[] = [];
      let openedAtMs: number | undefined;
      for (const step of script) {
        const before = breaker.state;
        if (step.kind === 'pass') clock.nowMs += step.ms;
        else if (step.kind === 'begin') {
          const pass = breaker.begin();
          if (before === 'open') expect(pass).toBeUndefined();
          if (before === 'closed') expect(pass?.isTrial).toBe(false);
          if (pass !== undefined) running.push(pass);
        } else {
          const [pass] = running.splice(step.which % Math.max(1, running.length), 1);
          if (pass !== undefined) breaker.end(pass, step.outcome);
        }
        const { state } = breaker;
        if (state === 'open' && before !== 'open') openedAtMs = clock.nowMs;
        // It stays open for its whole time, and no longer.
        if (state === 'open') expect(clock.nowMs - openedAtMs!).toBeLessThan(settings.openMs);
        const trials = running.filter(({ isTrial, era }) => isTrial && era === running.at(-1)?.era);
        expect(trials.length).toBeLessThanOrEqual(1);
      }
    }),
  );
});

it('opens for no mixture of outcomes whose failures stay below the ratio', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (isFailure) => {
      const { clock, breaker, call } = setUp();
      let [failures, calls] = [0, 0];
      for (const wants of isFailure) {
        const outcome = wants && (failures + 1) / (calls + 1) < settings.failureRatio ? 'failed' : 'ok';
        call(outcome);
        calls += 1;
        if (outcome === 'failed') failures += 1;
        clock.nowMs += 1;
      }
      // All of it lies within one window, so the breaker has seen what was counted here.
      expect(breaker.state).toBe('closed');
    }),
  );
});
