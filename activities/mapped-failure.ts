import { isSluiceError } from '#libs/kernel';
import { ApplicationFailure, heartbeat } from '@temporalio/activity';

const beatEveryMs = 1_000;

/** The database being away passes; what the closed table calls a wrong request does not get right by repeating it. */
export async function mapped<T>(work: () => Promise<T>): Promise<T> {
  // Whatever the work waits for, Temporal hears soon when this process is gone.
  const beat = setInterval(() => heartbeat(), beatEveryMs);
  try {
    return await work();
  } catch (failure) {
    if (!isSluiceError(failure)) throw failure;
    throw ApplicationFailure.create({
      message: failure.message,
      type: failure.code,
      nonRetryable: failure.status < 500,
      cause: failure.cause instanceof Error ? failure.cause : undefined,
    });
  } finally {
    clearInterval(beat);
  }
}
