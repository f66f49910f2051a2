export type VerdictOutcome = 'worse' | 'not-worse' | 'undecided';

/** One metric that may stop a rollout, and what it says. */
export interface GuardrailVerdict {
  name: 'errors' | 'latency-p95';
  outcome: VerdictOutcome;
  /** Evidence against "the candidate is no worse": 1 is none; `threshold` or more is enough. Absent when nothing could be compared. */
  eValue?: number;
  threshold: number;
  /** Error share (0..1) or p95 in milliseconds. Absent when there is no data. */
  stable?: number;
  candidate?: number;
  /** One plain sentence with the numbers. */
  reason: string;
}

export interface Verdict {
  outcome: VerdictOutcome;
  reason: string;
  guardrails: GuardrailVerdict[];
}
