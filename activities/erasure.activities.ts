import type { EraseAsk, ErasureInput } from '#workflows/erasure/contract';
import { mapped } from './mapped-failure.js';

/** What the activities need of the world. */
export interface ErasurePorts {
  ledger: {
    /** @returns the names of all stores, in the order in which they are to be erased */
    plan(input: ErasureInput): Promise<string[]>;
    /** @returns how many were erased by all attempts together */
    eraseFrom(ask: EraseAsk): Promise<number>;
    /** @returns when it was certified, the first time */
    certify(erasureId: string): Promise<string>;
  };
}

export type ErasureActivities = ReturnType<typeof createErasureActivities>;

/** The erasure's effects. Each may run twice; none erases or counts anything the second time. */
export function createErasureActivities({ ledger }: ErasurePorts) {
  return {
    planErasure: (input: ErasureInput): Promise<string[]> => mapped(() => ledger.plan(input)),
    eraseFrom: (ask: EraseAsk): Promise<number> => mapped(() => ledger.eraseFrom(ask)),
    certify: (erasureId: string): Promise<string> => mapped(() => ledger.certify(erasureId)),
  };
}
