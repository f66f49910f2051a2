import type { CheckedAsk } from './openai-request.js';

/** Of English text a token takes about four characters. */
const charactersPerToken = 4;
/** Reserved for an answer whose caller names no most. What it really takes is counted at its end. */
const unstatedAnswerTokens = 256;

/** What a checked request may use: its prompts, and the longest answers that it asks for. Corrected once it has ended. */
export function estimatedTokens({ path, body, prompt, choices }: CheckedAsk): number {
  const several = path === '/v1/embeddings' ? body['input'] : path === '/v1/completions' ? body['prompt'] : undefined;
  const prompts =
    several === undefined ? prompt.tokens + Math.ceil(prompt.characters / charactersPerToken) : tokensIn(several);
  const most = body['max_completion_tokens'] ?? body['max_tokens'];
  return prompts + choices * (typeof most === 'number' ? most : unstatedAnswerTokens);
}

/** A text, token ids, or a list of either. */
function tokensIn(value: unknown): number {
  if (typeof value === 'string') return Math.ceil(value.length / charactersPerToken);
  if (!Array.isArray(value)) return 0;
  if (typeof value[0] === 'number') return value.length;
  return value.reduce((sum: number, each) => sum + tokensIn(each), 0);
}
