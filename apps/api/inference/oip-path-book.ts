import type { FastifyInstance } from 'fastify';
import { isProtocolPath } from '../http/route-book.js';

/** The paths that are answered below `/v2` and by which methods, so that a wrong method is told from a wrong path. */
export class OipPathBook {
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

const patternOf = (url: string): RegExp => new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}$`);
