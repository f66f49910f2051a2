import type { LanguageExchange, ServingState } from '#libs/inference';
import { isSluiceError, sluiceError } from '#libs/kernel';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { jsonType, oipErrorOf, pathOf } from '../inference/oip-error.js';
import { asBase64 } from './embedding-format.js';
import { chunkFormat, EventStreams, type StreamFormat, type StreamSettings } from './event-stream.js';
import type { JsonObject } from './field-rules.js';
import {
  beginExchange,
  bodyOf,
  drainRefuser,
  identifier,
  nameRequest,
  readBodies,
  type LanguageRoutesOptions,
} from './language-request.js';
import { sendOpenAiError } from './openai-error.js';
import { describeModel, listModels } from './openai-models.js';
import { checkedChat, checkedCompletion, checkedEmbedding, type CheckedAsk } from './openai-request.js';
import { responseOf } from './responses-object.js';
import { checkedResponse } from './responses-request.js';
import { ResponsesStream } from './responses-stream.js';

export interface OpenAiRoutesOptions extends LanguageRoutesOptions {
  state: Pick<ServingState, 'snapshot'>;
  streams?: StreamSettings | undefined;
}

/** What a route makes of a body, and how its answer looks to the caller. */
interface Dialect {
  ask(body: JsonObject): CheckedAsk;
  whole?(answer: Buffer, body: JsonObject): Buffer;
  stream?(body: JsonObject, endpoint: string): StreamFormat;
}

/**
 * The OpenAI protocol as a plain Fastify plugin, like the Open Inference Protocol beside it: everything below `/v1`, with
 * its own parsers and error shape.
 */
export async function openAiRoutes(fastify: FastifyInstance, options: OpenAiRoutesOptions): Promise<void> {
  await fastify.register(async (scope) => setUp(scope, options), { prefix: '/v1' });
}

function setUp(scope: FastifyInstance, options: OpenAiRoutesOptions): void {
  const streams = new EventStreams(options.streams);
  scope.addHook('onClose', async () => streams[Symbol.dispose]());
  readBodies(scope, options);
  scope.addHook('onRequest', nameRequest);
  const nothingHere = (req: FastifyRequest, reply: FastifyReply): unknown => {
    try {
      options.authenticate(req, 'model.metadata');
      return nothingAt(req, reply);
    } catch (refused) {
      return refused;
    }
  };
  scope.setNotFoundHandler((req, reply) => {
    throw nothingHere(req, reply);
  });
  scope.setErrorHandler((error: FastifyError, req, reply) => {
    // Whatever else is wrong with a request, where there is no route that comes first.
    const first = req.is404 && !isSluiceError(error) ? nothingHere(req, reply) : error;
    return sendOpenAiError(reply, oipErrorOf(first as FastifyError, req));
  });
  modelRoutes(scope, options);
  answerRoutes(scope, options, streams);
}

function modelRoutes(scope: FastifyInstance, options: OpenAiRoutesOptions): void {
  const onRequest = identifier(options, 'model.metadata');
  scope.get('/models', { onRequest }, () => listModels(options.state.snapshot));
  scope.get<{ Params: { model: string } }>('/models/:model', { onRequest }, ({ params }) =>
    describeModel(options.state.snapshot, params.model),
  );
}

function answerRoutes(scope: FastifyInstance, options: OpenAiRoutesOptions, streams: EventStreams): void {
  const onRequest = [identifier(options, 'infer'), drainRefuser(options)];
  const route = (path: string, dialect: Dialect): void => {
    // No async function: on this path even the promise that it would make is felt.
    scope.post(path, { onRequest }, (req, reply) => {
      const body = bodyOf(req);
      const checked = dialect.ask(body);
      const exchange = beginExchange(options.language, req, reply, checked);
      const sending = checked.isStream
        ? streams.send(reply, exchange, dialect.stream?.(body, checked.endpoint) ?? chunkFormat)
        : sendWhole(reply, exchange, (answer) => dialect.whole?.(answer, body) ?? answer);
      sending.catch((failure: unknown) => {
        if (isSluiceError(failure)) sendOpenAiError(reply, failure);
        else void reply.send(failure);
      });
    });
  };
  route('/chat/completions', { ask: checkedChat });
  route('/completions', { ask: checkedCompletion });
  route('/embeddings', { ask: checkedEmbedding, whole: asBase64 });
  route('/responses', {
    ask: checkedResponse,
    whole: responseOf,
    stream: (body, endpoint) => new ResponsesStream(body, endpoint),
  });
}

async function sendWhole(
  reply: FastifyReply,
  exchange: LanguageExchange,
  format: (answer: Buffer) => Buffer,
): Promise<void> {
  const answer = format(await exchange.whole());
  reply
    .header('openai-processing-ms', Math.round(performance.now() - exchange.startedMs))
    .header('content-type', jsonType)
    .header('content-length', answer.length)
    .send(answer);
}

const readPaths = /^\/v1\/models(?:\/[^/]+)?$/;
const answerPaths = /^\/v1\/(?:chat\/completions|completions|embeddings|responses)$/;

function nothingAt(req: FastifyRequest, reply: FastifyReply): Error {
  const path = pathOf(req);
  const method = readPaths.test(path) ? 'GET, HEAD' : answerPaths.test(path) ? 'POST' : undefined;
  if (method === undefined) return sluiceError('SLU_REQUEST_NOT_FOUND', { path });
  reply.header('allow', method);
  return sluiceError('SLU_REQUEST_METHOD', { path, method: req.method });
}
