import {
  actorOf,
  idempotencyKeyOf,
  type IdempotencyClaim,
  type IdempotencyLedger,
  type KeptAnswer,
} from '#libs/access';
import { sluiceError } from '#libs/kernel';
import { commitCondition } from '#libs/store';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { Readable } from 'node:stream';

declare module 'fastify' {
  interface FastifyRequest {
    /** Held while the first request under an idempotency key is carried out. */
    idempotencyClaim: IdempotencyClaim | undefined;
  }
}

type GoOn = (failure?: Error) => void;

/** What of an answer is sent again besides its body. The request's id is that of the request that asks again. */
const keptHeaders = ['content-type', 'location', 'etag', 'retry-after', 'sluice-error-code'] as const;
/** These say that the request was not really tried, so it may be tried again under the same key. */
const passing: ReadonlySet<number> = new Set([400, 401, 403, 408, 413, 415, 422, 425, 429]);
/** The failure that is promised to leave nothing behind. */
const undone = 'SLU_PLATFORM_TEMPORAL_DOWN';
/** These answer 201 with exactly what their one unit of work returns, so the answer is kept as the change commits. */
export const answeredByTheirUnit: ReadonlySet<string> = new Set([
  '/api/keys',
  '/api/keys/:id/rotate',
  '/api/tenants',
  '/api/projects',
  '/api/people',
  '/api/service-accounts',
  '/api/prices',
  '/api/budgets',
  '/api/audit/holds',
]);
const inProtocol = /^\/v2\/(?:repository\/models\/|logging$|trace\/setting$|models\/.*\/trace\/setting$)/;

/**
 * `Idempotency-Key` on every POST that changes something: the first answer is kept and sent again, byte for byte. Hooks of
 * those routes alone, so that inference pays nothing. Before any route is registered.
 */
export function keepAnswers(fastify: FastifyInstance, ledger: Pick<IdempotencyLedger, 'admit'>): void {
  fastify.decorateRequest('idempotencyClaim', undefined);
  fastify.addHook('onRoute', (route) => {
    if (!takesIdempotencyKey(route)) return;
    const answerOf = answeredByTheirUnit.has(route.url) ? created : () => undefined;
    route.preHandler = [...[route.preHandler ?? []].flat(), admission(ledger, answerOf)];
    route.onSend = [...[route.onSend ?? []].flat(), settle];
  });
}

export const takesIdempotencyKey = ({ method, url }: Pick<RouteOptions, 'method' | 'url'>): boolean =>
  [method].flat().includes('POST') && (url.startsWith('/api/') || inProtocol.test(url));

const admission =
  (ledger: Pick<IdempotencyLedger, 'admit'>, answerOf: (result: unknown) => KeptAnswer | undefined) =>
  (req: FastifyRequest, reply: FastifyReply, goOn: GoOn): void => {
    const header = req.headers['idempotency-key'];
    if (header === undefined) return goOn();
    begin(ledger, req, String(header)).then(
      (begun) => {
        if ('status' in begun) return replay(reply, begun);
        req.idempotencyClaim = begun;
        // Whatever the handler commits, commits together with the claim.
        return commitCondition.run((tx, result) => begun.confirm(tx, answerOf(result)), goOn);
      },
      (failure: Error) => goOn(failure),
    );
  };

/** As Nest answers it. */
const created = (result: unknown): KeptAnswer => ({
  status: 201,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(result),
});

async function begin(
  ledger: Pick<IdempotencyLedger, 'admit'>,
  req: FastifyRequest,
  header: string,
): Promise<IdempotencyClaim | KeptAnswer> {
  const key = idempotencyKeyOf(header);
  if (req.body instanceof Readable) {
    // Read and forgotten, so that a client that writes everything first gets its answer.
    req.body.resume();
    throw sluiceError('SLU_REQUEST_IDEMPOTENCY_KEY', {
      problem:
        'is not taken with an archive; leave it out: registering the same content again changes nothing and is answered with 200',
    });
  }
  // The inference protocol has a gate of its own.
  const actor = actorOf(req.principal ?? req.oipPrincipal);
  const admitted = await ledger.admit({ actor, key, method: req.method, path: req.url, body: req.body });
  return admitted.kind === 'first' ? admitted.claim : admitted.answer;
}

function replay(reply: FastifyReply, { status, headers, body }: KeptAnswer): void {
  reply.code(status).headers(headers).header('idempotent-replayed', 'true').send(body);
}

async function settle(req: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  const claim = req.idempotencyClaim;
  if (claim === undefined) return payload;
  req.idempotencyClaim = undefined;
  const body = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.toString() : '';
  const status = reply.statusCode;
  const isPassing = status >= 500 || passing.has(status);
  // The answer waits for its being kept: what a caller has seen is never another answer later.
  await claim.settle({
    answer: { status, headers: headersOf(reply), body },
    isPassing,
    isUndone: body.includes(undone),
  });
  return payload;
}

const headersOf = (reply: FastifyReply): Record<string, string> =>
  Object.fromEntries(
    keptHeaders.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
