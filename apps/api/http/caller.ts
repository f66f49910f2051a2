import { actorOf, type Principal } from '#libs/access';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** Who does something, and by which request: what an audit row needs. */
export interface Caller {
  actor: string;
  requestId: string;
}

export const ByCaller = createParamDecorator((_data: unknown, execution: ExecutionContext): Caller => {
  const { principal, id } = execution.switchToHttp().getRequest<FastifyRequest>();
  return { actor: actorOf(principal), requestId: id };
});

/** Who calls, where it matters how far the permit reaches. */
export const ByPrincipal = createParamDecorator(
  (_data: unknown, execution: ExecutionContext): Principal =>
    execution.switchToHttp().getRequest<FastifyRequest>().principal,
);
