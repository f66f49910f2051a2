import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import type { BatchRequest } from './batcher-request.js';
import { ReplicaFailure } from '../ports/replica.js';

export interface BatchFailure {
  /**
   * `rows`: the model answered, but not with one row for each row it was given. `replica`: it fails whatever it is given.
   */
  kind: 'model' | 'rows' | 'replica' | 'lost' | 'overload' | 'timeout';
  /** What a request gets that cannot be helped. */
  error: SluiceError;
  /** Something had reached the replica when it went: it may have died of it. */
  isDeath?: boolean;
  /** When an overloaded replica wants to be asked again. */
  retryAfterSeconds?: number | undefined;
}

const longestProblem = 300;

/** What a failed run means for the requests in it. */
export function failureOf(error: unknown, { endpoint, timeoutMs }: BatchRequest): BatchFailure {
  if (error instanceof ReplicaFailure) {
    switch (error.kind) {
      case 'lost':
        return {
          kind: 'lost',
          error: sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { cause: error }),
          isDeath: isDeath(error),
        };
      case 'overload':
        return {
          kind: 'overload',
          error: sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { cause: error }),
          retryAfterSeconds: error.retryAfterSeconds,
        };
      case 'timeout':
        return {
          kind: 'timeout',
          error: sluiceError('SLU_INFERENCE_TIMEOUT', { seconds: timeoutMs / 1_000 }, { cause: error }),
        };
      case 'model':
        if (error.blame !== 'replica') return { kind: 'model', error: modelFailed(error) };
        return { kind: 'replica', error: upstream(error, endpoint) };
    }
  }
  if (isSluiceError(error)) return { kind: error.code === 'SLU_INFERENCE_OUTPUT' ? 'rows' : 'model', error };
  return { kind: 'model', error: sluiceError('SLU_INTERNAL', {}, { cause: error }) };
}

function upstream(failure: ReplicaFailure, endpoint: string): SluiceError {
  const problem = failure.message.slice(0, longestProblem);
  return sluiceError('SLU_INFERENCE_UPSTREAM', { endpoint, problem }, { cause: failure });
}

function modelFailed(failure: ReplicaFailure): SluiceError {
  return sluiceError(
    'SLU_INFERENCE_MODEL_FAILED',
    { problem: failure.message.slice(0, longestProblem) },
    { cause: failure },
  );
}

/** How a connection ends under a call. One that never came about, or that we closed, says nothing about the input. */
const cutOff: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

function isDeath({ cause }: ReplicaFailure): boolean {
  return cause instanceof Error && cutOff.has((cause as { code?: unknown }).code);
}
