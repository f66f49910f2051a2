import type { Logger } from '#libs/platform';
import type { LoggerService } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { isProtocolUrl } from './route-book.js';

/** One line per management request, when it is answered. Inference is not logged but counted and recorded. */
export function logRequests(fastify: FastifyInstance, log: Logger): void {
  fastify.addHook('onResponse', (req, reply, done) => {
    if (isProtocolUrl(req.url)) return done();
    const route = req.routeOptions.url;
    const line = {
      requestId: req.id,
      ...(req.traceId !== '' && { traceId: req.traceId }),
      method: req.method,
      // The pattern, not the address: that one may hold anything.
      route: route ?? 'unknown',
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(req.principal !== null && { keyId: req.principal.keyId }),
    };
    // Scrapes come every few seconds for ever.
    if (route === '/metrics') log.debug(line, 'request');
    else log.info(line, 'request');
    return done();
  });
}

/** Nest's own lines in Sluice's log: its warnings and errors; the rest is for debugging. */
export const nestLog = (log: Logger): LoggerService => ({
  log: (message: unknown, context?: unknown) => log.debug({ context }, String(message)),
  error: (message: unknown, ...details: unknown[]) => log.error({ details: details.map(String) }, String(message)),
  warn: (message: unknown, context?: unknown) => log.warn({ context }, String(message)),
  debug: () => undefined,
  verbose: () => undefined,
  fatal: (message: unknown, context?: unknown) => log.fatal({ context }, String(message)),
});
