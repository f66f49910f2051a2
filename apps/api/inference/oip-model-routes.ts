import type { LiveEndpoint, SchedulingRules, ServedVersion } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
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
  const read = (path: string, answer: (endpoint: LiveEndpoint, version: string | undefined) => unknown): void => {
    for (const place of ['/models/:model', '/models/:model/versions/:version'])
      scope.get(`${place}${path}`, { onRequest }, ({ params }: ModelRequest) =>
        answer(knownEndpoint(state, params.model), params.version),
      );
  };
  scope.get('', { onRequest }, () => serverMetadata(version));
  read('', modelMetadata);
  const rulesOf = (served: ServedVersion): SchedulingRules => inference.schedulingOf(served);
  read('/config', (endpoint, asked) => modelConfig(endpoint, asked, state.snapshot, rulesOf));
  read('/stats', (endpoint, asked) => ({ model_stats: modelStatistics(endpoint, asked, inference.statistics) }));
  scope.get('/models/stats', { onRequest }, () => ({
    model_stats: allStatistics(state.snapshot, inference.statistics),
  }));
  for (const path of ['/models/:model/ready', '/models/:model/versions/:version/ready']) {
    scope.get(path, { onRequest }, ({ params }: ModelRequest, reply) => {
      const ready = isModelReady(knownEndpoint(state, params.model), params.version, isUp);
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
