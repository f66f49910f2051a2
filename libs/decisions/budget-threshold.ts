/** The thresholds (whole per cent of the limit) that are reached by `spent` and were not by what was said before. */
export function thresholdsReached(
  thresholds: readonly number[],
  { spent, limit }: { spent: number; limit: number },
  said: readonly number[],
): number[] {
  // Compared as products of whole numbers: a share in floating point is once in a while just below what it is.
  return thresholds.filter(
    (percent) => !said.includes(percent) && BigInt(spent) * 100n >= BigInt(limit) * BigInt(percent),
  );
}
