import { actorOf } from '#libs/access';
import type { LoadWish } from '#libs/inference';
import type { FastifyInstance, FastifyReply, onRequestHookHandler } from 'fastify';
import { visibleTo } from '../http/visible-state.js';
import type { ModelRequest, ModelRoute } from './oip-model-routes.js';
import { indexOf, membersOf, readyOnly, refuseOverrides } from './oip-repository.js';
import type { OipRoutesOptions } from './oip-routes.js';

/** Who may look, and who may change something. */
export interface RouteGates {
  reading: onRequestHookHandler[];
  writing: onRequestHookHandler[];
}

/** The model repository extension: which versions there are, and whether they shall run. */
export function repositoryRoutes(
  scope: FastifyInstance,
  { inference, state, loading }: OipRoutesOptions,
  { reading, writing }: RouteGates,
): void {
  const isUp = (versionKey: string): boolean => inference.hasReadyReplica(versionKey);
  scope.post('/repository/index', { onRequest: reading }, (req) =>
    indexOf(visibleTo(req.oipPrincipal, state).snapshot, isUp, readyOnly(req.body)),
  );
  const control = (verb: 'load' | 'unload'): void => {
    scope.post<ModelRoute>(`/repository/models/:model/${verb}`, { onRequest: writing }, async (req, reply) => {
      refuseOverrides(membersOf(req.body)['parameters']);
      await loading[verb](wishOf(req, reply));
      return {};
    });
  };
  control('load');
  control('unload');
}

function wishOf(req: ModelRequest, reply: FastifyReply): LoadWish {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return {
    endpoint: req.params.model,
    actor: actorOf(req.oipPrincipal),
    requestId: reply.getHeader('sluice-request-id') as string,
    signal: gone.signal,
  };
}
