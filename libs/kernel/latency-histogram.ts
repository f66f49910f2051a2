/**
 * A mergeable histogram of durations with a bounded relative error: bucket i holds values in
 * (gamma^(i-1), gamma^i] microseconds. With gamma = 1.05 a quantile read from it is at most 2.5 % off.
 * The scheme is the logarithmic mapping of DDSketch (Masson, Rim and Lee, VLDB 2019).
 */
const gamma = 1.05;
const logGamma = Math.log(gamma);
/** Bucket 0 holds everything up to 1 µs, the last one everything from about 300 s. */
export const latencyBucketCount = 400;

export function latencyBucket(milliseconds: number): number {
  const microseconds = milliseconds * 1_000;
  if (!(microseconds > 1)) return 0;
  return Math.min(latencyBucketCount - 1, Math.ceil(Math.log(microseconds) / logGamma));
}

/** Middle of a bucket, in milliseconds. */
export function latencyOfBucket(bucket: number): number {
  if (bucket === 0) return 0.001;
  return (2 * gamma ** bucket) / (gamma + 1) / 1_000;
}

/** Sparse form, as stored and sent: bucket index to count. */
export type LatencyCounts = Readonly<Record<string, number>>;

export function mergeLatencyCounts(parts: readonly LatencyCounts[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const part of parts) {
    for (const [bucket, count] of Object.entries(part)) sum[bucket] = (sum[bucket] ?? 0) + count;
  }
  return sum;
}

export function latencyTotal(counts: LatencyCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** @returns the quantile in milliseconds, or undefined when nothing was counted. */
export function latencyQuantile(counts: LatencyCounts, quantile: number): number | undefined {
  const total = latencyTotal(counts);
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil(quantile * total));
  let seen = 0;
  for (const bucket of Object.keys(counts)
    .map(Number)
    .sort((a, b) => a - b)) {
    seen += counts[String(bucket)] ?? 0;
    if (seen >= rank) return latencyOfBucket(bucket);
  }
  return undefined;
}

/** @returns how many of the counted durations lie above the limit (a bucket counts as above when its middle does). */
export function latencyCountAbove(counts: LatencyCounts, limitMs: number): number {
  let above = 0;
  for (const [bucket, count] of Object.entries(counts)) {
    if (latencyOfBucket(Number(bucket)) > limitMs) above += count;
  }
  return above;
}
