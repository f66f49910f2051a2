export { type ArmEvidence, type CanaryEvidence, type EvidenceSegment } from './canary-evidence.js';
export { defaultGuardrails, type CanarySettings, type GuardrailSettings } from './canary-settings.js';
export { judgeCanary } from './canary-verdict.js';
export type { GuardrailVerdict, Verdict, VerdictOutcome } from './verdict.js';
export { grantOf, type GrantAsk, type GrantVerdict } from './budget-grant.js';
export { thresholdsReached } from './budget-threshold.js';
export {
  costMicros,
  freePrice,
  mostPriceMicros,
  tokensOutThatFit,
  worstCostMicros,
  type Consumption,
  type Price,
} from './request-cost.js';
