/** How sure a verdict must be, and how much worse is worse. */
export interface CanarySettings {
  /** Chance, over the whole rollout and all guardrails, of calling a candidate worse that is not. */
  alpha: number;
  errors: {
    /** The candidate is not called worse while its error share is within this absolute margin of stable's. */
    margin: number;
  };
  latency: {
    /** The candidate's p95 may be this many times stable's ... */
    maxRatio: number;
    /** ... or this many milliseconds above it, whichever allows more. */
    minExcessMs: number;
  };
  /** Requests of the candidate in the present step before it can be called not worse. */
  minRequests: number;
}

export type GuardrailSettings = Omit<CanarySettings, 'minRequests'>;

export const defaultGuardrails: GuardrailSettings = {
  alpha: 0.05,
  errors: { margin: 0.005 },
  latency: { maxRatio: 1.5, minExcessMs: 25 },
};
