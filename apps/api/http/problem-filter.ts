import { actorOf } from '#libs/access';
import type { SluiceError } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pathOf, problemContentType, problemOf, sluiceErrorOf } from './problem.js';
import type { RefusalLog } from './refusal-log.js';
import { retryAfterOf } from './retry-after.js';
import type { RouteBook } from './route-book.js';

/** Turns every failure of a management request into problem details. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly routes: RouteBook,
    private readonly refusals: Pick<RefusalLog, 'note'>,
  ) {}

  catch(failure: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const req = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const error = sluiceErrorOf(failure, req, this.routes);
    if (error.status >= 500) {
      this.log.error({ requestId: req.id, code: error.code, err: error.cause ?? error }, 'a request failed');
    }
    noteRefusedAct(this.refusals, req, error);
    if (reply.sent) return;
    setHeaders(reply, req, error, this.routes);
    void reply
      .code(error.status)
      .header('content-type', problemContentType)
      .send(JSON.stringify(problemOf(error, req.id)));
  }
}

/** Conflicts, wrong states and what is not valid: statuses by which an act that was permitted is not done. */
const refusedActs = new Set([409, 422]);

/** Proof of what somebody tried and could not do. Of what they wrote it says nothing: the route, and why. */
function noteRefusedAct(refusals: Pick<RefusalLog, 'note'>, req: FastifyRequest, { status, code }: SluiceError): void {
  const { principal, method, routeOptions } = req;
  // Without a principal the gate has refused it, and has said so.
  if (!refusedActs.has(status) || method === 'GET' || principal === null || routeOptions.url === undefined) return;
  const resource = `route:${method} ${routeOptions.url}`;
  const { tenantId } = principal;
  refusals.note({ actor: actorOf(principal), action: 'act.refuse', resource, code, requestId: req.id, tenantId });
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
