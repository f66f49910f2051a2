import { latencyTotal, mergeLatencyCounts, type LatencyCounts } from '#libs/kernel';

/** What one arm did: counted at the router, by the arm that really served. */
export interface ArmEvidence {
  requests: number;
  errors: number;
  latency: LatencyCounts;
}

/** One stretch of time with one split of the traffic. */
export interface EvidenceSegment {
  stable: ArmEvidence;
  candidate: ArmEvidence;
}

/** All segments of one rollout, in order; the last one is the step that runs now. */
export interface CanaryEvidence {
  segments: readonly EvidenceSegment[];
}

export const noArmEvidence: ArmEvidence = { requests: 0, errors: 0, latency: {} };

export function totalOfArm(evidence: CanaryEvidence, arm: keyof EvidenceSegment): ArmEvidence {
  const parts = evidence.segments.map((segment) => segment[arm]);
  return {
    requests: parts.reduce((sum, part) => sum + part.requests, 0),
    errors: parts.reduce((sum, part) => sum + part.errors, 0),
    latency: mergeLatencyCounts(parts.map((part) => part.latency)),
  };
}

/** Share of an arm's requests that failed; 0 when there were none. */
export const errorShare = (arm: ArmEvidence): number => (arm.requests === 0 ? 0 : arm.errors / arm.requests);

export const measuredCount = (arm: ArmEvidence): number => latencyTotal(arm.latency);
