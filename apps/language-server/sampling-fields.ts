import { randomInt } from 'node:crypto';
import { type Sampling, seedOf } from '#libs/inference/adapters/llama';
import type { Fields } from './fields.js';
import { invalid } from './openai-error.js';

/** What chat and plain completions have in common. */
export interface GenerationFields {
  readonly model: string;
  readonly sampling: Sampling;
  /** Undefined: the model's default. */
  readonly maxTokens: number | undefined;
  readonly stops: readonly string[];
  readonly choices: number;
  readonly isStream: boolean;
  readonly includesUsage: boolean;
}

const longestModel = 1_024;
const mostTokens = 10_000_000;
const mostStops = 4;
const longestStop = 256;
const mostBiases = 1_024;
const highestSeed = 2 ** 32;

/** @throws OpenAiError 400 */
export function readGeneration(fields: Fields, limits: { choices: number; vocabulary: number }): GenerationFields {
  const isStream = fields.boolean('stream') ?? false;
  return {
    model: readModel(fields),
    sampling: readSampling(fields, limits.vocabulary),
    maxTokens:
      fields.number('max_completion_tokens', { min: 1, max: mostTokens, isWhole: true }) ??
      fields.number('max_tokens', { min: 1, max: mostTokens, isWhole: true }),
    stops: readStops(fields),
    choices: readChoices(fields, limits.choices),
    isStream,
    includesUsage: readStreamOptions(fields, isStream),
  };
}

export function readModel(fields: Fields): string {
  const model = fields.required('model', fields.string('model'));
  // It stands in each event of the answer.
  if (model === '' || model.length > longestModel)
    throw invalid('model', `must have from 1 to ${longestModel} characters`);
  return model;
}

function readSampling(fields: Fields, vocabulary: number): Sampling {
  const seed = fields.number('seed', { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, isWhole: true });
  const topK = fields.number('top_k', { min: -1, max: vocabulary, isWhole: true }) ?? 0;
  return {
    temperature: fields.number('temperature', { min: 0, max: 2 }) ?? 1,
    topP: fields.number('top_p', { min: 0, max: 1 }) ?? 1,
    topK: Math.max(0, topK),
    minP: fields.number('min_p', { min: 0, max: 1 }) ?? 0,
    seed: seedOf(seed ?? randomInt(highestSeed)),
    presencePenalty: fields.number('presence_penalty', { min: -2, max: 2 }) ?? 0,
    frequencyPenalty: fields.number('frequency_penalty', { min: -2, max: 2 }) ?? 0,
    bias: readBias(fields, vocabulary),
  };
}

function readBias(fields: Fields, vocabulary: number): Map<number, number> {
  const given = fields.object('logit_bias');
  const bias = new Map<number, number>();
  if (given === undefined) return bias;
  const entries = Object.keys(fields.value('logit_bias') as object);
  if (entries.length > mostBiases) throw invalid('logit_bias', `must have at most ${mostBiases} entries`);
  for (const key of entries) {
    const token = /^\d{1,9}$/.test(key) ? Number(key) : vocabulary;
    if (token >= vocabulary) throw invalid(given.at(key), `must be a token of this model: from 0 to ${vocabulary - 1}`);
    bias.set(token, given.required(key, given.number(key, { min: -100, max: 100 })));
  }
  return bias;
}

function readStops(fields: Fields): string[] {
  const given = fields.value('stop');
  const stops: unknown[] =
    typeof given === 'string' ? [given] : (fields.array('stop', { min: 0, max: mostStops }) ?? []);
  return stops.map((stop, at) => {
    if (typeof stop !== 'string') throw invalid(`stop.${at}`, 'must be a string', 'invalid_type');
    if (stop === '' || stop.length > longestStop)
      throw invalid(`stop.${at}`, `must have from 1 to ${longestStop} characters`);
    return stop;
  });
}

function readChoices(fields: Fields, most: number): number {
  const choices = fields.number('n', { min: 1, max: 128, isWhole: true }) ?? 1;
  if (choices > most) throw invalid('n', `must be at most ${most}, as this model generates no more at the same time`);
  return choices;
}

function readStreamOptions(fields: Fields, isStream: boolean): boolean {
  const options = fields.object('stream_options');
  if (options === undefined) return false;
  if (!isStream) throw invalid('stream_options', 'may stand only where stream is true');
  return options.boolean('include_usage') ?? false;
}
