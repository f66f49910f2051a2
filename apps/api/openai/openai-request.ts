import type { LanguageAsk, LanguagePath } from '#libs/inference';
import { isName, isVersion, sluiceError } from '#libs/kernel';
import {
  checkMembers,
  flag,
  isObject,
  list,
  number,
  object,
  oneOf,
  pairs,
  refusal,
  text,
  whole,
  type JsonObject,
  type Rule,
  type Rules,
} from './field-rules.js';
import { charactersOf, messages } from './messages.js';
import { checkToolChoice, functions, responseFormat, toolChoice, tools } from './tools.js';

/** A checked request, but for what the connection says of it. */
export type CheckedAsk = Pick<
  LanguageAsk,
  'endpoint' | 'version' | 'path' | 'body' | 'isStream' | 'wantsUsage' | 'choices' | 'prompt'
>;

const stop: Rule = (value, field) => {
  if (typeof value !== 'string') list(text(), 0, 4)(value, field);
};

const logitBias: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object of token ids and numbers from -100 to 100');
  for (const [token, bias] of Object.entries(value)) number(-100, 100)(bias, `${field}.${token.slice(0, 20)}`);
};

const notKept: Rule = (value, field) => {
  flag(value, field);
  if (value === true) throw refusal(field, 'must be false or be left out: no answer is kept here');
};

/** Ranges as in the protocol's reference: https://platform.openai.com/docs/api-reference */
const generation: Rules = {
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  logit_bias: logitBias,
  max_tokens: whole(1),
  n: whole(1, 128),
  seed: whole(Number.MIN_SAFE_INTEGER),
  stop,
  stream: flag,
  stream_options: object({ include_usage: flag, include_obfuscation: flag }),
  temperature: number(0, 2),
  top_p: number(0, 1),
  user: text(),
};

const chatRules: Rules = {
  ...generation,
  messages,
  audio: object(),
  function_call: toolChoiceOfFunctions(),
  functions,
  logprobs: flag,
  max_completion_tokens: whole(1),
  metadata: pairs,
  modalities: list(oneOf('text', 'audio'), 1, 2),
  parallel_tool_calls: flag,
  prediction: object(),
  prompt_cache_key: text(),
  reasoning_effort: text(32),
  response_format: responseFormat,
  safety_identifier: text(),
  service_tier: text(32),
  store: notKept,
  tool_choice: toolChoice,
  tools,
  top_logprobs: whole(0, 20),
  verbosity: oneOf('low', 'medium', 'high'),
  web_search_options: object(),
};

const mostPrompts = 2_048;

const completionRules: Rules = {
  ...generation,
  best_of: whole(1, 20),
  echo: flag,
  logprobs: whole(0, 5),
  suffix: text(),
};

const embeddingRules: Rules = {
  dimensions: whole(1),
  encoding_format: oneOf('float', 'base64'),
  user: text(),
};

/** @throws SLU_INFERENCE_INPUT, naming the field */
export function checkedChat(body: JsonObject): CheckedAsk {
  if (body['messages'] === undefined || body['messages'] === null) throw refusal('messages', 'is missing');
  checkMembers(body, chatRules);
  checkToolChoice(body);
  if (body['top_logprobs'] !== undefined && body['top_logprobs'] !== null && body['logprobs'] !== true)
    throw refusal('top_logprobs', 'needs logprobs to be true');
  const characters = charactersOf(body['messages'] as JsonObject[]);
  const prompt = { field: 'messages', characters, tokens: 0 };
  return { ...shared(body, '/v1/chat/completions'), choices: countOf(body['n']), prompt };
}

/** @throws SLU_INFERENCE_INPUT, naming the field */
export function checkedCompletion(body: JsonObject): CheckedAsk {
  checkMembers(body, completionRules);
  const { size, count } = checkedTexts(body['prompt'], 'prompt', true);
  const answers = countOf(body['n']);
  if (typeof body['best_of'] === 'number' && body['best_of'] < answers) throw refusal('best_of', 'must be at least n');
  return { ...shared(body, '/v1/completions'), choices: answers * count, prompt: size };
}

/** @throws SLU_INFERENCE_INPUT, naming the field */
export function checkedEmbedding(body: JsonObject): CheckedAsk {
  checkMembers(body, embeddingRules);
  const { size } = checkedTexts(body['input'], 'input', false);
  return { ...shared(body, '/v1/embeddings'), isStream: false, choices: 0, prompt: size };
}

/** `model` is an endpoint, or `endpoint:version` for exactly that version. @throws SLU_INFERENCE_INPUT, SLU_ENDPOINT_UNKNOWN */
export function modelOf(model: unknown): { endpoint: string; version: string | undefined } {
  if (typeof model !== 'string' || model === '') throw refusal('model', 'must be the name of an endpoint');
  const [endpoint = '', ...rest] = model.split(':');
  const version = rest.length === 0 ? undefined : rest.join(':');
  if (!isName(endpoint) || (version !== undefined && !isVersion(version)))
    throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: model.slice(0, 130) });
  return { endpoint, version };
}

function shared(body: JsonObject, path: LanguagePath): Omit<CheckedAsk, 'choices' | 'prompt'> {
  const { model, stream, stream_options: options, ...rest } = body;
  const isStream = stream === true;
  if (isObject(options) && !isStream) throw refusal('stream_options', 'needs stream to be true');
  const wantsUsage = isObject(options) && options['include_usage'] === true;
  const given = isStream ? { stream, ...(isObject(options) && { stream_options: options }) } : {};
  return { ...modelOf(model), path, body: { ...rest, ...given }, isStream, wantsUsage };
}

/** A text, texts, token ids, or lists of them. @returns the size of the longest one, which has to fit, and their count */
function checkedTexts(
  value: unknown,
  field: string,
  mayBeEmpty: boolean,
): { size: CheckedAsk['prompt']; count: number } {
  if (value === undefined || value === null) throw refusal(field, 'is missing');
  const isTokens = Array.isArray(value) && typeof value[0] === 'number';
  const each = Array.isArray(value) && !isTokens ? (value as unknown[]) : [value];
  if (each.length === 0 || each.length > mostPrompts)
    throw refusal(field, `has ${each.length} entries; send 1 to ${mostPrompts}`);
  const size = { field, characters: 0, tokens: 0 };
  each.forEach((one, at) => {
    const place = one === value ? field : `${field}[${at}]`;
    if (typeof one === 'string') {
      if (one === '' && !mayBeEmpty) throw refusal(place, 'is empty');
      size.characters = Math.max(size.characters, one.length);
    } else {
      if (!Array.isArray(one)) throw refusal(place, 'must be a text or an array of token ids');
      list(whole(0), 1, Number.MAX_SAFE_INTEGER)(one, place);
      size.tokens = Math.max(size.tokens, one.length);
    }
  });
  return { size, count: each.length };
}

const countOf = (value: unknown): number => (typeof value === 'number' ? value : 1);

function toolChoiceOfFunctions(): Rule {
  return (value, field) => {
    if (typeof value === 'string') oneOf('none', 'auto')(value, field);
    else object({ name: text(64) }, ['name'])(value, field);
  };
}
