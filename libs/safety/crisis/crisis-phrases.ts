import type { PhraseGroup } from '../lexicon/lexicon.js';
import type { Severity } from '../contracts.js';

/**
 * What a phrase is about. `weak` ones say little alone: two different ones together count. `completed` tells of a death.
 * `means`, `time` and `intent` only raise the severity of others.
 */
export type CrisisKind =
  | 'passive'
  | 'active'
  | 'plan'
  | 'preparation'
  | 'attempt'
  | 'self-harm'
  | 'burden'
  | 'indirect'
  | 'coded'
  | 'harm-to-others'
  | 'abuse'
  | 'danger'
  | 'weak'
  | 'completed'
  | 'means'
  | 'time'
  | 'intent';

export interface CrisisPhrases extends PhraseGroup {
  readonly kind: CrisisKind;
  readonly severity: Severity;
  /** What the gate says for one such phrase in earnest, 0..1. */
  readonly score: number;
}
