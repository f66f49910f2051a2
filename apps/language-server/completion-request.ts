import { Fields } from './fields.js';
import { invalid, unsupported } from './openai-error.js';
import { type GenerationFields, readGeneration, readModel } from './sampling-fields.js';

/** A text, or the tokens of one. */
export type TextInput = string | readonly number[];

export interface CompletionRequest extends GenerationFields {
  readonly prompts: readonly TextInput[];
  /** How many likely tokens are told with each. */
  readonly topLogprobs: number | undefined;
}

export interface EmbeddingRequest {
  readonly model: string;
  readonly inputs: readonly TextInput[];
  readonly encoding: 'float' | 'base64';
}

const mostLogprobs = 5;
const mostInputs = 2_048;

/**
 * Reads the body of `POST /v1/completions`.
 * Source: https://platform.openai.com/docs/api-reference/completions/create
 * @throws OpenAiError 400 that names the field
 */
export function readCompletion(body: unknown, limits: { choices: number; vocabulary: number }): CompletionRequest {
  const fields = Fields.of(body);
  const generation = readGeneration(fields, limits);
  if (fields.boolean('echo') === true) throw unsupported('echo', 'is not supported: put the prompt in front yourself');
  if (fields.string('suffix') !== undefined) throw unsupported('suffix', 'is not supported by this model');
  const bestOf = fields.number('best_of', { min: 1, max: 128, isWhole: true });
  if (bestOf !== undefined && bestOf !== generation.choices)
    throw unsupported('best_of', 'is not supported: send n and choose among the answers');
  const prompts = readInputs(fields, 'prompt', limits.vocabulary);
  if (prompts.length * generation.choices > limits.choices) {
    throw invalid(
      'prompt',
      `must not ask for more than ${limits.choices} answers in all: ${prompts.length} prompts with n = ${generation.choices}`,
    );
  }
  const topLogprobs = fields.number('logprobs', { min: 0, max: mostLogprobs, isWhole: true });
  return { ...generation, prompts, topLogprobs };
}

/**
 * Reads the body of `POST /v1/embeddings`.
 * Source: https://platform.openai.com/docs/api-reference/embeddings/create
 * @throws OpenAiError 400 that names the field
 */
export function readEmbedding(body: unknown, limits: { vocabulary: number; dimensions: number }): EmbeddingRequest {
  const fields = Fields.of(body);
  const model = readModel(fields);
  const encoding = fields.oneOf('encoding_format', ['float', 'base64']) ?? 'float';
  const dimensions = fields.number('dimensions', { min: 1, max: 1_000_000, isWhole: true });
  if (dimensions !== undefined && dimensions !== limits.dimensions)
    throw unsupported('dimensions', `must be ${limits.dimensions} or left out: this model has no shorter vectors`);
  return { model, inputs: readInputs(fields, 'input', limits.vocabulary), encoding };
}

/** A text, several texts, the tokens of a text, or those of several. */
function readInputs(fields: Fields, name: string, vocabulary: number): TextInput[] {
  const given = fields.required(name, fields.value(name));
  if (typeof given === 'string') return [readInput(given, name, vocabulary)];
  if (!Array.isArray(given)) throw invalid(name, 'must be a string, or an array of strings or tokens', 'invalid_type');
  if (given.length === 0) throw invalid(name, 'must not be empty');
  if (typeof given[0] === 'number') return [readInput(given, name, vocabulary)];
  if (given.length > mostInputs) throw invalid(name, `must have at most ${mostInputs} entries, not ${given.length}`);
  return given.map((entry, at) => readInput(entry, `${name}.${at}`, vocabulary));
}

function readInput(given: unknown, path: string, vocabulary: number): TextInput {
  if (typeof given === 'string') {
    if (given === '') throw invalid(path, 'must not be empty');
    return given;
  }
  if (!Array.isArray(given)) throw invalid(path, 'must be a string or an array of tokens', 'invalid_type');
  if (given.length === 0) throw invalid(path, 'must not be empty');
  const wrong = given.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= vocabulary);
  if (wrong >= 0) throw invalid(`${path}.${wrong}`, `must be a token of this model: from 0 to ${vocabulary - 1}`);
  return given as number[];
}
