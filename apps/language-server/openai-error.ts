/**
 * An error as the OpenAI API states it: `{"error":{"message","type","param","code"}}`.
 * Source: https://platform.openai.com/docs/guides/error-codes
 */
export class OpenAiError extends Error {
  override readonly name = 'OpenAiError';
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly status: number,
    message: string,
    detail: { type?: string; param?: string; code?: string; retryAfterSeconds?: number } = {},
  ) {
    super(message);
    this.type = detail.type ?? (status < 500 ? 'invalid_request_error' : 'server_error');
    this.param = detail.param ?? null;
    this.code = detail.code ?? null;
    this.retryAfterSeconds = detail.retryAfterSeconds;
  }

  get body(): object {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

export const invalid = (param: string, problem: string, code = 'invalid_value'): OpenAiError =>
  new OpenAiError(400, `${param}: ${problem}`, { param, code });

export const unsupported = (param: string, problem: string): OpenAiError =>
  invalid(param, problem, 'unsupported_parameter');

export function contextExceeded(limit: number, problem: string, param: string): OpenAiError {
  return new OpenAiError(400, `the model's context holds ${limit} tokens: ${problem}`, {
    param,
    code: 'context_length_exceeded',
  });
}

const retryAfterSeconds = 1;

export const queueFull = (): OpenAiError =>
  new OpenAiError(503, `all sequences are busy and the queue is full: try again in ${retryAfterSeconds} s`, {
    code: 'queue_full',
    retryAfterSeconds,
  });

export const notReady = (problem: string): OpenAiError =>
  new OpenAiError(503, problem, { code: 'not_ready', retryAfterSeconds });
