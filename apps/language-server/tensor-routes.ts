import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type InferRequest,
  type LanguageModel,
  type Tensor,
  decodeInferRequest,
  encodeInferResponse,
  headerLengthField,
  parseInferRequest,
  renderInferResponse,
  selectOutputs,
} from '#libs/inference/adapters/llama';
import { isSluiceError } from '#libs/kernel';
import { answerTokens } from './answer-run.js';
import { readPrompts } from './completion-answer.js';
import { Fields } from './fields.js';
import { OpenAiError, contextExceeded, notReady, queueFull } from './openai-error.js';
import { parseJson, readBody } from './request-body.js';
import { readGeneration } from './sampling-fields.js';

export interface Readiness {
  readonly model: LanguageModel | undefined;
  readonly isDraining: boolean;
}

const maxRows = 4_096;

/**
 * The Open Inference Protocol v2 for a language model: `text_input` in, and `text_output` or `embedding` out, row by row.
 * A text is a prompt as it stands, without the template of a conversation. Settings of the generation stand in the
 * request's `parameters`, by the names of the OpenAI API; the temperature is 0 unless it stands there.
 */
export class TensorRoutes {
  constructor(private readonly version: string) {}

  async answer(path: string, req: IncomingMessage, res: ServerResponse, readiness: Readiness): Promise<void> {
    try {
      if (path.endsWith('/infer')) return await this.infer(path, req, res, readiness);
      req.resume();
      if (req.method !== 'GET') throw new OpenAiError(405, `${path} does not answer ${req.method}`);
      const { status, content } = this.describe(path, readiness);
      send(res, status, Buffer.from(JSON.stringify(content)), json);
    } catch (error) {
      refuse(res, error);
    }
  }

  private describe(path: string, { model, isDraining }: Readiness): { status: number; content: object } {
    const isReady = model !== undefined && !isDraining;
    const status = isReady ? 200 : 503;
    if (path === '/v2')
      return { status: 200, content: { name: 'sluice-language-server', version: this.version, extensions } };
    if (path === '/v2/health/live') return { status: 200, content: { live: true } };
    if (path === '/v2/health/ready') return { status, content: { ready: isReady } };
    // Before the model is loaded its name is not known either.
    if (model === undefined) throw notReady('the model is loading');
    const { name, version, inputs, outputs } = model.manifest;
    if (path.endsWith('/ready') && isPathOf(model, path.slice(0, -'/ready'.length)))
      return { status, content: { name, ready: isReady } };
    if (path.endsWith('/stats') && isPathOf(model, path.slice(0, -'/stats'.length)))
      return { status: 200, content: { name, version, ...statsOf(model) } };
    if (!isPathOf(model, path)) throw new OpenAiError(404, `there is nothing at ${path}`);
    return { status: 200, content: { name, versions: [version], platform: 'llama_cpp_gguf', inputs, outputs } };
  }

  private async infer(path: string, req: IncomingMessage, res: ServerResponse, readiness: Readiness): Promise<void> {
    const body = await readBody(req);
    if (body === undefined) return;
    const { model, isDraining } = readiness;
    if (model === undefined) throw notReady('the model is loading');
    if (isDraining) throw notReady('this server is shutting down');
    if (!isPathOf(model, path.slice(0, -'/infer'.length))) throw new OpenAiError(404, `there is nothing at ${path}`);
    if (req.method !== 'POST') throw new OpenAiError(405, `${path} does not answer ${req.method}`);
    const request = readRequest(model, req, body);
    const texts = request.inputs[0]!.data as readonly string[];
    const abort = new AbortController();
    res.once('close', () => abort.abort());
    const output =
      model.task === 'embedding'
        ? await embed(model, texts, abort.signal)
        : await generate(model, texts, request, abort.signal);
    if (abort.signal.aborted) return;
    const { name: modelName, version: modelVersion } = model.manifest;
    const response = { modelName, modelVersion, id: request.id, outputs: selectOutputs([output], request.outputs) };
    if (!wantsBinary(request, req)) return send(res, 200, Buffer.from(renderInferResponse(response)), json);
    const { headerLength, chunks } = encodeInferResponse(response);
    send(res, 200, Buffer.concat(chunks), { ...binary, [headerLengthField]: headerLength });
  }
}

const extensions = ['binary_tensor_data', 'statistics'];
const json = { 'content-type': 'application/json' };
const binary = { 'content-type': 'application/octet-stream' };

/** Sequences that are free when nothing is asked, and the memory of the process in bytes. */
function statsOf(model: LanguageModel): object {
  const { sequences, freeSequences, waiting } = model.load;
  const { rss } = process.memoryUsage();
  return { sequences, free_sequences: freeSequences, waiting, resident_bytes: rss };
}

async function embed(model: LanguageModel, texts: readonly string[], signal: AbortSignal): Promise<Tensor> {
  const { contextTokens } = model.limits;
  const prompts = await readPrompts(model, texts, 'text_input');
  const tooLong = prompts.findIndex(({ length }) => length >= contextTokens);
  if (tooLong >= 0)
    throw contextExceeded(contextTokens, `row ${tooLong} has ${prompts[tooLong]!.length}`, 'text_input');
  const vectors = await model.embed(prompts, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return [];
  });
  if (vectors === undefined) throw queueFull();
  const size = model.embeddingSize;
  const data = new Float32Array(texts.length * size);
  vectors.forEach((vector, row) => data.set(vector, row * size));
  return { name: 'embedding', datatype: 'FP32', shape: [texts.length, size], data };
}

async function generate(
  model: LanguageModel,
  texts: readonly string[],
  request: InferRequest,
  signal: AbortSignal,
): Promise<Tensor> {
  // Rows of several callers come in one call, so without a wish of its own each row has the one answer that it gets alone.
  const fields = Fields.of({ temperature: 0, ...request.parameters, model: model.manifest.name, n: 1, stream: false });
  const { sampling, maxTokens, stops } = readGeneration(fields, { choices: 1, vocabulary: model.vocabularySize });
  const prompts = await readPrompts(model, texts, 'text_input');
  const answers = texts.map(() => '');
  await new Promise<void>((resolve, reject) => {
    let openCount = prompts.length;
    const generations = model.answer(
      prompts.map((prompt, row) => ({
        prompt,
        maxTokens: answerTokens(model, prompt.length, maxTokens, 'text_input'),
        sampling,
        stops,
        onEvent: (event) => {
          if (event.kind === 'text') answers[row] += event.text;
        },
        onEnd: (end) => {
          openCount -= 1;
          if (end.kind === 'failed') {
            reject(new OpenAiError(500, end.error.message, { code: 'model_failed' }));
            generations?.forEach((generation) => generation.cancel());
          } else if (end.kind === 'cancelled' && !signal.aborted) reject(notReady('this server is shutting down'));
          else if (openCount === 0) resolve();
        },
      })),
    );
    if (generations === undefined) return reject(queueFull());
    signal.addEventListener('abort', () => generations.forEach((generation) => generation.cancel()));
  });
  return { name: 'text_output', datatype: 'BYTES', shape: [texts.length], data: answers };
}

function isPathOf({ manifest }: LanguageModel, path: string): boolean {
  const base = `/v2/models/${encodeURIComponent(manifest.name)}`;
  return path === base || path === `${base}/versions/${encodeURIComponent(manifest.version)}`;
}

function readRequest({ manifest }: LanguageModel, req: IncomingMessage, body: Buffer): InferRequest {
  const headerLength = req.headers[headerLengthField];
  if (headerLength !== undefined) return decodeInferRequest(Number(headerLength), body, manifest, { maxRows });
  return parseInferRequest(parseJson(body), manifest, { maxRows });
}

/** Who sends binary and asks for binary outputs gets all of them in binary. */
function wantsBinary({ parameters, outputs }: InferRequest, req: IncomingMessage): boolean {
  if (req.headers[headerLengthField] === undefined) return false;
  if (parameters['binary_data_output'] === true) return true;
  return outputs?.some((output) => output.parameters?.['binary_data'] === true) ?? false;
}

function refuse(res: ServerResponse, error: unknown): void {
  const isKnown = error instanceof OpenAiError || isSluiceError(error);
  if (!isKnown) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  const { status, message, retryAfterSeconds } = isKnown ? error : new OpenAiError(500, 'the language server failed');
  if (retryAfterSeconds !== undefined) res.setHeader('retry-after', retryAfterSeconds);
  if (error instanceof OpenAiError && error.code === 'model_failed') res.setHeader('sluice-fault', 'model');
  if (status === 413 || status === 503) res.setHeader('connection', 'close');
  send(res, status, Buffer.from(JSON.stringify({ error: message })), json);
}

function send(res: ServerResponse, status: number, body: Buffer, headers: Record<string, string | number>): void {
  if (res.destroyed || res.headersSent) return;
  res.sendDate = false;
  res.writeHead(status, { ...headers, 'content-length': body.length });
  res.end(body);
}
