import type { InferAsk, InferenceService, InferOutcome, LiveEndpoint, ServingState } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { randomUUID } from 'node:crypto';
import { hasKeyInQuery } from '../http/key-in-query.js';
import { BodyReader } from './oip-body.js';
import { callerOf } from './oip-caller.js';
import { jsonType, oipErrorOf, pathOf, sendOipError } from './oip-error.js';
import { isModelReady, modelMetadata, repositoryIndex } from './oip-metadata.js';
import { oipProtocol, type OipPayload } from './oip-protocol.js';

export type OipAction = 'infer' | 'model.metadata';

export interface OipRoutesOptions {
  inference: Pick<InferenceService, 'hasReadyReplica'> & {
    infer(ask: InferAsk<OipPayload>): Promise<InferOutcome<OipPayload>>;
  };
  state: Pick<ServingState, 'endpoint' | 'snapshot'>;
  /** Who calls, and may they? Throws when not. */
  authenticate(req: FastifyRequest, action: OipAction): { keyId: string };
  isReady(): boolean;
  /** New inference is refused. */
  isDraining(): boolean;
  bodyLimitBytes: number;
  bodyTimeoutSeconds?: number;
  version: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that an inference route was called with. */
    oipKeyId: string;
  }
}

interface ModelRoute {
  Params: { model: string; version?: string };
}
type ModelRequest = FastifyRequest<ModelRoute>;

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
  scope.decorateRequest('oipKeyId', '');
  scope.addHook('onRequest', nameRequest);
  scope.setErrorHandler((error: FastifyError, req, reply) => sendOipError(reply, oipErrorOf(error, req)));
  const identify = (action: OipAction): onRequestHookHandler => identifier(options, action);
  scope.setNotFoundHandler((req) => {
    options.authenticate(req, 'model.metadata');
    throw nothingAt(req);
  });
  healthRoutes(scope, options);
  metadataRoutes(scope, options, identify('model.metadata'));
  inferRoutes(scope, options, identify('infer'));
}

function healthRoutes(scope: FastifyInstance, { isReady }: OipRoutesOptions): void {
  scope.get('/health/live', () => ({ live: true }));
  scope.get('/health/ready', (_req, reply) => sendReadiness(reply, isReady(), { ready: isReady() }));
}

function metadataRoutes(scope: FastifyInstance, options: OipRoutesOptions, onRequest: onRequestHookHandler): void {
  const { inference, state } = options;
  const isUp = (versionKey: string): boolean => inference.hasReadyReplica(versionKey);
  scope.get('', { onRequest }, () => ({ name: 'sluice', version: options.version, extensions }));
  for (const path of ['/models/:model', '/models/:model/versions/:version']) {
    scope.get(path, { onRequest }, ({ params }: ModelRequest) =>
      modelMetadata(known(state, params.model), params.version),
    );
    scope.get(`${path}/ready`, { onRequest }, ({ params }: ModelRequest, reply) => {
      const ready = isModelReady(known(state, params.model), params.version, isUp);
      return sendReadiness(reply, ready, { name: params.model, ready });
    });
  }
  scope.post('/repository/index', { onRequest }, (req) => {
    const isReadyOnly = (req.body as { ready?: unknown } | null | undefined)?.ready === true;
    return repositoryIndex(state.snapshot, isUp).filter((entry) => !isReadyOnly || entry.state === 'READY');
  });
}

function inferRoutes(
  scope: FastifyInstance,
  { inference, isDraining }: OipRoutesOptions,
  identify: onRequestHookHandler,
): void {
  const refuseWhenDraining: onRequestHookHandler = (_req, reply, done) => {
    if (!isDraining()) return done();
    reply.header('connection', 'close');
    return done(sluiceError('SLU_INFERENCE_DRAINING', {}, { retryAfterSeconds: 2 }));
  };
  // No async function: on this path even the promise that it would make is felt.
  const answer = (req: ModelRequest, reply: FastifyReply): void => {
    const { headers, body } = req;
    if (body === undefined)
      throw sluiceError('SLU_REQUEST_MALFORMED', { what: 'the body is empty: send a JSON object with inputs' });
    const answering = inference.infer({
      endpoint: req.params.model,
      version: req.params.version,
      body,
      protocol: oipProtocol,
      bytesIn: Number(headers['content-length'] ?? 0),
      requestId: reply.getHeader('sluice-request-id') as string,
      stickyKey: headers['sluice-sticky-key'] as string | undefined,
      keyId: req.oipKeyId,
      tenant: req.oipKeyId,
      traceparent: headers['traceparent'] as string | undefined,
      caller: callerOf(req.raw.socket),
    });
    answering.then((outcome) => sendOutcome(reply, outcome)).catch((failure: FastifyError) => reply.send(failure));
  };
  const onRequest = [identify, refuseWhenDraining];
  scope.post<ModelRoute>('/models/:model/infer', { onRequest }, answer);
  scope.post<ModelRoute>('/models/:model/versions/:version/infer', { onRequest }, answer);
}

/** By Triton's names for them. */
const extensions = ['binary_tensor_data', 'model_repository'];
const binaryType = 'application/octet-stream';

function sendOutcome(reply: FastifyReply, outcome: InferOutcome<OipPayload>): void {
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
  reply
    .header('content-type', headerLength === undefined ? jsonType : binaryType)
    .header('content-length', outcome.payloadBytes)
    .send(body);
}

/** Each answer names its request; a server that already gives its requests UUIDs keeps them. */
const nameRequest: onRequestHookHandler = (req, reply, done) => {
  reply.header('sluice-request-id', req.id.length === uuidLength ? req.id : randomUUID());
  if (hasKeyInQuery(req.url)) return done(sluiceError('SLU_ACCESS_KEY_IN_QUERY'));
  return done();
};

function identifier({ authenticate }: OipRoutesOptions, action: OipAction): onRequestHookHandler {
  return (req, _reply, done) => {
    try {
      req.oipKeyId = authenticate(req, action).keyId;
    } catch (error) {
      return done(error as FastifyError);
    }
    return done();
  };
}

function known(state: OipRoutesOptions['state'], name: string): LiveEndpoint {
  const endpoint = state.endpoint(name);
  if (endpoint === undefined) throw sluiceError('SLU_ENDPOINT_UNKNOWN', { endpoint: name });
  return endpoint;
}

function sendReadiness(reply: FastifyReply, isReady: boolean, body: object): FastifyReply {
  if (!isReady) reply.code(503).header('retry-after', '1');
  return reply.send(body);
}

const knownPaths = [
  /^\/v2(?:\/health\/(?:live|ready))?$/,
  /^\/v2\/models\/[^/]+(?:\/versions\/[^/]+)?(?:\/ready|\/infer|\/generate|\/generate_stream)?$/,
  /^\/v2\/repository\/index$/,
];

function nothingAt(req: FastifyRequest): Error {
  const path = pathOf(req);
  if (knownPaths.some((pattern) => pattern.test(path)))
    return sluiceError('SLU_REQUEST_METHOD', { path, method: req.method });
  return sluiceError('SLU_REQUEST_NOT_FOUND', { path });
}
