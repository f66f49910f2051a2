import { describe, expect, it } from 'vitest';
import { validateRolloutRequest } from './rollout-request.js';

const least = { endpoint: 'tone', candidate: '2' };

describe('validateRolloutRequest', () => {
  it('fills in every default', () => {
    expect(validateRolloutRequest(least)).toEqual({
      endpoint: 'tone',
      candidate: '2',
      strategy: 'canary',
      steps: [5, 25, 50].map((weight) => ({ weight, minRequests: 200 })),
      guardrails: { alpha: 0.05, errors: { margin: 0.005 }, latency: { maxRatio: 1.5, minExcessMs: 25 } },
      stepLimitSeconds: 21_600,
      onUndecided: 'hold',
      loadLimitSeconds: 300,
      drainSeconds: 5,
    });
  });

  it.each<[field: string, body: unknown]>([
    ['body', null],
    ['body', 'tone'],
    ['endpoint', { candidate: '2' }],
    ['endpoint', { ...least, endpoint: '../x' }],
    ['candidate', { endpoint: 'tone' }],
    ['candidate', { ...least, candidate: '.hidden' }],
    ['strategy', { ...least, strategy: 'blue-green' }],
    ['steps', { ...least, steps: [] }],
    ['steps[0].weight', { ...least, steps: [{ weight: 0 }] }],
    ['steps[0].weight', { ...least, steps: [{ weight: 101 }] }],
    ['steps[1].weight', { ...least, steps: [{ weight: 25 }, { weight: 25 }] }],
    ['steps[0].minRequests', { ...least, steps: [{ weight: 5, minRequests: 0.5 }] }],
    ['steps[0].minSeconds', { ...least, steps: [{ weight: 5, minSeconds: 90 }], stepLimitSeconds: 60 }],
    ['steps[0]', { ...least, steps: [{ weight: 5, wait: 3 }] }],
    ['guardrails.alpha', { ...least, guardrails: { alpha: 0 } }],
    ['replicas', { ...least, replicas: 0 }],
    ['onUndecided', { ...least, onUndecided: 'shrug' }],
    ['body', { ...least, stable: '1' }],
  ])('refuses and names %s', (field, body) => {
    expect(() => validateRolloutRequest(body)).toThrow(
      expect.objectContaining({
        code: 'SLU_ROLLOUT_INVALID',
        detail: expect.objectContaining({ field }) as unknown,
      }) as Error,
    );
  });
});
