import { latencyBucket } from '#libs/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  defaultGuardrails,
  judgeCanary,
  type ArmEvidence,
  type CanarySettings,
  type EvidenceSegment,
  type Verdict,
} from './index.js';

const settings: CanarySettings = { ...defaultGuardrails, minRequests: 200 };

function arm(requests: number, errors = 0, milliseconds = 10): ArmEvidence {
  return { requests, errors, latency: requests === 0 ? {} : { [latencyBucket(milliseconds)]: requests } };
}

const judge = (stable: ArmEvidence, candidate: ArmEvidence): Verdict =>
  judgeCanary({ segments: [{ stable, candidate }] }, settings);

const badness = { 'not-worse': 0, undecided: 0, worse: 1 } as const;

/** A small generator with a seed, so that a simulation is the same each time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Live {
  requests: number;
  errors: number;
  latency: Record<string, number>;
}

interface World {
  errorShare: { stable: number; candidate: number };
  slowdown?: number;
  steps: readonly { weight: number; requests: number }[];
  lookEvery: number;
}

/** Plays traffic through the steps and looks again and again. @returns candidate requests at the moment of "worse", if ever */
function simulate(world: World, random: () => number): number | undefined {
  const segments: { stable: Live; candidate: Live }[] = [];
  let ofCandidate = 0;
  for (const { weight, requests } of world.steps) {
    const segment = {
      stable: { requests: 0, errors: 0, latency: {} },
      candidate: { requests: 0, errors: 0, latency: {} },
    };
    segments.push(segment);
    for (let count = 1; count <= requests; count++) {
      const isCandidate = random() * 100 < weight;
      const live: Live = isCandidate ? segment.candidate : segment.stable;
      if (isCandidate) ofCandidate += 1;
      live.requests += 1;
      if (random() < (isCandidate ? world.errorShare.candidate : world.errorShare.stable)) live.errors += 1;
      // A long tail, as real latencies have.
      const milliseconds = 5 * Math.exp(1.2 * gaussian(random)) * (isCandidate ? (world.slowdown ?? 1) : 1);
      const bucket = latencyBucket(milliseconds);
      live.latency[bucket] = (live.latency[bucket] ?? 0) + 1;
      if (count % world.lookEvery === 0 && judgeCanary({ segments }, settings).outcome === 'worse') return ofCandidate;
    }
  }
  return undefined;
}

const gaussian = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const usualSteps = [
  { weight: 5, requests: 3_000 },
  { weight: 25, requests: 1_500 },
  { weight: 50, requests: 1_500 },
];

describe('judgeCanary', () => {
  it('gives no verdict without data of either arm', () => {
    expect(judgeCanary({ segments: [] }, settings).outcome).toBe('undecided');
    expect(judge(arm(0), arm(0)).outcome).toBe('undecided');
    expect(judge(arm(5_000), arm(0)).outcome).toBe('undecided');
    expect(judge(arm(0), arm(5_000)).outcome).toBe('undecided');
  });

  it('calls a like candidate not worse as soon as the requests of this step are there, and not before', () => {
    expect(judge(arm(3_800, 4), arm(199))).toMatchObject({
      outcome: 'undecided',
      reason: 'the candidate has answered 199 of 200 requests of this step',
    });
    expect(judge(arm(3_800, 4), arm(200)).outcome).toBe('not-worse');
  });

  it('counts the requests of the present step only', () => {
    const before: EvidenceSegment = { stable: arm(3_800), candidate: arm(200) };
    const now: EvidenceSegment = { stable: arm(90), candidate: arm(30) };
    expect(judgeCanary({ segments: [before, now] }, settings).outcome).toBe('undecided');
  });

  it('calls a candidate that fails a fifth of its requests at 5 % of traffic worse within a few dozen of them', () => {
    const verdict = judge(arm(570, 1), arm(30, 6));
    expect(verdict).toMatchObject({
      outcome: 'worse',
      reason: expect.stringContaining('errors: candidate 20 % of 30 requests') as string,
    });
  });

  it('never lets a stable version that fails everything block its replacement', () => {
    expect(judge(arm(3_800, 3_800), arm(200, 0)).outcome).toBe('not-worse');
    expect(judge(arm(3_800, 3_800), arm(200, 200)).outcome).toBe('not-worse');
    // It fails within a millisecond, and the replacement takes its time to answer.
    expect(judge(arm(3_800, 3_800, 0.5), arm(200, 0, 90)).outcome).toBe('not-worse');
  });

  it('does not pass a candidate on one guardrail alone while stable has too few answers for a p95', () => {
    const verdict = judge(arm(10), arm(400, 0, 5_000));
    expect(verdict.outcome).toBe('undecided');
    expect(verdict.reason).toContain('yardstick');
  });

  it('sees what the candidate does now although everything failed in an earlier segment', () => {
    const outage = { stable: arm(9_500, 4_750), candidate: arm(500, 250) };
    const now = { stable: arm(5_000, 0), candidate: arm(5_000, 400) };
    expect(judgeCanary({ segments: [outage, now] }, settings).outcome).toBe('worse');
  });

  it('calls a candidate whose answers are 100 ms slower worse, and says so in milliseconds', () => {
    const verdict = judge(arm(950, 0, 10), arm(50, 0, 110));
    expect(verdict.outcome).toBe('worse');
    expect(verdict.reason).toMatch(
      /p95 latency: candidate 1[01]\d ms, stable \d+(\.\d+)? ms; 50 of 50 answers over the limit/,
    );
  });

  it('forgives latency within the allowed ratio and the allowed excess', () => {
    expect(judge(arm(3_800, 0, 200), arm(200, 0, 280)).outcome).toBe('not-worse');
    expect(judge(arm(3_800, 0, 2), arm(200, 0, 20)).outcome).toBe('not-worse');
  });

  it('does not fuss over an error share within the margin, however sure it is', () => {
    expect(judge(arm(1_000_000, 100), arm(1_000_000, 1_000)).outcome).toBe('not-worse');
  });

  it('adds up evidence over steps with different shares of the traffic', () => {
    const step = (stable: number, candidate: number): EvidenceSegment => ({
      stable: arm(stable),
      candidate: arm(candidate, 1),
    });
    expect(judgeCanary({ segments: [step(100, 10)] }, settings).guardrails[0]?.outcome).toBe('not-worse');
    expect(
      judgeCanary({ segments: [step(100, 10), step(100, 10), step(60, 20)] }, settings).guardrails[0]?.eValue,
    ).toBeGreaterThan(40);
  });

  it('carries only numbers that JSON can carry, even when the evidence is overwhelming', () => {
    for (const guardrail of judge(arm(1_000_000), arm(1_000_000, 1_000_000, 9_000)).guardrails) {
      expect(Number.isFinite(guardrail.eValue)).toBe(true);
    }
  });

  it('never gets better for more errors of the candidate', () => {
    const count = fc.integer({ min: 0, max: 3_000 });
    fc.assert(
      fc.property(
        count,
        count,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (stable, candidate, failing, more) => {
          const stableErrors = Math.floor(stable * failing * 0.2);
          const fewer = Math.floor(candidate * failing);
          const worse = Math.floor(fewer + (candidate - fewer) * more);
          const before = judge(arm(stable, stableErrors), arm(candidate, fewer));
          const after = judge(arm(stable, stableErrors), arm(candidate, worse));
          expect(badness[after.outcome]).toBeGreaterThanOrEqual(badness[before.outcome]);
        },
      ),
    );
  });

  it('never gets worse for more errors of the stable version', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2_000 }),
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 0, max: 2_000 }),
        (errors, failed, extra) => {
          const before = judge(arm(4_000, errors), arm(200, failed));
          const after = judge(arm(4_000, errors + extra), arm(200, failed));
          expect(badness[after.outcome]).toBeLessThanOrEqual(badness[before.outcome]);
        },
      ),
    );
  });

  it.each([0.001, 0.02, 0.3])(
    'calls an equal candidate worse in at most alpha of rollouts, looking every 50 requests (errors %d)',
    (share) => {
      const random = seeded(20_221);
      const rollouts = 150;
      const equal = { errorShare: { stable: share, candidate: share }, steps: usualSteps, lookEvery: 50 };
      let accused = 0;
      for (let run = 0; run < rollouts; run++) if (simulate(equal, random) !== undefined) accused += 1;
      expect(accused / rollouts).toBeLessThanOrEqual(settings.alpha);
    },
  );

  it('finds a candidate that fails 20 % against 1 % within 60 of its requests, nearly always', () => {
    const random = seeded(7);
    const broken = {
      errorShare: { stable: 0.01, candidate: 0.2 },
      steps: [{ weight: 5, requests: 4_000 }],
      lookEvery: 20,
    };
    const found = Array.from({ length: 200 }, () => simulate(broken, random));
    const within = found.filter((requests) => requests !== undefined && requests <= 60).length;
    expect(found.every((requests) => requests !== undefined)).toBe(true);
    expect(within / found.length).toBeGreaterThan(0.95);
  });

  it('finds a candidate that is three times as slow', () => {
    const random = seeded(11);
    const slow = { errorShare: { stable: 0, candidate: 0 }, slowdown: 3, steps: usualSteps, lookEvery: 50 };
    const found = Array.from({ length: 50 }, () => simulate(slow, random)).filter((requests) => requests !== undefined);
    expect(found.length / 50).toBeGreaterThan(0.9);
  });
});
