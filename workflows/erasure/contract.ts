/** What a client needs to find and start an erasure: plain types, nothing of Temporal. */
export const erasureWorkflowType = 'erasure';
export const erasureWorkflowId = (erasureId: string): string => `erasure:${erasureId}`;

/** A subject is named by pseudonym alone: what stands in a history stays there. */
export interface ErasureInput {
  erasureId: string;
  subject: string;
}

export interface EraseAsk {
  erasureId: string;
  store: string;
}

export interface ErasedFromStore {
  store: string;
  erased: number;
}

export type ErasurePhase = 'requested' | 'erasing' | 'certifying' | 'erased';

export interface ErasureOutcome {
  stores: readonly ErasedFromStore[];
  certifiedAt: string;
}
