import type { FastifyInstance } from 'fastify';
import { visibleTo } from '../http/visible-state.js';
import { knownEndpoint, type ModelRequest } from './oip-model-routes.js';
import type { RouteGates } from './oip-repository-routes.js';
import type { OipRoutesOptions } from './oip-routes.js';
import { logSettings, notHere, traceSettings } from './oip-settings.js';

/** The trace, logging and shared memory extensions: what is so can be read, and what cannot be changed is said to be so. */
export function settingRoutes(
  scope: FastifyInstance,
  { settings, state }: OipRoutesOptions,
  { reading, writing }: RouteGates,
): void {
  const refusing = (path: string, refusal: () => Error): void => {
    scope.post(path, { onRequest: writing }, () => {
      throw refusal();
    });
  };
  scope.get('/trace/setting', { onRequest: reading }, () => traceSettings(settings));
  scope.get('/models/:model/trace/setting', { onRequest: reading }, ({ params, oipPrincipal }: ModelRequest) => {
    knownEndpoint(visibleTo(oipPrincipal, state), params.model);
    return traceSettings(settings);
  });
  refusing('/trace/setting', notHere.trace);
  refusing('/models/:model/trace/setting', notHere.trace);
  scope.get('/logging', { onRequest: reading }, () => logSettings(settings));
  refusing('/logging', notHere.log);
  for (const kind of ['systemsharedmemory', 'cudasharedmemory']) {
    for (const place of [`/${kind}`, `/${kind}/region/:region`]) {
      scope.get(`${place}/status`, { onRequest: reading }, () => []);
      // There never is a region, so there is nothing left of any.
      scope.post(`${place}/unregister`, { onRequest: reading }, () => ({}));
    }
    refusing(`/${kind}/region/:region/register`, notHere.sharedMemory);
  }
}
