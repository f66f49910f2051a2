import type { FastifyInstance, RouteOptions } from 'fastify';
import type { OperationSpec } from './operation.js';

export interface BookedOperation {
  method: string;
  /** As Fastify writes it: `/api/models/:model`. */
  path: string;
  operation: OperationSpec;
}

/** The routes of the inference protocols, which have a gate and an error shape of their own. */
export const isProtocolPath = (path: string): boolean =>
  path === '/v2' || path.startsWith('/v2/') || path === '/v1' || path.startsWith('/v1/');

/**
 * The same for an address as it came in, which costs less to ask than the route that it matched. An address that
 * spells `/v2` or `/v1` otherwise is not one: it then has to pass the management gate as well.
 */
export const isProtocolUrl = (url: string): boolean =>
  isProtocolPath(url) || url.startsWith('/v2?') || url.startsWith('/v1?');

/** Every route as it was registered, so that the gate, the 405s and the documentation speak of the same ones. */
export class RouteBook {
  readonly operations: BookedOperation[] = [];
  private readonly patterns = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  /** Before any route is registered. */
  follow(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', (route) => this.book(route));
  }

  /** @returns the methods that a path answers; none when there is nothing at it */
  methodsAt(path: string): string[] {
    const methods = new Set<string>();
    for (const known of this.patterns.values()) {
      if (known.pattern.test(path)) for (const method of known.methods) methods.add(method);
    }
    return [...methods].sort();
  }

  private book(route: RouteOptions): void {
    if (isProtocolPath(route.url)) return;
    const { operation } = route.config ?? {};
    const methods = [route.method].flat();
    // Fail closed: nobody has said who may call it.
    if (operation === undefined) throw new Error(`the route ${methods.join(', ')} ${route.url} has no permit`);
    const known = this.patterns.get(route.url) ?? { pattern: patternOf(route.url), methods: new Set() };
    for (const method of methods) {
      known.methods.add(method);
      if (method !== 'HEAD') this.operations.push({ method, path: route.url, operation });
    }
    this.patterns.set(route.url, known);
  }
}

function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return new RegExp(`^${source.join('/')}$`);
}
