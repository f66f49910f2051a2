import { describe, expect, it } from 'vitest';
import { evaluationGateSchema, gateMiss, type Evaluated } from './evaluation-gate.js';

const version = (f1: number, rest: object = {}, name = '2'): Evaluated => ({
  version: name,
  evaluation: { dataset: 'held-out', split: 'test', rows: 500, metrics: { f1, loss: 0.25 }, ...rest },
});
const miss = (gate: unknown, candidate: Evaluated, live?: Evaluated) =>
  gateMiss(evaluationGateSchema.parse(gate), candidate, live);

describe('a threshold', () => {
  it.each([
    ['f1 >= 0.80', 0.8],
    [' f1>=0.8 ', 0.81],
    [{ metric: 'f1', min: 0.8, dataset: 'held-out', split: 'test', minRows: 500 }, 0.8],
    [{ metric: 'loss', max: 0.25 }, 0],
    ['loss <= 2.5e-1', 0],
  ])('%o lets a version pass that reaches it', (gate, f1) => {
    expect(miss(gate, version(f1))).toBeUndefined();
  });

  it.each<[unknown, Evaluated, object]>([
    ['f1 >= 0.80', version(0.79), { metric: 'f1', wanted: 'f1 >= 0.8', got: '0.79' }],
    ['loss <= 0.1', version(1), { metric: 'loss', wanted: 'loss <= 0.1', got: '0.25' }],
    ['auc >= 0.5', version(1), { metric: 'auc', got: 'no such metric' }],
    ['toString >= 0', version(1), { metric: 'toString', got: 'no such metric' }],
    ['f1 >= 0.8', { version: '2', evaluation: undefined }, { got: 'none in its manifest' }],
    [{ metric: 'f1', min: 0, dataset: 'other' }, version(1), { wanted: 'dataset other', got: 'dataset held-out' }],
    [{ metric: 'f1', min: 0, split: 'dev' }, version(1), { wanted: 'split dev', got: 'split test' }],
    [{ metric: 'f1', min: 0, split: 'dev' }, version(1, { split: undefined }), { got: 'split not stated' }],
    [{ metric: 'f1', min: 0, minRows: 501 }, version(1), { wanted: 'at least 501 rows', got: '500' }],
    [{ metric: 'f1', min: 0, minRows: 1 }, version(1, { rows: undefined }), { got: 'rows not stated' }],
  ])('%o says what it wanted and what it got', (gate, candidate, expected) => {
    expect(miss(gate, candidate)).toMatchObject(expected);
  });
});

describe('a bound on regression', () => {
  const gate = { metric: 'f1', maxRegression: 0.01 };

  it('compares with the live version, in the direction that the metric has', () => {
    expect(miss(gate, version(0.81), version(0.82, {}, '1'))).toBeUndefined();
    expect(miss(gate, version(0.7), version(0.69, {}, '1'))).toBeUndefined();
    expect(miss(gate, version(0.8), version(0.82, {}, '1'))).toEqual({
      metric: 'f1',
      wanted: 'f1 at most 0.01 worse than that of the live version 1 (0.82)',
      got: '0.8',
    });
    const lower = { metric: 'f1', maxRegression: 0, better: 'lower' };
    expect(miss(lower, version(0.82), version(0.8, {}, '1'))).toBeDefined();
    expect(miss(lower, version(0.8), version(0.8, {}, '1'))).toBeUndefined();
  });

  it('asks nothing of the first version of an endpoint', () => {
    expect(miss(gate, version(0.1))).toBeUndefined();
  });

  it('refuses what cannot be compared', () => {
    expect(miss(gate, version(0.9), { version: '1', evaluation: undefined })?.got).toBe('version 1 states no f1');
    expect(miss(gate, version(0.9), version(0.1, { metrics: {} }, '1'))?.got).toBe('version 1 states no f1');
    expect(miss(gate, version(0.9), version(0.1, { dataset: 'other' }, '1'))?.got).toBe(
      'held-out/test cannot be compared with other/test',
    );
    expect(miss(gate, version(0.9), version(0.1, { split: undefined }, '1'))?.got).toContain('cannot be compared');
  });
});

it.each([
  'f1',
  'f1 > 0.8',
  'f1 >= x',
  'f1 >= 1e999',
  '>= 1',
  { metric: 'f1' },
  { metric: 'f1', min: 1, max: 0 },
  { metric: 'f1', maxRegression: -1 },
  { metric: 'f1', min: Number.POSITIVE_INFINITY },
  { metric: 'f1', min: 0, unknown: 1 },
  `f1${' '.repeat(200)}>= 1`,
])('%o is no threshold', (gate) => {
  expect(evaluationGateSchema.safeParse(gate).success).toBe(false);
});
