import { openAdmissions } from '../../../test/support/open-admissions.js';
import { ServingStatistics } from '#libs/inference';
import fastify from 'fastify';
import { expect, it } from 'vitest';
import { oipPaths, oipSchemas } from './oip-openapi.js';
import { oipRoutes } from './oip-routes.js';
import { somePrincipal } from '../../../test/support/principal.js';

it('describes exactly the routes that there are, and only schemas that there are', async () => {
  const server = fastify({ exposeHeadRoutes: false });
  const routes: string[] = [];
  server.addHook('onRoute', ({ method, url }) => {
    routes.push(`${String(method).toLowerCase()} ${url.replace(/:(\w+)/g, '{$1}')}`);
  });
  await server.register(oipRoutes, {
    inference: {
      infer: () => Promise.reject(new Error('not asked')),
      hasReadyReplica: () => false,
      statistics: new ServingStatistics(),
      schedulingOf: () => undefined as never,
    },
    state: { endpoint: () => undefined, snapshot: { endpoints: new Map(), versions: new Map(), replicas: new Map() } },
    loading: { load: async () => undefined, unload: async () => undefined },
    settings: { traceSampling: undefined, isLevelEnabled: () => false },
    admissions: openAdmissions,
    authenticate: () => somePrincipal(),
    isReady: () => false,
    isDraining: () => false,
    bodyLimitBytes: 1,
    version: '0',
  });
  await server.ready();
  const described = Object.entries(oipPaths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(described.sort()).toEqual(routes.sort());
  const named = [...JSON.stringify({ oipPaths, oipSchemas }).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
    (match) => match[1]!,
  );
  expect(new Set(named)).toEqual(new Set(Object.keys(oipSchemas)));
  await server.close();
});
