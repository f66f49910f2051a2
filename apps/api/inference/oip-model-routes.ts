import type { LiveEndpoint, SchedulingRules, ServedVersion, ServingSnapshot } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { visibleTo } from '../http/visible-state.js';
import { modelConfig } from './oip-config.js';
import { isModelReady, modelMetadata, serverMetadata } from './oip-metadata.js';
import type { OipRoutesOptions } from './oip-routes.js';
import { allStatistics, modelStatistics } from './oip-statistics.js';

export interface ModelRoute {
  Params: { model: string; version?: string };
}
export type ModelRequest = FastifyRequest<ModelRoute>;

/** What the server and its models are and how they do: all that can be read without changing anything. */
export function modelRoutes(
  scope: FastifyInstance,
  { inference, state, version }: OipRoutesOptions,
  onRequest: onRequestHookHandler[],
): void {
  const isUp = (versionKey: string): boolean => inference.hasReadyReplica(versionKey);
  const read = (
    path: string,
    answer: (endpoint: LiveEndpoint, version: string | undefined, seen: ServingSnapshot) => unknown,
  ): void => {
    for (const place of ['/models/:model', '/models/:model/versions/:version'])
      scope.get(`${place}${path}`, { onRequest }, ({ params, oipPrincipal }: ModelRequest) => {
        const seen = visibleTo(oipPrincipal, state);
        return answer(knownEndpoint(seen, params.model), params.version, seen.snapshot);
      });
  };
  scope.get('', { onRequest }, () => serverMetadata(version));
  read('', modelMetadata);
  const rulesOf = (served: ServedVersion): SchedulingRules => inference.schedulingOf(served);
  read('/config', (endpoint, asked, seen) => modelConfig(endpoint, asked, seen, rulesOf));
  read('/stats', (endpoint, asked) => ({ model_stats: modelStatistics(endpoint, asked, inference.statistics) }));
  scope.get('/models/stats', { onRequest }, (req) => ({
    model_stats: allStatistics(visibleTo(req.oipPrincipal, state).snapshot, inference.statistics),
  }));
  for (const path of ['/models/:model/ready', '/models/:model/versions/:version/ready']) {
    scope.get(path, { onRequest }, ({ params, oipPrincipal }: ModelRequest, reply) => {
      const ready = isModelReady(knownEndpoint(visibleTo(oipPrincipal, state), params.model), params.version, isUp);
      return sendReadiness(reply, ready, { name: params.model, ready });
    });
  }
}

export function sendReadiness(reply: FastifyReply, isReady: boolean, body: object): FastifyReply {
  if (!isReady) reply.code(503).header('retry-after', '1');
  return reply.send(body);
}

/** @throws SLU_ENDPOINT_UNKNOWN */
export function knownEndpoint(state: OipRoutesOptions['state'], name: string): LiveEndpoint {
  const endpoint = state.endpoint(name);
  if (endpoint === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
  return endpoint;
}
