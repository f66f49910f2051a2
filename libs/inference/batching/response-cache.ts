import { mebibytes, secondsToMs, type Clock } from '#libs/kernel';
import { LRUCache } from 'lru-cache';
import type { ServingSettings } from '../routes/route-table.js';
import { tensorsDigest } from '../tensors/tensor-digest.js';
import { heldBytes, type Tensor } from '../tensors/tensor.js';
import type { VersionStatistics } from '../service/version-statistics.js';

const defaultMaxBytes = mebibytes(16);
const defaultTtlSeconds = 3_600;
/** Larger requests pass by: their digest would hold up everybody else for more than it saves. */
const mostRequestBytes = mebibytes(1);
/** What an entry takes besides its tensors, about. */
const entryBytes = 512;

export interface ResponseCacheParts {
  clock: Clock;
  /** Counts the hits and misses. */
  statistics: Pick<VersionStatistics, 'cacheAsked'>;
}

/**
 * Answers of one model version, each for the key that asked and for exactly equal inputs: a hit tells that the same has
 * been asked before, which is nobody's business but that key's, whatever else its tenant has. All outputs are stored, so
 * that what a request selects of them is no part of the entry's name. Bounded by bytes; what was not used longest goes first.
 */
export class ResponseCache {
  private readonly answers: LRUCache<string, readonly Tensor[]>;

  constructor(
    private readonly contentDigest: string,
    { maxBytes = defaultMaxBytes, ttlSeconds = defaultTtlSeconds }: NonNullable<ServingSettings['responseCache']>,
    private readonly parts: ResponseCacheParts,
  ) {
    this.answers = new LRUCache({
      maxSize: maxBytes,
      ttl: secondsToMs(ttlSeconds),
      // A clock reading costs less than the timer that would save it.
      ttlResolution: 0,
      sizeCalculation: (outputs) => entryBytes + heldBytes(outputs),
      perf: { now: () => parts.clock.monotonicMs() },
    });
  }

  get bytes(): number {
    return this.answers.calculatedSize;
  }

  get entries(): number {
    return this.answers.size;
  }

  /** @param requestBytes as it came */
  takes(requestBytes: number): boolean {
    return requestBytes <= mostRequestBytes;
  }

  /** The caller is part of the name itself: no two callers can ever meet in one entry. */
  keyOf(caller: string, inputs: readonly Tensor[]): string {
    return tensorsDigest(`${caller.length}:${caller}${this.contentDigest}`, inputs);
  }

  /** @param startedMs when the key was begun: making it is the most of what a hit costs */
  get(key: string, startedMs: number): readonly Tensor[] | undefined {
    const outputs = this.answers.get(key);
    this.parts.statistics.cacheAsked(outputs !== undefined, this.parts.clock.monotonicMs() - startedMs);
    return outputs;
  }

  put(key: string, outputs: readonly Tensor[]): void {
    this.answers.set(key, outputs.map(ownCopy));
  }
}

// The rows of an answer are a view of the whole batch, which would stay in memory with it.
const ownCopy = (tensor: Tensor): Tensor => ({ ...tensor, data: tensor.data.slice() });
