import type { Llama, LlamaContext, LlamaGrammar, LlamaModel } from 'node-llama-cpp';

/**
 * The part of node-llama-cpp's native binding that continuous batching stands on. The package's own scheduler holds its
 * lock for as long as any sequence generates, so that a finished or cancelled sequence waits for all others before it is
 * free; and it lets sequences fall out of step, so that four streams cost four batches. See docs/decisions/0011. The binding
 * is not part of the package's public interface: its version is pinned, and what is missing is found at the start.
 */
export interface AddonContext {
  /** Makes room for a batch of so many tokens. */
  initBatch(tokens: number): void;
  /**
   * @param logitIndexes positions in `tokens` whose next token will be sampled
   * @returns where in the batch they are, in the same order
   */
  addToBatch(sequence: number, firstPosition: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  /** Evaluates the batch on a thread of its own. */
  decodeBatch(): Promise<void>;
  /** @returns -1 when nothing can come next */
  sampleToken(batchIndex: number, sampler: AddonSampler): Promise<number>;
  /** With the distribution that was sampled from: token, probability, token, probability, ... the most likely first. */
  sampleToken(
    batchIndex: number,
    sampler: AddonSampler,
    probabilities: true,
  ): Promise<[token: number, distribution: number[] | undefined]>;
  /** Forgets all that the sequence holds. */
  disposeSequence(sequence: number): void;
  /** Forgets positions from `start` up to, and without, `end`. @returns false when the model cannot do that */
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
}

export interface AddonSampler {
  applyConfig(config: SamplerConfig): void;
  dispose(): void;
}

export interface SamplerConfig {
  temperature: number;
  topP?: number;
  topK?: number;
  minP?: number;
  seed: number;
  repeatPenalty?: number;
  repeatPenaltyMaxTokens?: number;
  repeatPenaltyTokens?: Uint32Array;
  repeatPenaltyPresencePenalty?: number;
  repeatPenaltyFrequencyPenalty?: number;
  tokenBiasKeys?: Uint32Array;
  tokenBiasValues?: Float32Array;
  grammarEvaluationState?: GrammarState;
}

/** Where in a grammar a generation is. */
export type GrammarState = object;

export interface LlamaAddon {
  readonly context: AddonContext;
  newSampler(): AddonSampler;
  newGrammarState(grammar: LlamaGrammar): GrammarState;
}

interface Bindings {
  AddonSampler: new (model: object) => AddonSampler;
  AddonGrammarEvaluationState: new (model: object, grammar: object) => GrammarState;
}

const contextCalls = [
  'initBatch',
  'addToBatch',
  'decodeBatch',
  'sampleToken',
  'disposeSequence',
  'removeTokenCellsFromSequence',
] as const;

/** @throws Error when this version of node-llama-cpp has another binding */
export function addonOf(llama: Llama, model: LlamaModel, context: LlamaContext): LlamaAddon {
  const addonContext = innerOf(context, '_ctx') as AddonContext;
  const missing = contextCalls.find((name) => typeof addonContext[name] !== 'function');
  if (missing !== undefined) throw new Error(`node-llama-cpp has no ${missing}: install the version of package.json`);
  const bindings = innerOf(llama, '_bindings') as Bindings;
  const addonModel = innerOf(model, '_model');
  return {
    context: addonContext,
    newSampler: () => new bindings.AddonSampler(addonModel),
    newGrammarState: (grammar) => new bindings.AddonGrammarEvaluationState(addonModel, innerOf(grammar, '_grammar')),
  };
}

function innerOf(owner: object, name: string): object {
  const inner = (owner as Record<string, unknown>)[name];
  if (typeof inner !== 'object' || inner === null)
    throw new Error(`node-llama-cpp has no ${name}: install the version of package.json`);
  return inner;
}
