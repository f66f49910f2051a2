import type { CapacityAsk } from '#workflows/rollout/contract';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { counted, RolloutStage, spec } from './rollout-stage.js';

const days = (count: number): number => count * 86_400;

describe('the rollout workflow', () => {
  let stage: RolloutStage;
  beforeAll(async () => {
    stage = await RolloutStage.open();
  });
  afterAll(async () => {
    await stage[Symbol.asyncDispose]();
  });

  const weightsOf = (routes: readonly { arms: readonly { version: string; weight: number }[] }[]): number[] =>
    routes.map(({ arms }) => arms.find((arm) => arm.version === '2')?.weight ?? 0);

  it('promotes a good candidate step by step, with rising fences, and drains the version it replaced', async () => {
    const { deeds, result } = await stage.play({}, {}, async () => undefined);
    expect(result.outcome).toBe('promoted');
    expect(weightsOf(deeds.routes)).toEqual([5, 25, 50, 100]);
    expect(deeds.routes.map((route) => route.fence)).toEqual([1, 2, 3, 4]);
    expect(deeds.drained).toEqual(['1']);
    expect(deeds.finished).toMatchObject([{ outcome: 'promoted' }]);
  });

  it('rolls a failing candidate back at its first step and drains it', async () => {
    const { deeds, result } = await stage.play({ evidence: (ask) => counted(ask, 40, 0.2) }, {}, async () => undefined);
    expect(result).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringContaining('errors: candidate 20 %') as string,
    });
    expect(weightsOf(deeds.routes)).toEqual([5, 0]);
    expect(deeds.drained).toEqual(['2']);
  });

  it('never routes to a candidate that does not load', async () => {
    const { deeds, result } = await stage.play(
      { capacity: (ask) => (ask.version === '2' ? { isReady: false, ready: 0, problem: 'no such operator' } : {}) },
      {},
      async () => undefined,
    );
    expect(result).toEqual({ outcome: 'failed', reason: 'the candidate did not load: no such operator' });
    expect(deeds.routes).toEqual([]);
    expect(deeds.drained).toEqual(['2']);
  });

  it('waits three days for an approval, then goes on', async () => {
    const { deeds, result } = await stage.play(
      {},
      { steps: [{ weight: 10, minRequests: 50, approval: true }] },
      async (person) => {
        await person.untilPhase('awaiting-approval');
        await person.pass(days(3));
        expect(await person.phase()).toBe('awaiting-approval');
        await person.command('approve', { actor: 'key:approver' });
      },
    );
    expect(result.outcome).toBe('promoted');
    expect(weightsOf(deeds.routes)).toEqual([10, 100]);
    expect(deeds.lines.find((line) => line.kind === 'command')).toMatchObject({
      actor: 'key:approver',
      detail: { command: 'approve' },
    });
  });

  it('rolls back a candidate that turns bad while it waits for the approval', async () => {
    let isBad = false;
    const { result } = await stage.play(
      { evidence: (ask) => counted(ask, 400, isBad ? 0.3 : 0) },
      { steps: [{ weight: 10, minRequests: 50, approval: true }] },
      async (person) => {
        await person.untilPhase('awaiting-approval');
        isBad = true;
      },
    );
    expect(result.outcome).toBe('rolled-back');
  });

  it('holds when it is still undecided at the limit, and leaves the decision to a person', async () => {
    const { deeds, result } = await stage.play({ evidence: (ask) => counted(ask, 3) }, {}, async (person) => {
      await person.pass(spec.stepLimitSeconds + 60);
      await person.untilPhase('holding');
      await person.pass(days(1));
      expect(await person.phase()).toBe('holding');
      await person.command('abort', { actor: 'key:person', reason: 'no traffic' });
    });
    expect(result).toEqual({ outcome: 'aborted', reason: 'no traffic' });
    expect(weightsOf(deeds.routes)).toEqual([5, 0]);
  });

  it.each([
    ['promote', 'promoted', [5, 100]],
    ['rollback', 'rolled-back', [5, 0]],
  ] as const)('ends an undecided step by %s when told so beforehand', async (onUndecided, outcome, weights) => {
    const { deeds, result } = await stage.play(
      { evidence: (ask) => counted(ask, 3) },
      { stepLimitSeconds: 600, onUndecided },
      async () => undefined,
    );
    expect(result.outcome).toBe(outcome);
    expect(weightsOf(deeds.routes)).toEqual(weights);
  });

  it('keeps its weights while it is paused, and goes on where it was', async () => {
    let candidateRequests = 3;
    const { deeds, result } = await stage.play(
      { evidence: (ask) => counted(ask, candidateRequests) },
      {},
      async (person) => {
        await person.until(() => person.deeds.looks > 0);
        await person.command('pause');
        candidateRequests = 400;
        const { length } = person.deeds.routes;
        await person.pass(days(2));
        expect(await person.phase()).toBe('paused');
        expect(person.deeds.routes.length).toBe(length);
        await person.command('resume');
      },
    );
    expect(result.outcome).toBe('promoted');
    expect(weightsOf(deeds.routes)).toEqual([5, 25, 50, 100]);
  });

  it('rolls back a candidate that turns bad while the rollout is paused', async () => {
    let errorShare = 0;
    const { deeds, result } = await stage.play(
      { evidence: (ask) => counted(ask, 3 + errorShare * 400, errorShare) },
      {},
      async (person) => {
        await person.until(() => person.deeds.looks > 0);
        await person.command('pause');
        await person.pass(3_600);
        expect(await person.phase()).toBe('paused');
        errorShare = 0.3;
      },
    );
    expect(result.outcome).toBe('rolled-back');
    expect(weightsOf(deeds.routes)).toEqual([5, 0]);
  });

  it('takes no step on the numbers of the step before when the counters cannot be read', async () => {
    let failed = 0;
    const { deeds, result } = await stage.play(
      {
        evidence: (ask) => {
          if (ask.revisions.length === 1) return counted(ask, 400);
          if (failed++ < 3) throw ApplicationFailure.nonRetryable('the database is away');
          return counted(ask, 40, 0.3);
        },
      },
      {},
      async () => undefined,
    );
    expect(result.outcome).toBe('rolled-back');
    expect(weightsOf(deeds.routes)).toEqual([5, 25, 0]);
  });

  it('watches the candidate while it waits for its replicas, at a further step and before the promotion', async () => {
    for (const [steps, isDead] of [
      [spec.steps, (ask: CapacityAsk, steps: number) => ask.replicas === 1 && steps === 1],
      [[{ weight: 5, minRequests: 200 }], (ask: CapacityAsk) => ask.replicas === 4],
    ] as const) {
      let routes = 0;
      const { deeds, result } = await stage.play(
        {
          route: async () => void (routes += 1),
          capacity: (ask) => {
            if (ask.version === '1') return { desired: steps.length === 1 ? 4 : 1 };
            return isDead(ask, routes) ? { isReady: false, ready: 0, problem: 'none is ready' } : {};
          },
          evidence: (ask) => counted(ask, 400, ask.waitSeconds === 0 || ask.until === 'worse' ? 1 : 0),
        },
        { steps },
        async () => undefined,
      );
      expect(result.outcome).toBe('rolled-back');
      expect(weightsOf(deeds.routes)).toEqual([5, 0]);
    }
  });

  it('refuses an illegal command with the reason, and records nothing of it', async () => {
    const { deeds } = await stage.play({ evidence: (ask) => counted(ask, 3) }, {}, async (person) => {
      await person.until(() => person.deeds.looks > 0);
      await expect(person.command('approve')).rejects.toMatchObject({
        cause: { message: expect.stringContaining('waits for nobody') as string },
      });
      await person.command('abort');
    });
    expect(deeds.lines.filter((line) => line.kind === 'command').map((line) => line.detail['command'])).toEqual([
      'abort',
    ]);
  });

  it('waits for stable capacity before it rolls back', async () => {
    let asked = 0;
    const { deeds, result } = await stage.play(
      {
        evidence: (ask) => counted(ask, 40, 0.2),
        capacity: (ask) => {
          if (ask.version !== '1' || ask.replicas === 0) return {};
          asked += 1;
          return asked < 4 ? { isReady: false, ready: 0, problem: 'starting' } : {};
        },
      },
      {},
      async () => undefined,
    );
    expect(result.outcome).toBe('rolled-back');
    expect(asked).toBe(4);
    expect(weightsOf(deeds.routes)).toEqual([5, 0]);
  });

  it('gives the candidate as many replicas as stable had before it gets all traffic', async () => {
    const { deeds } = await stage.play(
      { capacity: (ask) => (ask.version === '1' ? { desired: 4 } : {}) },
      { steps: [{ weight: 50, minRequests: 10 }] },
      async () => undefined,
    );
    const forCandidate = deeds.capacity.filter((ask) => ask.version === '2').map((ask) => ask.replicas);
    expect(forCandidate).toEqual([1, 1, 4]);
  });

  it('takes a cancellation through Temporal as an abort', async () => {
    const { deeds, result } = await stage.play({ evidence: (ask) => counted(ask, 3) }, {}, async (person) => {
      await person.until(() => person.deeds.looks > 0);
      await person.handle.cancel();
    });
    expect(result.outcome).toBe('aborted');
    expect(weightsOf(deeds.routes)).toEqual([5, 0]);
  });

  it('goes on in a new run when its history has grown long, and loses nothing', async () => {
    const { deeds, result, handle } = await stage.play(
      {},
      { steps: [{ weight: 10, minRequests: 50, approval: true }] },
      async (person) => {
        await person.untilPhase('awaiting-approval');
        await person.pass(days(7));
        await person.command('approve');
      },
    );
    expect(result.outcome).toBe('promoted');
    expect(weightsOf(deeds.routes)).toEqual([10, 100]);
    expect(deeds.routes.map((route) => route.fence)).toEqual([1, 2]);
    const lastRun = await handle.describe();
    expect(lastRun.runId).not.toBe(handle.firstExecutionRunId);
    expect(deeds.lines.map((line) => line.sequence)).toEqual(deeds.lines.map((_, index) => index + 1));
  });
});
