/**
 * E-values: evidence against a hypothesis whose expectation under it is at most 1, at every moment of looking. Reaching
 * 1/alpha happens with chance alpha at most, however often one looks (Ville). All sums are of logarithms.
 */

/** JSON knows no infinity, and nobody needs more. */
const largestValue = 1e15;

export function fromLog(logValue: number): number {
  return Math.min(largestValue, Math.exp(logValue));
}

/** Logarithm of the mean of e-values given as logarithms. The mean of e-values is an e-value. */
export function logMean(logValues: readonly number[]): number {
  const largest = Math.max(...logValues);
  if (!Number.isFinite(largest)) return largest;
  const sum = logValues.reduce((total, value) => total + Math.exp(value - largest), 0);
  return largest + Math.log(sum / logValues.length);
}

/**
 * Likelihood ratio of coin flips with chance `alternative` against chance `assumed`, as a logarithm.
 * A count of zero adds nothing, even where its logarithm would be infinite.
 */
export function logCoinRatio(heads: number, tails: number, alternative: number, assumed: number): number {
  const ofHeads = heads === 0 ? 0 : heads * Math.log(alternative / assumed);
  const ofTails = tails === 0 ? 0 : tails * Math.log((1 - alternative) / (1 - assumed));
  return ofHeads + ofTails;
}
