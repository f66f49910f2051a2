import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import type { LanguageAnswer } from '../ports/language-replica.js';
import { ReplicaFailure } from '../ports/replica.js';

/** Why one try at one replica failed. */
export class AttemptFailure extends Error {
  override readonly name = 'AttemptFailure';
  constructor(
    /** What the caller gets when nothing else helps. */
    readonly error: SluiceError,
    /** `lost`: the replica is out until it answers a probe. `elsewhere`: another one may do better. */
    readonly remedy: 'lost' | 'elsewhere' | 'none',
  ) {
    super(error.message);
  }
}

const longestProblem = 300;
const mostErrorBytes = 65_536;
const defaultRetryAfterSeconds = 1;
const mostRetryAfterSeconds = 3_600;

/** What an answer other than 200 means. Reads the body, as far as an error may go. */
export async function refusalOf(answer: LanguageAnswer, endpoint: string): Promise<AttemptFailure> {
  const { status, headers } = answer;
  const told = errorOf(await beginningOf(answer.body));
  const problem = (told.message ?? `it answers ${status}`).slice(0, longestProblem);
  const cause = new Error(`the model server answers ${status}: ${problem}`);
  const retryAfterSeconds = secondsOf(headers['retry-after']) ?? defaultRetryAfterSeconds;
  const detail = { endpoint, retryAfterSeconds };
  switch (status) {
    case 400:
    case 413:
    case 422: {
      const { param, code } = told;
      const more = { ...(param !== undefined && { field: param }), ...(code !== undefined && { code }) };
      return new AttemptFailure(sluiceError('SLU_INFERENCE_REFUSED', { problem, ...more }, { cause }), 'none');
    }
    case 429:
      return new AttemptFailure(sluiceError('SLU_INFERENCE_BUSY', detail, { cause, retryAfterSeconds }), 'elsewhere');
    case 502:
    case 503:
    case 529:
      return new AttemptFailure(
        sluiceError('SLU_INFERENCE_QUEUE_FULL', detail, { cause, retryAfterSeconds }),
        'elsewhere',
      );
    case 500:
      return new AttemptFailure(sluiceError('SLU_INFERENCE_MODEL_FAILED', { problem }, { cause }), 'none');
    default:
      // What it says to our key or our path is not for the caller; the log has it.
      return new AttemptFailure(
        sluiceError('SLU_INFERENCE_UPSTREAM', { endpoint, problem: `it answers ${status}` }, { cause }),
        'none',
      );
  }
}

/** What a failure on the way means. */
export function attemptFailureOf(failure: unknown, endpoint: string, timeoutMs: number): AttemptFailure {
  if (failure instanceof AttemptFailure) return failure;
  if (failure instanceof ReplicaFailure) {
    switch (failure.kind) {
      case 'lost':
        return new AttemptFailure(sluiceError('SLU_INFERENCE_REPLICA_LOST', {}, { cause: failure }), 'lost');
      case 'overload': {
        const retryAfterSeconds = Math.max(1, Math.ceil(failure.retryAfterSeconds ?? defaultRetryAfterSeconds));
        const more = { cause: failure, retryAfterSeconds };
        return new AttemptFailure(
          sluiceError('SLU_INFERENCE_BUSY', { endpoint, retryAfterSeconds }, more),
          'elsewhere',
        );
      }
      case 'timeout': {
        const seconds = Math.round(timeoutMs / 1_000);
        return new AttemptFailure(sluiceError('SLU_INFERENCE_TIMEOUT', { seconds }, { cause: failure }), 'none');
      }
      case 'model': {
        const problem = failure.message.slice(0, longestProblem);
        const code = failure.blame === 'replica' ? 'SLU_INFERENCE_UPSTREAM' : 'SLU_INFERENCE_MODEL_FAILED';
        return new AttemptFailure(sluiceError(code, { endpoint, problem }, { cause: failure }), 'none');
      }
    }
  }
  if (isSluiceError(failure)) return new AttemptFailure(failure, 'none');
  return new AttemptFailure(sluiceError('SLU_INTERNAL', {}, { cause: failure }), 'none');
}

interface ToldError {
  message?: string | undefined;
  param?: string | undefined;
  code?: string | undefined;
}

/** The error shapes of OpenAI, of the Open Inference Protocol, of FastAPI and of Ollama. */
function errorOf(body: string): ToldError {
  let told: unknown;
  try {
    told = JSON.parse(body);
  } catch {
    return {};
  }
  const { error, message, detail } = (typeof told === 'object' && told !== null ? told : {}) as Record<string, unknown>;
  if (typeof error === 'object' && error !== null) {
    const inner = error as Record<string, unknown>;
    return { message: textOf(inner['message']), param: textOf(inner['param']), code: textOf(inner['code']) };
  }
  return { message: textOf(error) ?? textOf(message) ?? textOf(detail) };
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, longestProblem) : undefined;

async function beginningOf(body: LanguageAnswer['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > mostErrorBytes) break;
    }
  } catch {
    // The status has said enough.
  }
  return Buffer.concat(chunks).toString();
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function secondsOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  const seconds = /^\d+(\.\d+)?$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000;
  if (!Number.isFinite(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 1), mostRetryAfterSeconds);
}
