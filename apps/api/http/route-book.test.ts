import Fastify from 'fastify';
import { expect, it } from 'vitest';
import { RouteBook } from './route-book.js';

it('stops the boot at a route that nobody gave a permit', async () => {
  await using fastify = Fastify();
  new RouteBook().follow(fastify);
  expect(() => fastify.get('/api/forgotten', () => 'open to all')).toThrow(
    'the route GET /api/forgotten has no permit',
  );
});

it('knows which methods a path answers', async () => {
  await using fastify = Fastify();
  const book = new RouteBook();
  book.follow(fastify);
  const config = { operation: { permit: 'infer', summary: '', tag: '', answers: {} } } as const;
  fastify.post('/api/things/:id/do.it', { config }, () => '');
  await fastify.ready();
  expect(book.methodsAt('/api/things/7/do.it')).toEqual(['POST']);
  expect(book.methodsAt('/api/things/7/doxit')).toEqual([]);
  expect(book.methodsAt('/api/things//do.it')).toEqual([]);
});
