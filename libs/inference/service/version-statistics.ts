/** How often something took place, and how long it took in sum. */
export interface DurationSum {
  count: number;
  ms: number;
}

export interface BatchSums {
  readonly computeInput: DurationSum;
  readonly computeInfer: DurationSum;
  readonly computeOutput: DurationSum;
}

/** One run that gave an answer. */
export interface ExecutedBatch {
  readonly rows: number;
  readonly requests: number;
  /** Sum over its requests. */
  readonly queuedMs: number;
  /** Putting the requests together. */
  readonly inputMs: number;
  /** At the replica, the way there and back included. */
  readonly inferMs: number;
  /** Parting the answer. */
  readonly outputMs: number;
}

const none = (): DurationSum => ({ count: 0, ms: 0 });

function add(sum: DurationSum, count: number, ms: number): void {
  sum.count += count;
  sum.ms += ms;
}

/**
 * What Triton's statistics extension tells of one version, counted by this process since its start. Plain additions: a
 * request pays for two of them, a batch for seven.
 */
export class VersionStatistics {
  /** Milliseconds since the epoch; 0 before the first request. */
  lastInferenceMs = 0;
  /** Rows that were answered. */
  inferenceCount = 0;
  executionCount = 0;
  readonly success = none();
  readonly fail = none();
  readonly queue = none();
  readonly computeInput = none();
  readonly computeInfer = none();
  readonly computeOutput = none();
  /** Answers of the response cache, which are no inferences and no executions. */
  readonly cacheHit = none();
  readonly cacheMiss = none();
  /** By number of rows. */
  readonly batches = new Map<number, BatchSums>();

  /** A request has its answer or its error. */
  ended(isAnswered: boolean, totalMs: number, atMs: number): void {
    this.lastInferenceMs = atMs;
    add(isAnswered ? this.success : this.fail, 1, totalMs);
  }

  /** The response cache was asked. */
  cacheAsked(isHit: boolean, ms: number): void {
    add(isHit ? this.cacheHit : this.cacheMiss, 1, ms);
  }

  executed({ rows, requests, queuedMs, inputMs, inferMs, outputMs }: ExecutedBatch): void {
    this.inferenceCount += rows;
    this.executionCount += 1;
    add(this.queue, requests, queuedMs);
    // Each request of a batch has waited for the whole of it.
    add(this.computeInput, requests, inputMs * requests);
    add(this.computeInfer, requests, inferMs * requests);
    add(this.computeOutput, requests, outputMs * requests);
    const batch = this.batchOf(rows);
    add(batch.computeInput, 1, inputMs);
    add(batch.computeInfer, 1, inferMs);
    add(batch.computeOutput, 1, outputMs);
  }

  private batchOf(rows: number): BatchSums {
    let batch = this.batches.get(rows);
    if (batch === undefined) {
      batch = { computeInput: none(), computeInfer: none(), computeOutput: none() };
      this.batches.set(rows, batch);
    }
    return batch;
  }
}

/** The statistics of all versions that this process has served. They stay when a version's replicas go. */
export class ServingStatistics {
  private readonly versions = new Map<string, VersionStatistics>();

  find(versionKey: string): VersionStatistics | undefined {
    return this.versions.get(versionKey);
  }

  of(versionKey: string): VersionStatistics {
    let found = this.versions.get(versionKey);
    if (found === undefined) this.versions.set(versionKey, (found = new VersionStatistics()));
    return found;
  }
}
