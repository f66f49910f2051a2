import { isLimitRefusal } from '#libs/access';
import { secondsToMs, type ErrorCode, type SluiceError } from '#libs/kernel';
import type { FastifyReply } from 'fastify';
import { retryAfterOf } from '../http/retry-after.js';
import { jsonType } from '../inference/oip-error.js';

export interface OpenAiError {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}

/** The codes that callers of the protocol know. Other refusals of a request have none, failures of ours have our own. */
const knownCodes: Partial<Record<ErrorCode, string>> = {
  SLU_ACCESS_KEY_MISSING: 'invalid_api_key',
  SLU_ACCESS_KEY_INVALID: 'invalid_api_key',
  SLU_ACCESS_FORBIDDEN: 'insufficient_permissions',
  SLU_ENDPOINT_UNKNOWN: 'model_not_found',
  SLU_MODEL_VERSION_UNKNOWN: 'model_not_found',
  SLU_INFERENCE_TASK: 'model_not_supported',
  SLU_INFERENCE_INPUT: 'invalid_value',
  SLU_INFERENCE_PROMPT_TOO_LONG: 'context_length_exceeded',
  SLU_ACCESS_LIMIT_REACHED: 'rate_limit_exceeded',
  SLU_ACCESS_LIMIT_NEVER: 'rate_limit_exceeded',
  SLU_INFERENCE_BUSY: 'rate_limit_exceeded',
  SLU_BUDGET_EXHAUSTED: 'insufficient_quota',
  SLU_INFERENCE_QUEUE_FULL: 'server_overloaded',
};

const aboutTheModel: ReadonlySet<ErrorCode> = new Set([
  'SLU_ENDPOINT_UNKNOWN',
  'SLU_MODEL_VERSION_UNKNOWN',
  'SLU_INFERENCE_TASK',
]);

/** The SDKs try these again by themselves, which would only cost the same once more. */
const notAgain: ReadonlySet<ErrorCode> = new Set([
  'SLU_INTERNAL',
  'SLU_INFERENCE_MODEL_FAILED',
  'SLU_INFERENCE_TIMEOUT',
  'SLU_REQUEST_TIMEOUT',
  // A moment later there is no more money than now.
  'SLU_BUDGET_EXHAUSTED',
]);

const longestWaitMs = secondsToMs(60);

export function openAiError(error: SluiceError): { error: OpenAiError } {
  const { code, status, detail, message } = error;
  return {
    error: {
      message,
      type: code === 'SLU_BUDGET_EXHAUSTED' ? 'insufficient_quota' : typeOf(status),
      param: aboutTheModel.has(code) ? 'model' : textOf(detail['field']),
      code: textOf(detail['code']) ?? knownCodes[code] ?? (status >= 500 ? code : null),
    },
  };
}

/** Answers as the protocol's SDKs expect it: the error object, and the headers that tell whether to try again. */
export function sendOpenAiError(reply: FastifyReply, error: SluiceError): FastifyReply {
  const { code, status } = error;
  const retryAfterSeconds = retryAfterOf(error);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (isLimitRefusal(error)) sayWhen(reply, error.retryAfterMs);
  if (notAgain.has(code)) reply.header('x-should-retry', 'false');
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // After a body that did not come, or not whole, the connection's next bytes cannot be told apart.
  if (status === 408 || status === 413) reply.header('connection', 'close');
  return reply
    .code(status)
    .header('content-type', jsonType)
    .send(JSON.stringify(openAiError(error)));
}

/** The SDKs wait by the finer header for up to a minute; what takes longer is not worth the tries they would make. */
function sayWhen(reply: FastifyReply, retryAfterMs: number): void {
  if (retryAfterMs <= longestWaitMs) reply.header('retry-after-ms', Math.ceil(retryAfterMs));
  else reply.header('x-should-retry', 'false');
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
