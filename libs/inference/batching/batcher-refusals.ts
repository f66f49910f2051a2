import { sluiceError, type SluiceError } from '#libs/kernel';
import type { DrainRate } from './batcher-drain-rate.js';
import type { RequestQueue } from './batcher-queue.js';
import type { BatchRequest } from './batcher-request.js';

/** Where nothing can be computed: a replica is about to come, or is lost. */
export const retryAfterSeconds = 1;

/** The errors of requests that find no place, and when each may come again. */
export class Refusals {
  constructor(
    private readonly version: string,
    private readonly queue: RequestQueue,
    private readonly drain: DrainRate,
  ) {}

  notReady({ endpoint }: BatchRequest): SluiceError {
    return sluiceError('SLU_INFERENCE_NOT_READY', { endpoint, version: this.version }, { retryAfterSeconds });
  }

  /** @param seconds until when the one that refuses wants to be asked again, where it says so */
  overload({ endpoint }: BatchRequest, nowMs: number, seconds?: number): SluiceError {
    return refusal('SLU_INFERENCE_QUEUE_FULL', endpoint, seconds ?? this.drain.secondsFor(this.queue.count, nowMs));
  }

  // Its requests are answered in turn with those of the others, so as many of theirs go by.
  overuse({ endpoint, tenant, key }: BatchRequest, nowMs: number): SluiceError {
    return refusal('SLU_INFERENCE_OVERUSE', endpoint, this.drain.secondsFor(this.queue.turnsOf(tenant, key), nowMs));
  }
}

const refusal = (
  code: 'SLU_INFERENCE_QUEUE_FULL' | 'SLU_INFERENCE_OVERUSE',
  endpoint: string,
  seconds: number,
): SluiceError => sluiceError(code, { endpoint, retryAfterSeconds: seconds }, { retryAfterSeconds: seconds });
