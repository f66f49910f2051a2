import { IdempotencyLedger, SecretSeal } from '#libs/access';
import type { Logger } from '#libs/platform';
import type { Database } from '#libs/store';

/** Keeps the answers of requests with an idempotency key, until the end of the stack. */
export function openIdempotency(
  database: Database,
  masterKey: Buffer,
  log: Logger,
  stack: AsyncDisposableStack,
): IdempotencyLedger {
  const onProblem = (err: unknown): void => log.warn({ err }, 'idempotency keys cannot be written');
  return stack.use(new IdempotencyLedger({ database, seal: new SecretSeal(masterKey), masterKey, onProblem }));
}
