import type { SamplerConfig } from './llama-addon.js';

/** How the next token is chosen. Names and meanings are those of the OpenAI API; top_k and min_p are llama.cpp's. */
export interface Sampling {
  /** 0 takes the most likely token each time. */
  temperature: number;
  /** 1 considers all. */
  topP: number;
  /** 0 considers all. */
  topK: number;
  /** 0 considers all. */
  minP: number;
  /** 32 bits. */
  seed: number;
  presencePenalty: number;
  frequencyPenalty: number;
  /** Token to what is added to its logit, from -100 to 100. */
  bias: ReadonlyMap<number, number>;
}

/** The bias at which the OpenAI API bans a token, or allows no other. */
const bannedAt = -100;

/** @param generated what the penalties count; the sampler counts on by itself */
export function samplerConfigOf(sampling: Sampling, generated: readonly number[], maxTokens: number): SamplerConfig {
  const { temperature, topP, topK, minP, seed, presencePenalty, frequencyPenalty, bias } = sampling;
  const config: SamplerConfig = { temperature, seed };
  if (temperature > 0) {
    if (topP < 1) config.topP = topP;
    if (topK > 0) config.topK = topK;
    if (minP > 0) config.minP = minP;
  }
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    config.repeatPenalty = 1;
    config.repeatPenaltyMaxTokens = Math.max(1, maxTokens);
    config.repeatPenaltyTokens = Uint32Array.from(generated);
    config.repeatPenaltyPresencePenalty = presencePenalty;
    config.repeatPenaltyFrequencyPenalty = frequencyPenalty;
  }
  if (bias.size > 0) {
    config.tokenBiasKeys = Uint32Array.from(bias.keys());
    config.tokenBiasValues = Float32Array.from(bias.values(), (value) => (value <= bannedAt ? -Infinity : value));
  }
  return config;
}

/** llama.cpp takes 32 bits, and the highest of them all as "choose one yourself". */
export function seedOf(seed: number, choice = 0): number {
  const bits = Number(BigInt.asUintN(32, BigInt(seed) + BigInt(choice)));
  return bits === 0xffff_ffff ? 0xffff_fffe : bits;
}
