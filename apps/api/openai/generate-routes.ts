import type { Admission } from '#libs/access';
import type { LanguageExchange } from '#libs/inference';
import { isSluiceError, sluiceError, type SluiceError } from '#libs/kernel';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { jsonType, oipErrorOf, sendOipError } from '../inference/oip-error.js';
import { EventStreams, type StreamFormat, type StreamSettings } from './event-stream.js';
import { isObject, refusal, type JsonObject } from './field-rules.js';
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
import { latin1, parsedLatin1 } from './latin1.js';
import { checkedCompletion, type CheckedAsk } from './openai-request.js';

export interface GenerateRoutesOptions extends LanguageRoutesOptions {
  streams?: StreamSettings | undefined;
}

interface GenerateRequest {
  Params: { model: string; version?: string };
}

/** `id` and the names that stand in each answer. */
interface Naming {
  id?: unknown;
  model_name: string;
  model_version: string;
}

/**
 * Triton's generate extension: a text in, a text out, whole or in pieces.
 * Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
 */
export async function generateRoutes(fastify: FastifyInstance, options: GenerateRoutesOptions): Promise<void> {
  await fastify.register(async (scope) => setUp(scope, options), { prefix: '/v2' });
}

function setUp(scope: FastifyInstance, options: GenerateRoutesOptions): void {
  const streams = new EventStreams(options.streams);
  scope.addHook('onClose', async () => streams[Symbol.dispose]());
  readBodies(scope, options);
  scope.addHook('onRequest', nameRequest);
  scope.setErrorHandler((error: FastifyError, req, reply) => sendOipError(reply, oipErrorOf(error, req)));
  const onRequest = [identifier(options, 'infer'), drainRefuser(options)];
  for (const path of ['/models/:model', '/models/:model/versions/:version']) {
    for (const isStream of [false, true]) {
      scope.post<GenerateRequest>(`${path}/generate${isStream ? '_stream' : ''}`, { onRequest }, (req, reply) => {
        generate(options, streams, req, reply, isStream);
      });
    }
  }
}

function generate(
  options: GenerateRoutesOptions,
  streams: EventStreams,
  req: FastifyRequest<GenerateRequest>,
  reply: FastifyReply,
  isStream: boolean,
): void {
  const body = bodyOf(req);
  const checked = checkedGeneration(body, req.params, isStream);
  const refused = (failure: unknown): void => {
    if (isSluiceError(failure)) sendOipError(reply, failure);
    else void reply.send(failure);
  };
  const admitted = (admission: Admission): void => {
    const exchange = beginExchange(options, req, reply, checked, admission);
    const naming: Naming = {
      ...(body['id'] !== undefined && { id: body['id'] }),
      model_name: req.params.model,
      model_version: exchange.version ?? '',
    };
    const sending = isStream
      ? streams.send(reply, exchange, new GenerateFormat(naming))
      : sendText(reply, exchange, naming);
    sending.catch(refused);
  };
  admitLanguage(options, req, reply, checked, { isOpenAi: false, admitted, refused });
}

/** Parameters stand in `parameters`, or beside the text, where Triton's LLM backends have them. */
function checkedGeneration(
  { id, text_input: prompt, parameters, ...beside }: JsonObject,
  { model, version }: GenerateRequest['Params'],
  isStream: boolean,
): CheckedAsk {
  if (id !== undefined && typeof id !== 'string') throw refusal('id', 'must be a text');
  if (typeof prompt !== 'string') throw refusal('text_input', 'must be a text');
  if (parameters !== undefined && !isObject(parameters)) throw refusal('parameters', 'must be an object');
  // The path says whether it is a stream, and there is one text in the answer.
  const { stream: _stream, n: _n, best_of: _best, ...given } = { ...beside, ...parameters };
  const name = version === undefined ? model : `${model}:${version}`;
  const checked = checkedCompletion({ ...given, model: name, prompt, ...(isStream && { stream: true }) });
  return { ...checked, prompt: { ...checked.prompt, field: 'text_input' } };
}

async function sendText(reply: FastifyReply, exchange: LanguageExchange, naming: Naming): Promise<void> {
  const whole = await exchange.whole();
  const text = madeOf(whole, naming.model_name, (answer) => textOf(parsedLatin1(answer) as JsonObject));
  reply.header('content-type', jsonType).send(JSON.stringify({ ...naming, text_output: text }));
}

class GenerateFormat implements StreamFormat {
  constructor(private readonly naming: Naming) {}

  begin(): string {
    return '';
  }

  write(events: readonly string[]): string {
    let text = '';
    for (const event of events) {
      const piece = textOf(this.chunkOf(event));
      if (piece !== '') text += `data: ${latin1({ ...this.naming, text_output: piece })}\n\n`;
    }
    return text;
  }

  // The extension has no sign of the end; that of the connection is it.
  end(): string {
    return '';
  }

  fail(error: SluiceError): string {
    return `data: ${latin1({ error: error.message })}\n\n`;
  }

  private chunkOf(event: string): JsonObject {
    try {
      return parsedLatin1(event) as JsonObject;
    } catch (cause) {
      const detail = { endpoint: this.naming.model_name, problem: 'it sent an event that is no JSON object' };
      throw sluiceError('SLU_INFERENCE_UPSTREAM', detail, { cause });
    }
  }
}

function textOf({ choices }: JsonObject): string {
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  return isObject(choice) && typeof choice['text'] === 'string' ? choice['text'] : '';
}
