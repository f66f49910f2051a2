import { sluiceError } from '#libs/kernel';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { sendOipError } from '../inference/oip-error.js';
import { problemContentType, problemOf } from './problem.js';
import { isProtocolUrl } from './route-book.js';

/**
 * Answers an address that no router can read (`%zz`), in the shape of the protocol that it begins like. It reaches no
 * route and no gate, so nothing of it is repeated.
 */
export function refuseUnroutable(cause: FastifyError, req: FastifyRequest, reply: FastifyReply): void {
  const refusal = sluiceError('SLU_REQUEST_MALFORMED', { what: 'the address is not validly encoded' }, { cause });
  reply.headers({ 'sluice-request-id': req.id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  if (isProtocolUrl(req.url)) void sendOipError(reply, refusal);
  else
    void reply
      .code(refusal.status)
      .header('content-type', problemContentType)
      .send(JSON.stringify(problemOf(refusal, req.id)));
}
