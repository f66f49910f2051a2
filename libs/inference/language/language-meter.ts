import type { Used, WorstCase } from '#libs/access';
import type { ServedVersion } from '../routes/route-table.js';
import type { LanguageAsk } from './language-ask.js';
import type { ExchangeEnd } from './language-exchange.js';

/** Chat templates put words of their own around a conversation. */
const templateTokens = 256;
/** No model in use writes longer answers; it is taken where neither the request nor the version states a limit. */
const longestAnswerTokens = 131_072;
/** Of English text. */
const charactersPerToken = 4;

/**
 * The most that a request to a language model can use. A token stands for at least one byte of the prompt, and the context
 * of a model holds prompt and answer together.
 */
export function worstOf(ask: LanguageAsk, version: ServedVersion, timeoutMs: number): WorstCase {
  const { contextTokens = Infinity } = version.settings.language ?? {};
  const runs = runsOf(ask);
  const asked = askedTokens(ask);
  const answer = Math.min(contextTokens, asked ?? defaultTokens(version, contextTokens));
  return {
    endpoint: ask.endpoint,
    model: version.model,
    version: version.version,
    tokensIn: Math.min(ask.bytesIn + templateTokens, contextTokens * Math.max(1, ask.choices)),
    tokensOut: answer * runs,
    hasTokenLimit: asked !== undefined,
    rows: Math.max(1, ask.choices),
    replicaMs: timeoutMs,
  };
}

/** What it used: as the model server counted, or as far as it can be told when the caller hung up. */
export function usedOf(ask: LanguageAsk, end: ExchangeEnd, modelMs: number): Used {
  const { error, usage, wasAsked, bytesOut } = end;
  const isAbandoned = error?.code === 'SLU_REQUEST_ABANDONED' && wasAsked;
  const { characters, tokens } = ask.prompt;
  return {
    tokensIn: usage.promptTokens ?? tokens + Math.ceil(characters / charactersPerToken),
    tokensOut: ask.choices === 0 ? 0 : (usage.completionTokens ?? Math.ceil(bytesOut / charactersPerToken)),
    rows: Math.max(1, ask.choices),
    replicaMs: modelMs,
    isFailed: error !== undefined && !isAbandoned,
  };
}

function askedTokens({ body }: LanguageAsk): number | undefined {
  const given = [body['max_tokens'], body['max_completion_tokens']].filter((value) => typeof value === 'number');
  return given.length === 0 ? undefined : Math.max(...given);
}

// A server of others has a default of its own.
function defaultTokens({ format, settings }: ServedVersion, contextTokens: number): number {
  if (format !== 'remote' && settings.language?.defaultMaxTokens !== undefined)
    return settings.language.defaultMaxTokens;
  return Number.isFinite(contextTokens) ? contextTokens : longestAnswerTokens;
}

/** With `best_of` more answers are made than are given. */
function runsOf({ choices, body }: LanguageAsk): number {
  const [given, made] = [body['n'], body['best_of']].map((value) => (typeof value === 'number' ? value : 1));
  return choices * Math.max(1, (made ?? 1) / (given ?? 1));
}
