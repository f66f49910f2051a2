import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

const readableHeaders = [
  'sluice-request-id',
  'sluice-model-version',
  'sluice-arm',
  'sluice-error-code',
  'idempotent-replayed',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  'traceparent',
  'location',
];
const preflightSeconds = 600;

/**
 * Lets pages of the listed origins call from a browser. Without a list nothing is registered: no answer has a word for
 * browsers, and requests pay nothing. Before any other hook, since a preflight carries no key.
 */
export async function openToOrigins(fastify: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await fastify.register(cors, {
    origin: [...origins],
    // Keys go in a header that a page sets itself, never in a cookie that a browser adds.
    credentials: false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: readableHeaders,
    maxAge: preflightSeconds,
    strictPreflight: true,
  });
}
