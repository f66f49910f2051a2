import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type ChatWrapper,
  GeneralChatWrapper,
  type Llama,
  type LlamaGrammar,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
  getLlama,
  resolveChatWrapper,
} from 'node-llama-cpp';
import { gibibytes, messageOf } from '#libs/kernel';
import type { Manifest } from '../../models/manifest.js';
import { Answer, type AnswerSettings } from './answer.js';
import { type ChatMessage, type ChatPrompt, chatPrompt } from './chat-prompt.js';
import { Embedder } from './embedder.js';
import type { Generation } from './generation.js';
import { type EngineLoad, GenerationEngine } from './generation-engine.js';
import { LanguageLoadFailure, openGgufFolder } from './gguf-folder.js';
import { addonOf } from './llama-addon.js';
import type { Sampling } from './sampling.js';
import { type CallableTool, type ToolSyntax, toolSyntaxOf } from './tool-syntax.js';

export interface LanguageModelSettings {
  /** Folder with `sluice.json`. */
  folder: string;
  threads: number;
}

export interface LanguageLimits {
  readonly contextTokens: number;
  readonly sequences: number;
  readonly defaultMaxTokens: number;
}

export interface AnswerRequest extends Omit<AnswerSettings, 'detokenize' | 'tokenize'> {
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly grammar?: LlamaGrammar | undefined;
  readonly topLogprobs?: number | undefined;
}

const defaultContextTokens = 4_096;
const defaultSequences = 4;
const defaultMaxTokens = 1_024;
/** Requests that wait for each sequence, unless the manifest says how many may wait. */
const waitingPerSequence = 8;
/** Characters that are tokenised in one go, in some ten milliseconds. */
const pieceLength = 32_768;
/** A cut may make a few tokens of one. */
const pieceError = 32;

/** A GGUF model in this process: texts in, tokens and vectors out. */
export class LanguageModel implements AsyncDisposable {
  private constructor(
    readonly manifest: Manifest,
    readonly limits: LanguageLimits,
    private readonly llama: Llama,
    private readonly model: LlamaModel,
    private readonly template: ChatWrapper,
    readonly toolSyntax: ToolSyntax,
    /** No token stands for more bytes of text, so a text has at least its bytes divided by this many tokens. */
    private readonly longestTokenBytes: number,
    private readonly work: { engine: GenerationEngine } | { embedder: Embedder },
  ) {}

  /** Checks the files, maps the weights into memory, and generates one token. @throws LanguageLoadFailure */
  static async load({ folder, threads }: LanguageModelSettings): Promise<LanguageModel> {
    const { manifest, weightsPath } = await openGgufFolder(folder);
    try {
      const llama = await getLlama({
        gpu: 'auto',
        build: 'never',
        skipDownload: true,
        progressLogs: false,
        maxThreads: threads,
        logLevel: LlamaLogLevel.error,
        logger: (_level, message) => void process.stderr.write(`llama.cpp: ${message.trimEnd()}\n`),
      });
      const model = await llama.loadModel({ modelPath: weightsPath });
      const limits = limitsOf(manifest, model);
      const template = resolveChatWrapper(model, { warningLogs: false }) ?? new GeneralChatWrapper();
      const work = await startWork(manifest, limits, llama, model, threads);
      const language = new LanguageModel(
        manifest,
        limits,
        llama,
        model,
        template,
        toolSyntaxOf(template, model),
        longestTokenBytesOf(model),
        work,
      );
      await language.warmUp();
      return language;
    } catch (cause) {
      if (cause instanceof LanguageLoadFailure) throw cause;
      throw new LanguageLoadFailure(`the runtime cannot load the model: ${messageOf(cause)}`, { cause });
    }
  }

  get task(): 'text-generation' | 'embedding' {
    return 'engine' in this.work ? 'text-generation' : 'embedding';
  }

  get load(): EngineLoad {
    if ('engine' in this.work) return this.work.engine.load;
    return {
      sequences: 1,
      freeSequences: this.work.embedder.waiting === 0 ? 1 : 0,
      waiting: this.work.embedder.waiting,
    };
  }

  /** What computes, the first choice first. */
  get providers(): string[] {
    const { gpu } = this.llama;
    return gpu === false ? ['cpu'] : [gpu, 'cpu'];
  }

  /** Milliseconds since the step under way has begun; 0 without one. */
  readonly stepMs = (): number => ('engine' in this.work ? this.work.engine.stepMs : this.work.embedder.stepMs);

  /** In a sentence, for the log: where it runs and what it holds. */
  get description(): string {
    const { gpu } = this.llama;
    const place = gpu === false ? 'on the processor' : `on ${gpu} with ${this.model.gpuLayers} layers`;
    const mapped = this.model.useMmap ? 'mapped' : 'read';
    return (
      `${this.model.typeDescription}, ${Math.round(this.model.size / 1_024 ** 2)} MiB of weights ${mapped}, ${place}, ` +
      `${this.limits.sequences} sequences of ${this.limits.contextTokens} tokens`
    );
  }

  get vocabularySize(): number {
    return this.model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  }

  get embeddingSize(): number {
    return this.model.embeddingVectorSize;
  }

  /**
   * Are these texts surely longer than the context? To be asked before a prompt is made of them, which takes one go: it
   * counts bytes first, then reads what is left in pieces, between which others get their turn.
   */
  async exceedsContext(texts: readonly string[]): Promise<boolean> {
    const { contextTokens } = this.limits;
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (bytes > contextTokens * this.longestTokenBytes) return true;
    if (bytes <= pieceLength) return false;
    let tokens = 0;
    for (const text of texts) {
      for (let at = 0; at < text.length; at += pieceLength) {
        tokens += this.model.tokenize(text.slice(at, at + pieceLength)).length - pieceError;
        if (tokens > contextTokens) return true;
        await nextTurn();
      }
    }
    return false;
  }

  chatPrompt(messages: readonly ChatMessage[], tools: readonly CallableTool[]): ChatPrompt {
    return chatPrompt(this.template, this.model, messages, tools);
  }

  /** A text as it stands, with the token that the model wants in front. */
  textPrompt(text: string): readonly number[] {
    const tokens = this.model.tokenize(text);
    const { bos, shouldPrependBosToken } = this.model.tokens;
    return bos !== null && (shouldPrependBosToken || tokens.length === 0) ? [bos, ...tokens] : tokens;
  }

  /** @throws Error when llama.cpp cannot read it */
  async grammar(text: string): Promise<LlamaGrammar> {
    return this.llama.createGrammar({ grammar: text });
  }

  /** @returns one generation for each; undefined when the queue is full */
  answer(requests: readonly AnswerRequest[]): Generation[] | undefined {
    if (!('engine' in this.work)) throw new Error('an embedding model generates no text');
    return this.work.engine.submit(
      requests.map((request) => {
        const { maxTokens, sampling, grammar, topLogprobs, prompt } = request;
        const answer = new Answer({
          ...request,
          // A call's opening may be a control token, which is no text otherwise.
          detokenize: (tokens, before) =>
            this.model.detokenize(tokens as Token[], request.tools !== undefined, before as Token[]),
          tokenize: (text) => this.model.tokenize(text),
        });
        return {
          prompt,
          maxTokens,
          sampling,
          grammar: request.tools?.isForced === true ? request.tools.grammar : grammar,
          topLogprobs,
          onToken: (step) => answer.onToken(step),
          onEnd: (end) => answer.onEnd(end),
        };
      }),
    );
  }

  /** @returns undefined when the queue is full */
  async embed(texts: readonly (readonly number[])[], signal: AbortSignal): Promise<Float32Array[] | undefined> {
    if (!('embedder' in this.work)) throw new Error('a model for text generation embeds nothing');
    return this.work.embedder.embed(texts, signal);
  }

  /** Ends all that is generated, as cancelled. */
  async endAnswers(): Promise<void> {
    if ('engine' in this.work) await this.work.engine.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endAnswers();
    if ('embedder' in this.work) await this.work.embedder.dispose();
    await this.llama.dispose();
  }

  private async warmUp(): Promise<void> {
    for (const text of warmUpTexts(this.manifest)) {
      const prompt = this.textPrompt(text);
      if (prompt.length >= this.limits.contextTokens)
        throw new LanguageLoadFailure(`a text of warmup has ${prompt.length} tokens, more than the context holds`);
      try {
        await this.runOnce(prompt);
      } catch (cause) {
        throw new LanguageLoadFailure(`the warm-up failed: ${messageOf(cause)}`, { cause });
      }
    }
  }

  private async runOnce(prompt: readonly number[]): Promise<void> {
    if ('embedder' in this.work) {
      await this.work.embedder.embed([prompt], new AbortController().signal);
      return;
    }
    const { engine } = this.work;
    await new Promise<void>((resolve, reject) => {
      engine.submit([
        {
          prompt,
          maxTokens: 1,
          sampling: greedy,
          onToken: () => 'go on',
          onEnd: (end) => (end.kind === 'failed' ? reject(end.error) : resolve()),
        },
      ]);
    });
  }
}

/** One text at least, so that the weights are in memory before the first caller comes. */
function warmUpTexts({ warmup = [] }: Manifest): string[] {
  const texts = warmup.flatMap((sample, at) => {
    const { text_input: rows, ...others } = sample;
    const isRight = Array.isArray(rows) && rows.every((row) => typeof row === 'string' && row !== '');
    if (!isRight || Object.keys(others).length > 0)
      throw new LanguageLoadFailure(`warmup[${at}]: must hold text_input alone, with texts`);
    return rows as string[];
  });
  return texts.length === 0 ? ['Hello'] : texts;
}

const greedy: Sampling = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  bias: new Map(),
};

function limitsOf({ language = {} }: Manifest, model: LlamaModel): LanguageLimits {
  const { trainContextSize } = model;
  const contextTokens = language.contextTokens ?? Math.min(trainContextSize, defaultContextTokens);
  if (contextTokens > trainContextSize) {
    throw new LanguageLoadFailure(
      `language.contextTokens is ${contextTokens}, but the model was trained on at most ${trainContextSize}`,
    );
  }
  return {
    contextTokens,
    sequences: language.sequences ?? defaultSequences,
    defaultMaxTokens: language.defaultMaxTokens ?? defaultMaxTokens,
  };
}

async function startWork(
  manifest: Manifest,
  { contextTokens, sequences }: LanguageLimits,
  llama: Llama,
  model: LlamaModel,
  threads: number,
): Promise<{ engine: GenerationEngine } | { embedder: Embedder }> {
  const maxWaiting = manifest.queue?.maxRequests ?? sequences * waitingPerSequence;
  if (manifest.task === 'embedding') {
    // A pooling model has to see all of a text in one batch.
    const context = await model.createEmbeddingContext({
      contextSize: contextTokens,
      batchSize: contextTokens,
      threads,
    });
    return { embedder: new Embedder(context, maxWaiting) };
  }
  const chunkTokens = chunkTokensOf(model.size);
  const context = await model.createContext({
    contextSize: contextTokens,
    sequences,
    batchSize: chunkTokens + sequences,
    threads,
    failedCreationRemedy: false,
  });
  const addon = addonOf(llama, model, context);
  const isEndToken = (token: number): boolean => model.isEogToken(token as Token);
  return { engine: new GenerationEngine({ addon, sequences, contextTokens, chunkTokens, maxWaiting, isEndToken }) };
}

/**
 * How much of a prompt one step reads. Running streams wait for it, and so does a cancellation. It depends on nothing but
 * the model, because another division of the same prompt may round differently.
 */
function chunkTokensOf(weightBytes: number): number {
  if (weightBytes < gibibytes(1)) return 64;
  return weightBytes < gibibytes(4) ? 32 : 16;
}

function longestTokenBytesOf(model: LlamaModel): number {
  let longest = 1;
  for (const token of model.iterateAllTokens())
    longest = Math.max(longest, Buffer.byteLength(model.detokenize([token], true)));
  return longest;
}
