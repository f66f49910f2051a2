import fc from 'fast-check';
import { expect, it } from 'vitest';
import { chooseArm, murmur3, stickyBucket } from './arm-choice.js';
import { liveEndpoint, servedVersion, type LiveEndpoint } from './route-table.js';

const versions = new Map(
  ['1', '2', '3'].map((version) => {
    const manifest = {
      schemaVersion: 1 as const,
      name: 'tone',
      version,
      format: 'onnx' as const,
      files: [],
      inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1] }],
      outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }],
    };
    return [`tone/${version}`, servedVersion(manifest, version)];
  }),
);

function route(...arms: [name: string, version: string, weight: number][]): LiveEndpoint {
  const row = {
    name: 'tone',
    model: 'tone',
    revision: 1,
    previousArms: null,
    arms: arms.map(([name, version, weight]) => ({ name, version, weight })),
  };
  return liveEndpoint(row, versions, undefined)!;
}

const never = (): number => {
  throw new Error('chance was asked');
};

it.each([
  ['', 0],
  ['hello', 0x248bfa47],
  ['hello, world', 0x149bbb7f],
  ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
])('hashes %j as the reference implementation does', (text, hash) => {
  expect(murmur3(Buffer.from(text), Buffer.byteLength(text))).toBe(hash);
});

it('spreads keys of every common form evenly over the buckets', () => {
  const forms: ((index: number) => string)[] = [
    (index) => String(index),
    (index) => `user-${index}`,
    (index) => `session:${index.toString(36).padStart(12, '0')}`,
    (index) => `person.${index}@example.org`,
  ];
  for (const keyOf of forms) {
    const cells = new Array<number>(100).fill(0);
    const keys = 100_000;
    for (let index = 0; index < keys; index += 1) cells[Math.floor(stickyBucket('tone', keyOf(index)) / 100)]! += 1;
    const expected = keys / cells.length;
    const chiSquare = cells.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 99 degrees of freedom: 148.2 is exceeded by chance in one of a thousand; the keys are fixed, so this never flickers.
    expect(chiSquare).toBeLessThan(148.2);
  }
});

it('puts one key into unrelated buckets at two endpoints', () => {
  const keys = 20_000;
  let bothLow = 0;
  for (let index = 0; index < keys; index += 1) {
    if (stickyBucket('tone', `u${index}`) < 1_000 && stickyBucket('mood', `u${index}`) < 1_000) bothLow += 1;
  }
  expect(bothLow / keys).toBeCloseTo(0.01, 2);
});

it('moves nobody out of the candidate when its weight rises', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(10_000), fc.nat(10_000), (key, one, other) => {
      const [low, high] = [Math.min(one, other) / 100, Math.max(one, other) / 100];
      const before = chooseArm(route(['stable', '1', 100 - low], ['candidate', '2', low]), key, never);
      const after = chooseArm(route(['stable', '1', 100 - high], ['candidate', '2', high]), key, never);
      if (before?.name === 'candidate') expect(after?.name).toBe('candidate');
    }),
  );
});

it('gives each arm its share of sticky keys and of chance', () => {
  const live = route(['stable', '1', 70], ['candidate', '2', 25], ['other', '3', 5]);
  const requests = 50_000;
  for (const sticky of [true, false]) {
    const counts: Record<string, number> = {};
    for (let index = 0; index < requests; index += 1) {
      // The golden ratio walks [0, 1) evenly, so the shares are exact without chance in the test.
      const arm = chooseArm(live, sticky ? `k${index}` : undefined, () => (index * 0.618_033_988_749_895) % 1)!;
      counts[arm.name] = (counts[arm.name] ?? 0) + 1;
    }
    expect(counts['stable']! / requests).toBeCloseTo(0.7, 1);
    expect(counts['candidate']! / requests).toBeCloseTo(0.25, 1);
    expect(counts['other']! / requests).toBeCloseTo(0.05, 1);
  }
});

it('sends nothing to an arm without weight, and all to an arm with all of it', () => {
  const live = route(['stable', '1', 100], ['candidate', '2', 0]);
  const all = route(['stable', '1', 0], ['candidate', '2', 100]);
  for (const chance of [0, 0.5, 0.999_999_999]) {
    expect(chooseArm(live, undefined, () => chance)?.name).toBe('stable');
    expect(chooseArm(all, undefined, () => chance)?.name).toBe('candidate');
  }
});

it('hashes a key of any length and script', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3_000 }), (key) => {
      const bytes = Buffer.from(`tone\0${key}`);
      expect(stickyBucket('tone', key)).toBe(murmur3(bytes, bytes.length) % 10_000);
    }),
  );
});
