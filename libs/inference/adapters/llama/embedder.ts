import type { LlamaEmbeddingContext, Token } from 'node-llama-cpp';

/** Vectors of texts, one after the other: the binding evaluates one text at a time. */
export class Embedder {
  private waitingCount = 0;
  /** On the monotonic clock: when the last text was done, or the first one came. */
  private progressMs = 0;

  constructor(
    private readonly context: LlamaEmbeddingContext,
    private readonly maxWaiting: number,
  ) {}

  get waiting(): number {
    return this.waitingCount;
  }

  /** Milliseconds since something has got on, with texts to embed; 0 without any. */
  get stepMs(): number {
    return this.waitingCount === 0 ? 0 : performance.now() - this.progressMs;
  }

  /**
   * @param texts tokens of each text
   * @returns one vector of length 1 for each; undefined when the queue is full
   */
  async embed(texts: readonly (readonly number[])[], signal: AbortSignal): Promise<Float32Array[] | undefined> {
    if (this.waitingCount > this.maxWaiting) return undefined;
    if (this.waitingCount === 0) this.progressMs = performance.now();
    this.waitingCount += texts.length;
    let left = texts.length;
    try {
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        signal.throwIfAborted();
        const { vector } = await this.context.getEmbeddingFor(text.slice() as Token[]);
        vectors.push(unit(vector));
        this.progressMs = performance.now();
        this.waitingCount -= 1;
        left -= 1;
      }
      return vectors;
    } finally {
      this.waitingCount -= left;
    }
  }

  async dispose(): Promise<void> {
    await this.context.dispose();
  }
}

function unit(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length === 0 ? 0 : value / length));
}
