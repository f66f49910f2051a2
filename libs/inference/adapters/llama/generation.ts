import type { LlamaGrammar } from 'node-llama-cpp';
import type { AddonSampler, LlamaAddon } from './llama-addon.js';
import { type Sampling, samplerConfigOf } from './sampling.js';

/** One token that was chosen, and what else might have been, by the model's own distribution. */
export interface GeneratedToken {
  readonly token: number;
  /** Natural logarithm of its probability; only where asked for. */
  readonly logprob?: number | undefined;
  /** The most likely tokens and their logarithms, as many as were asked for. */
  readonly top?: readonly (readonly [token: number, logprob: number])[] | undefined;
}

export type GenerationEnd =
  /** The model ended by itself. */
  | { readonly kind: 'done' }
  /** The listener has enough. */
  | { readonly kind: 'stopped' }
  /** `maxTokens` were generated, or the context is full. */
  | { readonly kind: 'length' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly error: Error };

/** What is to come after a token. */
export type NextMove =
  | 'go on'
  | 'stop'
  /** Takes back the generated tokens from the `from`th on, puts `tokens` in their place, and goes on under `grammar`. */
  | { readonly from: number; readonly tokens: readonly number[]; readonly grammar: LlamaGrammar };

export interface GenerationRequest {
  /** At least one. */
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly grammar?: LlamaGrammar | undefined;
  /** How many likely tokens are told with each; undefined tells no probabilities, 0 the chosen token's alone. */
  readonly topLogprobs?: number | undefined;
  onToken(token: GeneratedToken): NextMove;
  onEnd(end: GenerationEnd): void;
}

/** One answer in the making: a prompt, what has been generated, and where the model stands. */
export class Generation {
  /** Tokens that the model has seen. */
  position = 0;
  /** How many tokens were chosen, also those taken back. */
  generatedCount = 0;
  isPaused = false;
  private pending: readonly number[];
  private readonly generated: number[] = [];
  private sampler: AddonSampler | undefined;
  private ownSampler: AddonSampler | undefined;
  private end: GenerationEnd | undefined;
  private hasEnded = false;

  constructor(
    readonly request: GenerationRequest,
    private readonly wake: () => void,
  ) {
    this.pending = request.prompt;
  }

  /** Takes effect before the next step of the model. */
  cancel(): void {
    if (this.end !== undefined) return;
    this.end = { kind: 'cancelled' };
    this.wake();
  }

  fail(error: Error): void {
    this.end ??= { kind: 'failed', error };
  }

  /** A paused generation keeps its sequence and computes nothing. */
  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.wake();
  }

  get isOver(): boolean {
    return this.end !== undefined;
  }

  /** The tokens that the model has to see before it can go on. */
  get pendingCount(): number {
    return this.pending.length;
  }

  /** Takes at most `count` of the pending tokens. */
  take(count: number): { tokens: Uint32Array; isLast: boolean } {
    const tokens = Uint32Array.from(this.pending.slice(0, count));
    this.pending = this.pending.slice(count);
    return { tokens, isLast: this.pending.length === 0 };
  }

  /** Chooses the next token. @throws Error when the sampler fails */
  async sample(addon: LlamaAddon, batchIndex: number): Promise<GeneratedToken> {
    this.sampler ??= this.newSampler(addon);
    const { topLogprobs } = this.request;
    if (topLogprobs === undefined) return { token: await addon.context.sampleToken(batchIndex, this.sampler) };
    // The distribution is the model's own, before temperature, penalties and grammar, so it takes a sampler without them.
    if (this.ownSampler === undefined) {
      this.ownSampler = addon.newSampler();
      this.ownSampler.applyConfig({ temperature: 0, seed: 0 });
    }
    const [token, [, distribution = []]] = await Promise.all([
      addon.context.sampleToken(batchIndex, this.sampler),
      addon.context.sampleToken(batchIndex, this.ownSampler, true),
    ]);
    return { token, ...logprobsOf(token, distribution, topLogprobs) };
  }

  /** Tells the listener, and prepares what comes next. */
  accept(step: GeneratedToken, isEnd: boolean, addon: LlamaAddon, sequence: number, contextTokens: number): void {
    if (this.end !== undefined) return;
    if (step.token < 0) return this.fail(new Error('no token can come next'));
    if (isEnd) {
      this.end = { kind: 'done' };
      return;
    }
    this.generatedCount += 1;
    this.generated.push(step.token);
    this.pending = [step.token];
    const move = this.request.onToken(step);
    if (move === 'stop') this.end = { kind: 'stopped' };
    else if (move !== 'go on') this.rewind(move, addon, sequence);
    const isFull = this.position + this.pending.length >= contextTokens;
    if (isFull || this.generatedCount >= this.request.maxTokens) this.end ??= { kind: 'length' };
  }

  /** Gives back what it holds, and tells how it ended, once. */
  close(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.sampler?.dispose();
    this.ownSampler?.dispose();
    this.request.onEnd(this.end ?? { kind: 'cancelled' });
  }

  private rewind(move: Exclude<NextMove, string>, addon: LlamaAddon, sequence: number): void {
    // The last generated token is pending: the model has not seen it yet.
    const keptPosition = this.position - (this.generated.length - 1 - move.from);
    if (keptPosition < this.position) {
      if (!addon.context.removeTokenCellsFromSequence(sequence, keptPosition, this.position))
        return this.fail(new Error('this model cannot take back tokens, so it cannot call tools by choice'));
      this.position = keptPosition;
    }
    this.generated.length = move.from;
    this.generated.push(...move.tokens);
    this.pending = move.tokens;
    this.sampler?.dispose();
    this.sampler = this.newSampler(addon, move.grammar);
  }

  private newSampler(addon: LlamaAddon, grammar = this.request.grammar): AddonSampler {
    const sampler = addon.newSampler();
    const config = samplerConfigOf(this.request.sampling, this.generated, this.request.maxTokens);
    if (grammar !== undefined) config.grammarEvaluationState = addon.newGrammarState(grammar);
    sampler.applyConfig(config);
    return sampler;
  }
}

/** What `expf` loses at the far end of the distribution: OpenAI and vLLM use the same floor. */
const lowestLogprob = -9_999;

function logprobsOf(token: number, distribution: readonly number[], count: number): Omit<GeneratedToken, 'token'> {
  const logOf = (probability: number): number => (probability > 0 ? Math.log(probability) : lowestLogprob);
  const top: [number, number][] = [];
  for (let at = 0; at < Math.min(count * 2, distribution.length); at += 2)
    top.push([distribution[at]!, logOf(distribution[at + 1]!)]);
  let logprob = lowestLogprob;
  for (let at = 0; at < distribution.length; at += 2) {
    if (distribution[at] !== token) continue;
    logprob = logOf(distribution[at + 1]!);
    break;
  }
  return { logprob, top };
}
