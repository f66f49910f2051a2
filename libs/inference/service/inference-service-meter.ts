import type { Used, WorstCase } from '#libs/access';
import type { SluiceError } from '#libs/kernel';
import type { BatchAnswer } from '../batching/batcher-request.js';
import type { ServedVersion } from '../routes/route-table.js';

/** The most that a request with tensors can use: an answer that takes longer than the caller waits is none. */
export function worstOf(endpoint: string, version: ServedVersion, rows: number, timeoutMs: number): WorstCase {
  return {
    endpoint,
    model: version.model,
    version: version.version,
    tokensIn: 0,
    tokensOut: 0,
    hasTokenLimit: false,
    rows,
    replicaMs: Math.ceil(timeoutMs),
  };
}

/** Each request of a batch used its replica for as long as the batch ran. */
export const usedOf = (error: SluiceError | undefined, answer: BatchAnswer | undefined, rows: number): Used => ({
  tokensIn: 0,
  tokensOut: 0,
  rows,
  replicaMs: answer?.modelMs ?? 0,
  isFailed: error !== undefined,
});
