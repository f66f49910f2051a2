import type { SluiceError } from '#libs/kernel';

const defaultRetryAfterSeconds = 1;

/** What `Retry-After` says, in seconds; undefined where waiting changes nothing, or nobody knows what would. */
export function retryAfterOf({ status, code, retryAfterSeconds }: SluiceError): number | undefined {
  if (retryAfterSeconds !== undefined) return retryAfterSeconds;
  // A budget that starts anew says when; of any other, more comes only when somebody raises it.
  if (code === 'SLU_BUDGET_EXHAUSTED') return undefined;
  return status === 503 || status === 429 ? defaultRetryAfterSeconds : undefined;
}
