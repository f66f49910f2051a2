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
  return Object.assign(new Error(error.message), {
    code: codes[error.status] ?? status.UNKNOWN,
    details: error.message,
    metadata,
  });
}
