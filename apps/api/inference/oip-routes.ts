import type { Budgets, Principal } from '#libs/access';
import type { SubjectPseudonyms } from '#libs/audit';
import type { EndpointLoading, InferAsk, InferenceService, InferOutcome, ServingState } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { randomUUID } from 'node:crypto';
import { releaseWithAnswer, sayLimits, type Admissions } from '../http/admissions.js';
import { whenAdmitted } from '../http/gatekeeper.js';
import { whenKnown } from '../http/when-known.js';
import { hasKeyInQuery } from '../http/key-in-query.js';
import { holderOf, subjectHeader } from '../http/request-holder.js';
import { ProtocolPaths, refuseByProtocol } from '../http/protocol-paths.js';
import { answerCoding, compressed, type BodyCoding } from './oip-body-coding.js';
import { BodyReader } from './oip-body.js';
import { callerOf } from './oip-caller.js';
import { jsonType, sendOipError } from './oip-error.js';
import { modelRoutes, sendReadiness, type ModelRequest, type ModelRoute } from './oip-model-routes.js';
import { oipProtocol, type OipPayload } from './oip-protocol.js';
import { repositoryRoutes } from './oip-repository-routes.js';
import { settingRoutes } from './oip-setting-routes.js';
import type { ServerSettingsView } from './oip-settings.js';

export type OipAction = 'infer' | 'model.metadata' | 'endpoint.write';

export interface OipRoutesOptions {
  inference: Pick<InferenceService, 'hasReadyReplica' | 'schedulingOf' | 'statistics'> & {
    infer(ask: InferAsk<OipPayload>): Promise<InferOutcome<OipPayload>>;
  };
  state: Pick<ServingState, 'endpoint' | 'snapshot'>;
  loading: Pick<EndpointLoading, 'load' | 'unload'>;
  settings: ServerSettingsView;
  /** Knows the routes of other protocols below `/v2` too; left out, there are none. */
  paths?: ProtocolPaths | undefined;
  /** Keeps the accounts of requests; left out: nothing is counted. */
  budgets?: Pick<Budgets, 'meter'> | undefined;
  /** Who calls, and may they? Throws when not. */
  authenticate(req: FastifyRequest, action: OipAction): Principal | Promise<Principal>;
  /** Left out, no request is about a named person. */
  pseudonyms?: Pick<SubjectPseudonyms, 'of'> | undefined;
  admissions: Pick<Admissions, 'enter'>;
  isReady(): boolean;
  /** What an operator should know although all is ready. */
  notices?: readonly string[] | undefined;
  /** New inference is refused. */
  isDraining(): boolean;
  bodyLimitBytes: number;
  bodyTimeoutSeconds?: number;
  version: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls an inference route. */
    oipPrincipal: Principal;
  }
}

const defaultBodyTimeoutSeconds = 30;
const uuidLength = 36;

/**
 * The Open Inference Protocol v2 as a plain Fastify plugin: no Nest layer lies between the socket and the batcher.
 * Registers everything below `/v2` and keeps its own parsers and error shape to itself.
 */
export async function oipRoutes(fastify: FastifyInstance, options: OipRoutesOptions): Promise<void> {
  await fastify.register(async (scope) => setUp(scope, options), { prefix: '/v2' });
}

function setUp(scope: FastifyInstance, options: OipRoutesOptions): void {
  const bodies = new BodyReader({
    limitBytes: options.bodyLimitBytes,
    timeoutSeconds: options.bodyTimeoutSeconds ?? defaultBodyTimeoutSeconds,
  });
  scope.addHook('onClose', async () => bodies[Symbol.dispose]());
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', bodies.json);
  scope.addContentTypeParser('*', bodies.other);
  // Null for the start, as Fastify wants it for what is set per request.
  scope.decorateRequest('oipPrincipal', null as unknown as Principal);
  if (!scope.hasRequestDecorator('bodyBytes')) scope.decorateRequest('bodyBytes', 0);
  scope.addHook('onRequest', nameRequest);
  const identify = (action: OipAction): onRequestHookHandler => identifier(options, action);
  refuseByProtocol(scope, {
    paths: options.paths ?? new ProtocolPaths(scope),
    authenticate: (req) => options.authenticate(req, 'model.metadata'),
    send: sendOipError,
  });
  const refuseWhenDraining = drainRefusal(options);
  const reading = [identify('model.metadata')];
  healthRoutes(scope, options);
  modelRoutes(scope, options, reading);
  repositoryRoutes(scope, options, { reading, writing: [identify('endpoint.write'), refuseWhenDraining] });
  settingRoutes(scope, options, { reading, writing: [identify('endpoint.write')] });
  inferRoutes(scope, options, [identify('infer'), refuseWhenDraining, admitter(options)]);
}

function healthRoutes(scope: FastifyInstance, { isReady, notices = [] }: OipRoutesOptions): void {
  const detail = notices.length === 0 ? {} : { notices };
  scope.get('/health/live', () => ({ live: true }));
  scope.get('/health/ready', (_req, reply) => sendReadiness(reply, isReady(), { ready: isReady(), ...detail }));
}

function drainRefusal({ isDraining }: OipRoutesOptions): onRequestHookHandler {
  return (_req, reply, done) => {
    if (!isDraining()) return done();
    reply.header('connection', 'close');
    return done(sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: 2 }));
  };
}

function inferRoutes(
  scope: FastifyInstance,
  { inference, budgets, pseudonyms }: OipRoutesOptions,
  onRequest: onRequestHookHandler[],
): void {
  // No async function: on this path even the promise that it would make is felt.
  const answer = (req: ModelRequest, reply: FastifyReply): void => {
    const { headers, body } = req;
    if (body === undefined)
      throw sluiceError('SLU_REQUEST_MALFORMED', { what: 'the body is empty: send a JSON object with inputs' });
    const requestId = reply.getHeader('sluice-request-id') as string;
    const answering = inference.infer({
      endpoint: req.params.model,
      version: req.params.version,
      body,
      protocol: oipProtocol,
      bytesIn: req.bodyBytes,
      requestId,
      stickyKey: headers['sluice-sticky-key'] as string | undefined,
      keyId: req.oipPrincipal.keyId,
      tenant: req.oipPrincipal.tenantId,
      holder: holderOf(req.oipPrincipal, pseudonyms, headers[subjectHeader]),
      visible: req.oipPrincipal.endpoints,
      traceparent: headers['traceparent'] as string | undefined,
      caller: callerOf(req.raw.socket),
      meter: budgets?.meter(req.oipPrincipal, requestId),
    });
    const accepted = headers['accept-encoding'];
    answering
      .then((outcome) => sendOutcome(reply, outcome, accepted))
      .catch((failure: FastifyError) => reply.send(failure));
  };
  scope.post<ModelRoute>('/models/:model/infer', { onRequest }, answer);
  scope.post<ModelRoute>('/models/:model/versions/:version/infer', { onRequest }, answer);
}

const binaryType = 'application/octet-stream';

function sendOutcome(
  reply: FastifyReply,
  outcome: InferOutcome<OipPayload>,
  accepted: string | undefined,
): void | Promise<void> {
  const { payload, error, version, arm } = outcome;
  reply.header('traceparent', outcome.traceparent);
  if (version !== undefined) reply.header('sluice-model-version', version).header('sluice-arm', arm);
  if (outcome.isCached === true) reply.header('sluice-cache', 'hit');
  if (payload === undefined) {
    sendOipError(reply, error ?? sluiceError('SLU_INTERNAL'));
    return;
  }
  const { body, headerLength } = payload;
  if (headerLength !== undefined) reply.header('inference-header-content-length', headerLength);
  reply.header('content-type', headerLength === undefined ? jsonType : binaryType);
  const coding = answerCoding(accepted, outcome.payloadBytes);
  if (coding !== undefined) return sendCompressed(reply, coding, body);
  reply.header('content-length', outcome.payloadBytes).send(body);
}

async function sendCompressed(reply: FastifyReply, coding: BodyCoding, body: string | Buffer): Promise<void> {
  const bytes = await compressed(coding, body);
  reply
    .header('content-encoding', coding)
    .header('vary', 'accept-encoding')
    .header('content-length', bytes.length)
    .send(bytes);
}

/** Each answer names its request; a server that already gives its requests UUIDs keeps them. */
const nameRequest: onRequestHookHandler = (req, reply, done) => {
  reply.header('sluice-request-id', req.id.length === uuidLength ? req.id : randomUUID());
  if (hasKeyInQuery(req.url)) return done(sluiceError('SLU_ACCESS_KEY_IN_QUERY'));
  return done();
};

/** Before the body is read: what is refused by its caller's limits costs no more than its head. */
function admitter({ admissions }: OipRoutesOptions): onRequestHookHandler {
  return (req, reply, done) => {
    const { model: endpoint } = req.params as ModelRoute['Params'];
    const requestId = reply.getHeader('sluice-request-id') as string;
    whenKnown(
      () => admissions.enter(req.oipPrincipal, requestId, { endpoint }),
      (admission) => {
        sayLimits(reply, admission);
        releaseWithAnswer(reply, admission);
        done();
      },
      (failure) => {
        sayLimits(reply, failure);
        done(failure as FastifyError);
      },
    );
  };
}

function identifier({ authenticate }: OipRoutesOptions, action: OipAction): onRequestHookHandler {
  return (req, _reply, done) => {
    whenAdmitted(
      () => authenticate(req, action),
      (principal) => (req.oipPrincipal = principal),
      done,
    );
  };
}
