import { errorShare, noArmEvidence, totalOfArm, type CanaryEvidence } from './canary-evidence.js';
import type { CanarySettings } from './canary-settings.js';
import { judgeErrors } from './error-guardrail.js';
import { highestStableErrorShare, judgeLatency } from './latency-guardrail.js';
import { round } from './plain-numbers.js';
import type { GuardrailVerdict, Verdict } from './verdict.js';

const guardrailCount = 2;

/**
 * What the numbers say about the candidate. It may be asked at any time and as often as one likes: the chance that a
 * candidate that is no worse is ever called worse stays below `alpha` over the whole rollout. No data is no verdict.
 */
export function judgeCanary(evidence: CanaryEvidence, settings: CanarySettings): Verdict {
  const threshold = guardrailCount / settings.alpha;
  const guardrails = [
    judgeErrors(evidence, threshold, settings.errors.margin),
    judgeLatency(evidence, threshold, settings.latency),
  ];
  const worse = guardrails.filter((guardrail) => guardrail.outcome === 'worse');
  if (worse.length > 0) return { outcome: 'worse', reason: worse.map(accusation).join('; and '), guardrails };

  const missing = whatIsMissing(evidence, settings.minRequests) ?? silentGuardrail(evidence, guardrails);
  if (missing !== undefined) return { outcome: 'undecided', reason: missing, guardrails };
  return { outcome: 'not-worse', reason: guardrails.map((guardrail) => guardrail.reason).join('; '), guardrails };
}

function whatIsMissing(evidence: CanaryEvidence, minRequests: number): string | undefined {
  const present = evidence.segments.at(-1)?.candidate ?? noArmEvidence;
  if (totalOfArm(evidence, 'candidate').requests === 0) return 'the candidate has answered no request yet';
  if (totalOfArm(evidence, 'stable').requests === 0)
    return 'the stable version has answered no request to compare with';
  if (present.requests < minRequests)
    return `the candidate has answered ${present.requests} of ${minRequests} requests of this step`;
  return undefined;
}

// A guardrail without data has not passed. Only a stable version that is itself broken does not block its replacement.
function silentGuardrail(evidence: CanaryEvidence, guardrails: readonly GuardrailVerdict[]): string | undefined {
  if (errorShare(totalOfArm(evidence, 'stable')) > highestStableErrorShare) return undefined;
  return guardrails.find(({ outcome }) => outcome === 'undecided')?.reason;
}

const accusation = (guardrail: GuardrailVerdict): string =>
  `${guardrail.reason}; evidence ${round(guardrail.eValue ?? 0)} against a limit of ${round(guardrail.threshold)}`;
