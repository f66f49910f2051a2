import { isLimitRefusal } from '#libs/access';
import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import { Metadata, status, type ServerErrorResponse } from '@grpc/grpc-js';

/** What each HTTP status of the error table is called in gRPC (grpc/grpc, doc/statuscodes.md). */
const codes: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  408: status.DEADLINE_EXCEEDED,
  409: status.FAILED_PRECONDITION,
  413: status.INVALID_ARGUMENT,
  415: status.INVALID_ARGUMENT,
  422: status.INVALID_ARGUMENT,
  429: status.RESOURCE_EXHAUSTED,
  499: status.CANCELLED,
  500: status.INTERNAL,
  501: status.UNIMPLEMENTED,
  502: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

export const asSluiceError = (failure: unknown): SluiceError =>
  isSluiceError(failure) ? failure : sluiceError('SLU_INTERNAL', {}, { cause: failure });

/** The status that a call ends with. The code of the error table and the time to wait go as trailing metadata. */
export function grpcErrorOf(failure: unknown): ServerErrorResponse {
  const error = asSluiceError(failure);
  const metadata = new Metadata();
  metadata.set('sluice-error-code', error.code);
  if (error.retryAfterSeconds !== undefined) metadata.set('retry-after', String(error.retryAfterSeconds));
  // Clients that retry by themselves do not: a moment later there is no more money than now (grpc/proposal, A6).
  if (error.code === 'SLU_BUDGET_EXHAUSTED') metadata.set('grpc-retry-pushback-ms', '-1');
  if (isLimitRefusal(error)) {
    metadata.set('sluice-limit', error.limit.name);
    metadata.set('sluice-limit-scope', error.limit.scope);
    // Clients that retry by themselves wait for so long, or not at all (grpc/proposal, A6).
    const pushbackMs = Number.isFinite(error.retryAfterMs) ? Math.ceil(error.retryAfterMs) : -1;
    metadata.set('grpc-retry-pushback-ms', String(pushbackMs));
    for (const [name, value] of error.headers) metadata.set(name, value);
  }
  return Object.assign(new Error(error.message), {
    code: codes[error.status] ?? status.UNKNOWN,
    details: error.message,
    metadata,
  });
}
