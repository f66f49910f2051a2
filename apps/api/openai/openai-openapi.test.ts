import { openAdmissions } from '../../../test/support/open-admissions.js';
import fastify from 'fastify';
import { expect, it } from 'vitest';
import { openAiPaths, openAiSchemas } from './openai-openapi.js';
import { openAiRoutes } from './openai-routes.js';
import { somePrincipal } from '../../../test/support/principal.js';

it('describes exactly the routes that there are, and only schemas that there are', async () => {
  const server = fastify({ exposeHeadRoutes: false });
  const routes: string[] = [];
  server.addHook('onRoute', ({ method, url }) => {
    routes.push(`${String(method).toLowerCase()} ${url.replace(/:(\w+)/g, '{$1}')}`);
  });
  await server.register(openAiRoutes, {
    language: {
      begin: () => {
        throw new Error('not asked');
      },
    },
    state: { snapshot: { endpoints: new Map(), versions: new Map(), replicas: new Map() } },
    admissions: openAdmissions,
    authenticate: () => somePrincipal(),
    isDraining: () => false,
    bodyLimitBytes: 1,
  });
  await server.ready();
  const described = Object.entries(openAiPaths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(described.sort()).toEqual(routes.sort());
  const named = [...JSON.stringify({ openAiPaths, openAiSchemas }).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
    (match) => match[1]!,
  );
  expect(new Set(named)).toEqual(new Set(Object.keys(openAiSchemas)));
  await server.close();
});
