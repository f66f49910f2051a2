import { errorShare, totalOfArm, type CanaryEvidence, type EvidenceSegment } from './canary-evidence.js';
import { fromLog, logCoinRatio, logMean } from './evidence-value.js';
import { perCent } from './plain-numbers.js';
import type { GuardrailVerdict } from './verdict.js';

/** How many times as often the candidate might fail: the prior puts the same weight on each. */
const rateRatios = [1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 300, 1_000];

/**
 * Does the candidate fail more often? Conditional on an error, it came from the candidate with the candidate's share of
 * the requests, whatever the base rate is doing; so each error is one flip of a coin of known bias.
 * Source: Lindon, Sanden and Shirikian, "Rapid Regression Detection in Software Deployments through Sequential Testing",
 * KDD 2022 (arXiv 2205.14762). The share differs from segment to segment, so each contributes its own ratio.
 */
export function judgeErrors(evidence: CanaryEvidence, threshold: number, margin: number): GuardrailVerdict {
  const comparable = evidence.segments.filter(({ stable, candidate }) => stable.requests > 0 && candidate.requests > 0);
  const stable = totalOfArm(evidence, 'stable');
  const candidate = totalOfArm(evidence, 'candidate');
  if (comparable.length === 0) {
    return {
      name: 'errors',
      outcome: 'undecided',
      threshold,
      reason: 'errors: there are no requests of both arms to compare',
    };
  }
  const logValues = rateRatios.map((ratio) =>
    comparable.reduce((sum, segment) => {
      const share = segment.candidate.requests / (segment.candidate.requests + segment.stable.requests);
      const shareIfWorse = (share * ratio) / (share * ratio + 1 - share);
      return sum + logCoinRatio(segment.candidate.errors, segment.stable.errors, shareIfWorse, share);
    }, 0),
  );
  const eValue = fromLog(logMean(logValues));
  const isBeyondMargin = excessShare(comparable) > margin;
  return {
    name: 'errors',
    outcome: eValue >= threshold && isBeyondMargin ? 'worse' : 'not-worse',
    eValue,
    threshold,
    stable: errorShare(stable),
    candidate: errorShare(candidate),
    reason:
      `errors: candidate ${perCent(errorShare(candidate))} of ${candidate.requests} requests, ` +
      `stable ${perCent(errorShare(stable))} of ${stable.requests}`,
  };
}

// Segment by segment: an hour in which everything failed must not hide what the candidate does in the next one.
function excessShare(segments: readonly EvidenceSegment[]): number {
  const requests = segments.reduce((sum, { candidate }) => sum + candidate.requests, 0);
  const excess = segments.reduce(
    (sum, { stable, candidate }) => sum + candidate.requests * (errorShare(candidate) - errorShare(stable)),
    0,
  );
  return excess / requests;
}
