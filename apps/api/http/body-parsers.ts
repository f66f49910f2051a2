import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { BodyReader } from '../inference/oip-body.js';
import { mediaType } from './problem.js';

export interface BodyParserSettings {
  limitBytes: number;
  timeoutSeconds: number;
}

type Done = (error: Error | null, body?: unknown) => void;

export const archiveTypes = ['application/gzip', 'application/x-gzip', 'application/x-tar', 'application/octet-stream'];

/** JSON bodies are read whole within their limits; archives and forms reach their handler as a stream, unread. */
export function parseBodies(fastify: FastifyInstance, settings: BodyParserSettings): void {
  const bodies = new BodyReader(settings);
  fastify.addHook('onClose', async () => bodies[Symbol.dispose]());
  fastify.decorateRequest('bodyBytes', 0);
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', bodies.json);
  // No plugin reads the forms: it would add asynchronous hooks to every request of the server, inference included.
  fastify.addContentTypeParser(
    [...archiveTypes, 'multipart/form-data'],
    (req: FastifyRequest, payload: IncomingMessage, done: Done) => {
      if (req.routeOptions.config.operation?.takesArchive === true) done(null, payload);
      else done(mediaType(req));
    },
  );
  fastify.addContentTypeParser('*', (req: FastifyRequest, payload: IncomingMessage, done: Done) => {
    if (req.headers['content-type'] === undefined) bodies.json(req, payload, done);
    else done(mediaType(req));
  });
}
