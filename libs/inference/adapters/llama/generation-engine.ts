import { Generation, type GenerationRequest } from './generation.js';
import type { LlamaAddon } from './llama-addon.js';

export interface EngineSettings {
  addon: LlamaAddon;
  /** Generations at the same time. */
  sequences: number;
  /** Tokens that one sequence holds, prompt and answer together. */
  contextTokens: number;
  /** Most prompt tokens that one step evaluates: what a running stream waits for between two of its tokens. */
  chunkTokens: number;
  /** Most generations that wait for a sequence. */
  maxWaiting: number;
  isEndToken(token: number): boolean;
}

export interface EngineLoad {
  readonly sequences: number;
  readonly freeSequences: number;
  readonly waiting: number;
}

/** One generation's share of a step. */
interface Share {
  readonly sequence: number;
  readonly generation: Generation;
  readonly batchIndex: number | undefined;
}

/**
 * Continuous batching: each step evaluates one token of every sequence that generates, and a piece of those prompts that
 * are still being read, in one batch. A generation joins and leaves between two steps. All decisions fall in one place, so
 * a cancelled or failed generation's sequence is free before the next step begins.
 */
export class GenerationEngine {
  private readonly free: number[];
  private readonly running = new Map<number, Generation>();
  private readonly waiting: Generation[] = [];
  private turning: Promise<void> | undefined;
  /** On the monotonic clock; undefined between two steps. */
  private stepBeganMs: number | undefined;

  constructor(private readonly settings: EngineSettings) {
    this.free = Array.from({ length: settings.sequences }, (_value, index) => index);
  }

  get load(): EngineLoad {
    return {
      sequences: this.settings.sequences,
      freeSequences: this.free.length,
      waiting: this.waiting.length,
    };
  }

  /** Milliseconds since the step under way has begun; 0 without one. */
  get stepMs(): number {
    return this.stepBeganMs === undefined ? 0 : performance.now() - this.stepBeganMs;
  }

  /** @returns undefined when the queue is full */
  submit(requests: readonly GenerationRequest[]): Generation[] | undefined {
    // What is one call to its caller comes in whole, and is bounded there.
    if (this.waiting.length >= this.settings.maxWaiting + this.free.length) return undefined;
    const generations = requests.map((request) => new Generation(request, () => this.wake()));
    this.waiting.push(...generations);
    this.wake();
    return generations;
  }

  /** Ends everything as cancelled, and resolves when nothing runs. */
  async stop(): Promise<void> {
    for (const generation of [...this.waiting, ...this.running.values()]) generation.cancel();
    await this.turning;
  }

  private wake(): void {
    this.turning ??= this.turn().finally(() => {
      this.turning = undefined;
      // What came while the last turn was ending.
      if (this.hasWork()) this.wake();
    });
  }

  private hasWork(): boolean {
    const isRunnable = [...this.running.values()].some((generation) => generation.isOver || !generation.isPaused);
    return isRunnable || this.waiting.some(({ isOver }) => isOver) || (this.waiting.length > 0 && this.free.length > 0);
  }

  private async turn(): Promise<void> {
    // Requests that come in one turn of the event loop start in one batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.hasWork()) {
      this.clear();
      this.admit();
      this.stepBeganMs = performance.now();
      await this.step().finally(() => (this.stepBeganMs = undefined));
    }
  }

  private clear(): void {
    for (const [sequence, generation] of this.running) {
      if (!generation.isOver) continue;
      this.running.delete(sequence);
      this.settings.addon.context.disposeSequence(sequence);
      this.free.push(sequence);
      generation.close();
    }
    for (const generation of this.waiting.filter(({ isOver }) => isOver)) {
      this.waiting.splice(this.waiting.indexOf(generation), 1);
      generation.close();
    }
  }

  private admit(): void {
    while (this.free.length > 0 && this.waiting.length > 0) this.running.set(this.free.shift()!, this.waiting.shift()!);
  }

  private async step(): Promise<void> {
    const { addon } = this.settings;
    const plan = this.plan();
    if (plan.length === 0) return;
    let shares: Share[];
    try {
      addon.context.initBatch(plan.reduce((sum, { count }) => sum + count, 0));
      shares = plan.map((part) => this.addToBatch(part));
      await addon.context.decodeBatch();
    } catch (error) {
      // Which of them is at fault cannot be told, and what the model has seen of each is unknown.
      for (const { generation } of plan) generation.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    await Promise.all(shares.map((share) => this.sample(share)));
  }

  /** Sequences that generate come first, with one token each; prompts share what is left, the oldest first. */
  private plan(): { sequence: number; generation: Generation; count: number }[] {
    const ready = [...this.running].filter(([, { isPaused, isOver }]) => !isPaused && !isOver);
    let room = this.settings.chunkTokens;
    return ready.flatMap(([sequence, generation]) => {
      if (generation.pendingCount === 1) return [{ sequence, generation, count: 1 }];
      const count = Math.min(room, generation.pendingCount);
      room -= count;
      return count === 0 ? [] : [{ sequence, generation, count }];
    });
  }

  private addToBatch({
    sequence,
    generation,
    count,
  }: {
    sequence: number;
    generation: Generation;
    count: number;
  }): Share {
    const { tokens, isLast } = generation.take(count);
    const logitIndexes = isLast ? Uint32Array.of(tokens.length - 1) : new Uint32Array();
    const [batchIndex] = this.settings.addon.context.addToBatch(sequence, generation.position, tokens, logitIndexes);
    generation.position += tokens.length;
    return { sequence, generation, batchIndex };
  }

  private async sample({ sequence, generation, batchIndex }: Share): Promise<void> {
    if (batchIndex === undefined || generation.isOver) return;
    const { addon, contextTokens } = this.settings;
    try {
      const step = await generation.sample(addon, batchIndex);
      generation.accept(step, this.settings.isEndToken(step.token), addon, sequence, contextTokens);
    } catch (error) {
      generation.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
