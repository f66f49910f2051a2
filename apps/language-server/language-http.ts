import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { drainServer, type LanguageModel } from '#libs/inference/adapters/llama';
import { isSluiceError, secondsToMs } from '#libs/kernel';
import { AnswerRun } from './answer-run.js';
import { ChatForm, planChat } from './chat-answer.js';
import { readChat } from './chat-request.js';
import { CompletionForm, planCompletion, readPrompts } from './completion-answer.js';
import { readCompletion, readEmbedding } from './completion-request.js';
import { OpenAiError, contextExceeded, notReady, queueFull } from './openai-error.js';
import { TensorRoutes } from './tensor-routes.js';
import { parseJson, readBody } from './request-body.js';

export interface LanguageHttpSettings {
  version: string;
  /** How long a reader of a stream may leave unread what was sent to it. */
  stallMs: number;
}

/** A body comes from the API, which holds it whole. */
const bodyTimeoutMs = secondsToMs(30);

/** The OpenAI API for one model, and the Open Inference Protocol for the same. */
export class LanguageHttp {
  readonly server: Server;
  private model: LanguageModel | undefined;
  private isDraining = false;
  private readonly tensors: TensorRoutes;

  constructor(private readonly settings: LanguageHttpSettings) {
    this.server = createServer({ requestTimeout: bodyTimeoutMs }, (req, res) => void this.answer(req, res));
    // The API keeps its connections for as long as it likes; closing one under a request would look like a crash.
    this.server.keepAliveTimeout = 0;
    this.tensors = new TensorRoutes(settings.version);
  }

  serve(model: LanguageModel): void {
    this.model = model;
  }

  /** Takes no new work, and resolves when each request that was begun has its answer. */
  async drain(): Promise<void> {
    this.isDraining = true;
    await drainServer(this.server);
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? '/').split('?', 1)[0]!;
    res.once('close', () => {
      // A connection on which a stream has ended would hold up the drain.
      if (this.isDraining) setImmediate(() => this.server.closeIdleConnections());
    });
    try {
      if (path === '/v2' || path.startsWith('/v2/')) return await this.tensors.answer(path, req, res, this.ready);
      const content = await this.route(path, req, res);
      if (content !== undefined) this.send(res, 200, content);
    } catch (error) {
      this.refuse(res, error);
    }
  }

  /** @returns the answer, unless it is given already or nobody waits for it */
  private async route(path: string, req: IncomingMessage, res: ServerResponse): Promise<object | undefined> {
    if (path === '/v1/models') {
      req.resume();
      if (req.method !== 'GET') throw wrongMethod(path, req.method);
      return { object: 'list', data: [this.describe()] };
    }
    const work = this.works[path];
    if (work === undefined) {
      req.resume();
      throw new OpenAiError(404, `there is nothing at ${path}`, { code: 'unknown_url' });
    }
    const body = await readBody(req);
    if (body === undefined) return undefined;
    if (req.method !== 'POST') throw wrongMethod(path, req.method);
    return work(parseJson(body), res, this.modelFor(path));
  }

  private get ready(): { model: LanguageModel | undefined; isDraining: boolean } {
    return { model: this.model, isDraining: this.isDraining };
  }

  private readonly works: Readonly<Record<string, Work>> = {
    '/v1/chat/completions': (body, res, model) => this.chat(body, res, model),
    '/v1/completions': (body, res, model) => this.complete(body, res, model),
    '/v1/embeddings': (body, res, model) => this.embed(body, res, model),
  };

  private modelFor(path: string): LanguageModel {
    const { model } = this;
    if (this.isDraining) throw notReady('this server is shutting down');
    if (model === undefined) throw notReady('the model is loading');
    const wanted = path === '/v1/embeddings' ? 'embedding' : 'text-generation';
    if (model.task !== wanted) {
      const problem = `${model.manifest.name} is a model for ${model.task}: ${path} is for ${wanted}`;
      throw new OpenAiError(400, problem, { param: 'model', code: 'unsupported_task' });
    }
    return model;
  }

  private async chat(body: unknown, res: ServerResponse, model: LanguageModel): Promise<object | undefined> {
    const request = readChat(body, requestLimits(model));
    const { plans, promptTokens } = await planChat(model, request);
    return this.run(model, request, new ChatForm(request, fingerprintOf(model)), plans, promptTokens, res);
  }

  private async complete(body: unknown, res: ServerResponse, model: LanguageModel): Promise<object | undefined> {
    const request = readCompletion(body, requestLimits(model));
    const { plans, promptTokens } = await planCompletion(model, request);
    return this.run(model, request, new CompletionForm(request, fingerprintOf(model)), plans, promptTokens, res);
  }

  private async run(
    model: LanguageModel,
    { isStream, includesUsage }: { isStream: boolean; includesUsage: boolean },
    form: ChatForm | CompletionForm,
    plans: ConstructorParameters<typeof AnswerRun>[0]['plans'],
    promptTokens: number,
    res: ServerResponse,
  ): Promise<object | undefined> {
    const { stallMs } = this.settings;
    const run = new AnswerRun({ model, plans, promptTokens, isStream, includesUsage, form, res, stallMs });
    return run.finish();
  }

  private async embed(body: unknown, res: ServerResponse, model: LanguageModel): Promise<object | undefined> {
    const { contextTokens } = model.limits;
    const request = readEmbedding(body, { vocabulary: model.vocabularySize, dimensions: model.embeddingSize });
    const prompts = await readPrompts(model, request.inputs, 'input');
    const tooLong = prompts.findIndex(({ length }) => length >= contextTokens);
    if (tooLong >= 0) throw contextExceeded(contextTokens, `input ${tooLong} has ${prompts[tooLong]!.length}`, 'input');
    const abort = new AbortController();
    res.once('close', () => abort.abort());
    const vectors = await model.embed(prompts, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    if (abort.signal.aborted) return undefined;
    if (vectors === undefined) throw queueFull();
    const tokens = prompts.reduce((sum, { length }) => sum + length, 0);
    return {
      object: 'list',
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: request.encoding === 'float' ? Array.from(vector) : Buffer.from(vector.buffer).toString('base64'),
      })),
      model: request.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
  }

  private describe(): object {
    if (this.model === undefined) throw notReady('the model is loading');
    const { name, version } = this.model.manifest;
    const { contextTokens } = this.model.limits;
    return { id: name, object: 'model', created: 0, owned_by: 'sluice', version, max_model_len: contextTokens };
  }

  private refuse(res: ServerResponse, error: unknown): void {
    const refusal = refusalOf(error);
    // Somebody whose answer has begun is cut off: a second answer would be taken for a part of the first.
    if (res.headersSent) return void res.destroy();
    if (refusal.retryAfterSeconds !== undefined) res.setHeader('retry-after', refusal.retryAfterSeconds);
    if (refusal.code === 'model_failed') res.setHeader('sluice-fault', 'model');
    // What is left of a body that was refused before its end would be taken for the next request.
    if (refusal.status === 413) res.setHeader('connection', 'close');
    this.send(res, refusal.status, refusal.body);
  }

  private send(res: ServerResponse, status: number, content: object): void {
    if (res.destroyed || res.headersSent) return;
    res.sendDate = false;
    if (this.isDraining) res.setHeader('connection', 'close');
    const body = Buffer.from(JSON.stringify(content));
    res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
    res.end(body);
  }
}

type Work = (body: unknown, res: ServerResponse, model: LanguageModel) => Promise<object | undefined>;

const requestLimits = (model: LanguageModel) => ({
  choices: model.limits.sequences,
  vocabulary: model.vocabularySize,
});

/** Two answers with the same seed are the same as long as this is. */
const fingerprintOf = ({ manifest }: LanguageModel): string => `${manifest.name}-${manifest.version}`;

function refusalOf(error: unknown): OpenAiError {
  if (error instanceof OpenAiError) return error;
  if (isSluiceError(error)) return new OpenAiError(error.status, error.message);
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return new OpenAiError(500, 'the language server failed');
}

const wrongMethod = (path: string, method: string | undefined): OpenAiError =>
  new OpenAiError(405, `${path} does not answer ${method}`, { code: 'wrong_method' });
