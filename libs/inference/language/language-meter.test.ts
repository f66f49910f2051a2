import { sluiceError } from '#libs/kernel';
import { expect, it } from 'vitest';
import type { ServedVersion } from '../routes/route-table.js';
import type { LanguageAsk } from './language-ask.js';
import type { ExchangeEnd } from './language-exchange.js';
import { usedOf, worstOf } from './language-meter.js';

const version = (settings: ServedVersion['settings'], format = 'gguf'): ServedVersion =>
  ({ model: 'smol', version: '1', format, settings }) as ServedVersion;
const ask = (body: object, more: Partial<LanguageAsk> = {}): LanguageAsk => ({
  endpoint: 'chat',
  path: '/v1/chat/completions',
  body: { ...body },
  isStream: false,
  wantsUsage: false,
  choices: 1,
  prompt: { field: 'messages', characters: 400, tokens: 0 },
  bytesIn: 500,
  requestId: 'r',
  ...more,
});
const end = (more: Partial<ExchangeEnd>): ExchangeEnd => ({
  error: undefined,
  queueMs: 0,
  bytesOut: 0,
  usage: { promptTokens: undefined, completionTokens: undefined },
  firstTokenMs: undefined,
  wasAsked: true,
  ...more,
});

it('takes a token for each byte of the prompt, and what the answer may have at most', () => {
  expect(worstOf(ask({ max_tokens: 40 }), version({}), 1_000)).toMatchObject({ tokensIn: 756, tokensOut: 40 });
  expect(worstOf(ask({ max_tokens: 10, max_completion_tokens: 90 }), version({}), 1).tokensOut).toBe(90);
  expect(worstOf(ask({ max_tokens: 10 }, { choices: 3 }), version({}), 1).tokensOut).toBe(30);
  const best = ask({ max_tokens: 10, n: 2, best_of: 6 }, { choices: 2, path: '/v1/completions' });
  expect(worstOf(best, version({}), 1).tokensOut).toBe(60);
  expect(worstOf(ask({}, { choices: 0, path: '/v1/embeddings' }), version({}), 1).tokensOut).toBe(0);
});

it('takes the limit of the version where the request states none, and never more than its context holds', () => {
  const language = { contextTokens: 512, defaultMaxTokens: 100 };
  expect(worstOf(ask({}), version({ language }), 1)).toMatchObject({
    tokensIn: 512,
    tokensOut: 100,
    hasTokenLimit: false,
  });
  expect(worstOf(ask({}), version({ language }, 'remote'), 1).tokensOut).toBe(512);
  expect(worstOf(ask({ max_tokens: 9_999 }), version({ language }), 1).tokensOut).toBe(512);
  expect(worstOf(ask({}), version({}, 'remote'), 1).tokensOut).toBe(131_072);
});

it('charges a caller who hangs up what was generated, and nothing when no model server had been asked', () => {
  const error = sluiceError('SLU_REQUEST_ABANDONED');
  const usage = { promptTokens: undefined, completionTokens: 7 };
  expect(usedOf(ask({}), end({ error, usage }), 5)).toMatchObject({ tokensIn: 100, tokensOut: 7, isFailed: false });
  expect(usedOf(ask({}), end({ error, wasAsked: false }), 0).isFailed).toBe(true);
  expect(usedOf(ask({}), end({ error: sluiceError('SLU_INFERENCE_TIMEOUT', { seconds: 1 }) }), 0).isFailed).toBe(true);
});
