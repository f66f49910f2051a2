import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { oipErrorOf, pathOf } from '../inference/oip-error.js';
import { isProtocolPath } from './route-book.js';

/** The paths of the inference protocols and their methods, so that a wrong method is told from a wrong path. */
export class ProtocolPaths {
  private readonly known = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  /** Before any route is registered; routes that others register below are seen as well. */
  constructor(fastify: FastifyInstance) {
    fastify.addHook('onRoute', ({ method, url }) => {
      if (!isProtocolPath(url)) return;
      const path = this.known.get(url) ?? { pattern: patternOf(url), methods: new Set() };
      for (const name of [method].flat()) path.methods.add(name);
      this.known.set(url, path);
    });
  }

  /** @returns none when there is nothing at the path */
  methodsAt(path: string): string[] {
    const matching = [...this.known.values()].filter(({ pattern }) => pattern.test(path));
    return [...new Set(matching.flatMap(({ methods }) => [...methods]))].sort();
  }
}

export interface ProtocolRefusals {
  paths: ProtocolPaths;
  /** Throws when the caller may not even know what there is. */
  authenticate(req: FastifyRequest): unknown;
  send(reply: FastifyReply, error: SluiceError): FastifyReply;
}

/** Answers all that goes wrong in a protocol's scope in the protocol's own shape: no such path, no such method, any failure. */
export function refuseByProtocol(scope: FastifyInstance, { paths, authenticate, send }: ProtocolRefusals): void {
  const nothingAt = (req: FastifyRequest, reply: FastifyReply): SluiceError => {
    authenticate(req);
    const path = pathOf(req);
    const methods = paths.methodsAt(path);
    if (methods.length === 0) return sluiceError('SLU_REQUEST_NOT_FOUND', { path });
    reply.header('allow', methods.join(', '));
    return sluiceError('SLU_REQUEST_METHOD', { path, method: req.method });
  };
  scope.setNotFoundHandler((req, reply) => {
    throw nothingAt(req, reply);
  });
  scope.setErrorHandler((error: FastifyError, req, reply) => {
    // Whatever else is wrong with a request, where there is no route that comes first.
    if (!req.is404 || isSluiceError(error)) return send(reply, oipErrorOf(error, req));
    try {
      return send(reply, nothingAt(req, reply));
    } catch (refusal) {
      return send(reply, oipErrorOf(refusal as FastifyError, req));
    }
  });
}

const patternOf = (url: string): RegExp => new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}$`);
