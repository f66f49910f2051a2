import type { SluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pathOf, problemContentType, problemOf, sluiceErrorOf } from './problem.js';
import { retryAfterOf } from './retry-after.js';
import type { RouteBook } from './route-book.js';

/** Turns every failure of a management request into problem details. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly routes: RouteBook,
  ) {}

  catch(failure: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const req = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const error = sluiceErrorOf(failure, req, this.routes);
    if (error.status >= 500) {
      this.log.error({ requestId: req.id, code: error.code, err: error.cause ?? error }, 'a request failed');
    }
    if (reply.sent) return;
    setHeaders(reply, req, error, this.routes);
    void reply
      .code(error.status)
      .header('content-type', problemContentType)
      .send(JSON.stringify(problemOf(error, req.id)));
  }
}

function setHeaders(reply: FastifyReply, req: FastifyRequest, error: SluiceError, routes: RouteBook): void {
  const { status } = error;
  const retryAfterSeconds = retryAfterOf(error);
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (status === 405) reply.header('allow', routes.methodsAt(pathOf(req)).join(', '));
  if (status === 401) {
    const basic = 'Basic realm="Sluice: any user name, and an API key as the password", charset="UTF-8"';
    const takesBasic = req.routeOptions.config?.operation?.takesBasic === true;
    reply.header('www-authenticate', takesBasic ? `${basic}, Bearer realm="Sluice"` : 'Bearer realm="Sluice"');
  }
  // Where a body did not come whole, the connection's next bytes cannot be told apart.
  if (status === 408 || status === 413) reply.header('connection', 'close');
}
