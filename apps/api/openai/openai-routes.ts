import type { Admission } from '#libs/access';
import type { LanguageExchange, ServingState } from '#libs/inference';
import { isSluiceError } from '#libs/kernel';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { visibleSnapshot } from '../http/visible-state.js';
import type { OutgoingHttpHeaders } from 'node:http';
import { ProtocolPaths, refuseByProtocol } from '../http/protocol-paths.js';
import { jsonType } from '../inference/oip-error.js';
import { asBase64 } from './embedding-format.js';
import { chunkFormat, EventStreams, type StreamFormat, type StreamSettings } from './event-stream.js';
import type { JsonObject } from './field-rules.js';
import {
  admitLanguage,
  beginExchange,
  bodyOf,
  drainRefuser,
  identifier,
  madeOf,
  nameRequest,
  readBodies,
  type LanguageRoutesOptions,
} from './language-request.js';
import { sendOpenAiError } from './openai-error.js';
import { describeModel, listModels } from './openai-models.js';
import { checkedChat, checkedCompletion, checkedEmbedding, type CheckedAsk } from './openai-request.js';
import { moderationRoute } from './moderation-route.js';
import { responseOf } from './responses-object.js';
import { checkedResponse } from './responses-request.js';
import { ResponsesStream } from './responses-stream.js';

export interface OpenAiRoutesOptions extends LanguageRoutesOptions {
  state: Pick<ServingState, 'snapshot'>;
  streams?: StreamSettings | undefined;
  /** Left out, the routes here are all that there are. */
  paths?: ProtocolPaths | undefined;
}

/** What a route makes of a body, and how its answer looks to the caller. */
interface Dialect {
  ask(body: JsonObject): CheckedAsk;
  /** Texts hold bytes as characters (latin1). */
  whole?(answer: string, body: JsonObject): string;
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
  refuseByProtocol(scope, {
    paths: options.paths ?? new ProtocolPaths(scope),
    authenticate: (req) => options.authenticate(req, 'model.metadata'),
    send: sendOpenAiError,
  });
  modelRoutes(scope, options);
  moderationRoute(scope, options);
  answerRoutes(scope, options, streams);
}

function modelRoutes(scope: FastifyInstance, options: OpenAiRoutesOptions): void {
  const onRequest = identifier(options, 'model.metadata');
  scope.get('/models', { onRequest }, (req) =>
    listModels(visibleSnapshot(req.languagePrincipal, options.state.snapshot)),
  );
  scope.get<{ Params: { model: string } }>('/models/:model', { onRequest }, (req) =>
    describeModel(visibleSnapshot(req.languagePrincipal, options.state.snapshot), req.params.model),
  );
}

function answerRoutes(scope: FastifyInstance, options: OpenAiRoutesOptions, streams: EventStreams): void {
  const onRequest = [identifier(options, 'infer'), drainRefuser(options)];
  const route = (path: string, dialect: Dialect): void => {
    // No async function: on this path even the promise that it would make is felt.
    scope.post(path, { onRequest }, (req, reply) => {
      const body = bodyOf(req);
      const checked = dialect.ask(body);
      const refused = (failure: unknown): void => {
        if (isSluiceError(failure)) sendOpenAiError(reply, failure);
        else void reply.send(failure);
      };
      const admitted = (admission: Admission): void => {
        const exchange = beginExchange(options, req, reply, checked, admission);
        const sending = checked.isStream
          ? streams.send(reply, exchange, dialect.stream?.(body, checked.endpoint) ?? chunkFormat)
          : sendWhole(reply, exchange, (answer) => dialect.whole?.(answer, body) ?? answer);
        sending.catch(refused);
      };
      admitLanguage(options, req, reply, checked, { isOpenAi: true, admitted, refused });
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
  format: (answer: string) => string,
): Promise<void> {
  const answer = madeOf(await exchange.whole(), exchange.ask.endpoint, format);
  reply
    .header('openai-processing-ms', Math.round(performance.now() - exchange.startedMs))
    .header('content-type', jsonType)
    .header('content-length', answer.length)
    .hijack();
  // Past Fastify's own sending, which takes no such text: head and body leave in one write.
  reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders).end(answer, 'latin1');
}
