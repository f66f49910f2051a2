import { latencyCountAbove, latencyQuantile } from '#libs/kernel';
import { errorShare, measuredCount, totalOfArm, type CanaryEvidence, type EvidenceSegment } from './canary-evidence.js';
import type { CanarySettings } from './canary-settings.js';
import { fromLog, logCoinRatio, logMean } from './evidence-value.js';
import { milliseconds, round } from './plain-numbers.js';
import type { GuardrailVerdict } from './verdict.js';

const quantile = 0.95;
const allowedShare = 1 - quantile;
/** Shares of too slow answers that would be worse. Starting well above 5 % forgives a pause that hits a few answers at once. */
const slowShares = [0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.8, 0.95];
/** Below so many answers a p95 is one answer's accident. */
const fewestStableAnswers = 20;
/** A stable arm that mostly fails answers fast or slow for reasons of its own: its latency is no yardstick. */
export const highestStableErrorShare = 0.2;

/**
 * Is the candidate's p95 beyond the limit that stable's p95 sets? If it is not, at most 5 % of its answers are slower than the limit;
 * the count of slower ones is tested against that, by a mixture over higher shares, per segment with the limit of that segment.
 */
export function judgeLatency(
  evidence: CanaryEvidence,
  threshold: number,
  allowed: CanarySettings['latency'],
): GuardrailVerdict {
  const stable = latencyQuantile(totalOfArm(evidence, 'stable').latency, quantile);
  const candidate = latencyQuantile(totalOfArm(evidence, 'candidate').latency, quantile);
  const comparable = evidence.segments.filter(isComparable);
  if (comparable.length === 0 || stable === undefined || candidate === undefined) {
    return {
      name: 'latency-p95',
      outcome: 'undecided',
      threshold,
      reason: 'p95 latency: stable gives no yardstick to compare with',
    };
  }
  const counted = comparable.map((segment) => slowAnswers(segment, allowed));
  const logValues = slowShares.map((share) =>
    counted.reduce((sum, { slow, quick }) => sum + logCoinRatio(slow, quick, share, allowedShare), 0),
  );
  const eValue = fromLog(logMean(logValues));
  const slow = counted.reduce((sum, part) => sum + part.slow, 0);
  const answers = counted.reduce((sum, part) => sum + part.slow + part.quick, 0);
  return {
    name: 'latency-p95',
    outcome: eValue >= threshold ? 'worse' : 'not-worse',
    eValue,
    threshold,
    stable,
    candidate,
    reason:
      `p95 latency: candidate ${milliseconds(candidate)}, stable ${milliseconds(stable)}; ` +
      `${slow} of ${answers} answers over the limit (${limitsOf(counted.map((part) => part.limitMs))})`,
  };
}

function isComparable({ stable, candidate }: EvidenceSegment): boolean {
  return (
    measuredCount(stable) >= fewestStableAnswers &&
    measuredCount(candidate) > 0 &&
    errorShare(stable) <= highestStableErrorShare
  );
}

function slowAnswers(
  { stable, candidate }: EvidenceSegment,
  allowed: CanarySettings['latency'],
): { limitMs: number; slow: number; quick: number } {
  const p95 = latencyQuantile(stable.latency, quantile) ?? 0;
  const limitMs = Math.max(p95 * allowed.maxRatio, p95 + allowed.minExcessMs);
  const slow = latencyCountAbove(candidate.latency, limitMs);
  return { limitMs, slow, quick: measuredCount(candidate) - slow };
}

function limitsOf(limitsMs: readonly number[]): string {
  const lowest = round(Math.min(...limitsMs));
  const highest = round(Math.max(...limitsMs));
  return lowest === highest ? `${lowest} ms` : `${lowest} to ${highest} ms`;
}
