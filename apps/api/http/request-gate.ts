import type { Principal } from '#libs/access';
import { days, sluiceError } from '#libs/kernel';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { basicAsBearer, whenAdmitted, type Gatekeeper } from './gatekeeper.js';
import { hasKeyInQuery } from './key-in-query.js';
import { isProtocolUrl } from './route-book.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls a management route; set before its body is read. */
    principal: Principal;
    /** The W3C trace id of the request's span, once there is one. */
    traceId: string;
  }
}

export interface RequestGateParts {
  gatekeeper: Gatekeeper;
  /** Whether browsers may be told never to come without TLS again. */
  isTlsForGood: boolean;
  isDraining: () => boolean;
}

const drainRetrySeconds = 2;

const securityHeaders = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'x-permitted-cross-domain-policies': 'none',
};

const strictTransport = { 'strict-transport-security': `max-age=${days(365)}` };

/**
 * The first thing that happens to a management request, before a byte of its body is read: it gets its id and the
 * security headers, and is let in or not. An unknown path is closed as well.
 */
export function gateRequests(fastify: FastifyInstance, parts: RequestGateParts): void {
  const { gatekeeper, isDraining } = parts;
  const headers = parts.isTlsForGood ? { ...securityHeaders, ...strictTransport } : securityHeaders;
  // Null for the start, as Fastify wants it for what is set per request.
  fastify.decorateRequest('principal', null as unknown as Principal);
  fastify.decorateRequest('traceId', '');
  fastify.addHook('onRequest', (req, reply, done) => {
    // The protocols have hooks of their own. An unmatched path below them is theirs too, and serves nothing.
    if (isProtocolUrl(req.url)) return done();
    reply.header('sluice-request-id', req.id).headers(headers);
    try {
      if (isDraining()) refuseWhileDraining(reply);
      if (hasKeyInQuery(req.url)) throw sluiceError('SLU_ACCESS_KEY_IN_QUERY');
      const operation = req.routeOptions.config?.operation;
      const authorization =
        operation?.takesBasic === true ? basicAsBearer(req.headers.authorization) : req.headers.authorization;
      return whenAdmitted(
        () =>
          operation === undefined ? gatekeeper.identify(req) : gatekeeper.admit(req, operation.permit, authorization),
        (principal) => (req.principal = principal),
        done,
      );
    } catch (failure) {
      return done(failure as Error);
    }
  });
}

function refuseWhileDraining(reply: FastifyReply): never {
  reply.header('connection', 'close');
  throw sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: drainRetrySeconds });
}
