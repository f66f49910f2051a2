import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { retryAfterOf } from '../http/retry-after.js';

export const jsonType = 'application/json; charset=utf-8';

/** Answers in the protocol's error shape: `{"error": "<one sentence>"}`. */
export function sendOipError(reply: FastifyReply, error: SluiceError): FastifyReply {
  const { status } = error;
  const retryAfterSeconds = retryAfterOf(error);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // After a body that did not come, or not whole, the connection's next bytes cannot be told apart.
  if (status === 408 || status === 413) reply.header('connection', 'close');
  return reply
    .code(status)
    .header('content-type', jsonType)
    .header('sluice-error-code', error.code)
    .send(JSON.stringify({ error: error.message }));
}

/** What a failure outside of inference itself means, Fastify's own refusals included. */
export function oipErrorOf(error: FastifyError, req: FastifyRequest): SluiceError {
  if (isSluiceError(error)) return error;
  const status = error.statusCode ?? 500;
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return wrongMediaType(req);
  if (status === 404) return sluiceError('SLU_REQUEST_NOT_FOUND', { path: pathOf(req) });
  if (status >= 400 && status < 500)
    return sluiceError('SLU_REQUEST_MALFORMED', { what: 'the request cannot be read' }, { cause: error });
  req.log.error({ requestId: req.id, err: error }, 'a request failed on our side');
  return sluiceError('SLU_INTERNAL', {}, { cause: error });
}

export function wrongMediaType(req: FastifyRequest): SluiceError {
  const given = (req.headers['content-type'] ?? 'none').slice(0, 100);
  return sluiceError('SLU_REQUEST_MEDIA_TYPE', { given, wanted: 'application/json' });
}

/** The path without its query, which may hold what must not be repeated. */
export const pathOf = (req: FastifyRequest): string => req.url.split('?', 1)[0]!.slice(0, 200);
