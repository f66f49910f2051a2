import type { ServerResponse } from 'node:http';
import type {
  AnswerEnd,
  AnswerEvent,
  AnswerRequest,
  Generation,
  LanguageModel,
  TokenReport,
} from '#libs/inference/adapters/llama';
import { EventStream } from './event-stream.js';
import { OpenAiError, contextExceeded, notReady, queueFull } from './openai-error.js';

/** What is asked of the model for one choice; who listens is added by the run. */
export type ChoicePlan = Omit<AnswerRequest, 'onEvent' | 'onEnd'>;

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export type FinishReason = 'stop' | 'length' | 'tool_calls';

/** How one kind of answer is written down, piece by piece and as a whole. */
export interface AnswerForm {
  /** Chunks of a stream that say what has come. */
  chunksOf(choice: number, event: AnswerEvent): object[];
  /** Chunks that say how a choice ended. */
  endOf(choice: number, reason: FinishReason): object[];
  /** The last chunk of a stream whose caller asked for the usage. */
  usageChunk(usage: Usage): object;
  whole(choices: readonly WholeChoice[], usage: Usage): object;
}

export interface WholeChoice {
  text: string;
  tokens: TokenReport[];
  calls: { name: string; arguments: string }[];
  reason: FinishReason;
}

export interface RunSettings {
  model: LanguageModel;
  plans: readonly ChoicePlan[];
  /** Each different prompt counts once. */
  promptTokens: number;
  isStream: boolean;
  includesUsage: boolean;
  form: AnswerForm;
  res: ServerResponse;
  stallMs: number;
}

/**
 * How many tokens an answer may have.
 * @param param the field that holds the prompt
 * @throws OpenAiError 400 context_length_exceeded
 */
export function answerTokens(
  model: LanguageModel,
  promptTokens: number,
  asked: number | undefined,
  param: string,
): number {
  const { contextTokens, defaultMaxTokens } = model.limits;
  const left = contextTokens - promptTokens;
  if (left < 1)
    throw contextExceeded(contextTokens, `the prompt has ${promptTokens}, which leaves none for an answer`, param);
  if (asked === undefined) return Math.min(left, defaultMaxTokens);
  if (asked > left)
    throw contextExceeded(
      contextTokens,
      `the prompt has ${promptTokens}, and ${asked} are asked for as the answer`,
      param,
    );
  return asked;
}

/**
 * Generates all choices of one request and answers it, whole or as a stream. It ends when the answer is given or its
 * reader is gone; a reader that goes takes its generations along.
 */
export class AnswerRun {
  private readonly generations: Generation[];
  private readonly choices: WholeChoice[];
  private readonly stream: EventStream;
  private readonly ended: Promise<void>;
  private failure: OpenAiError | undefined;

  /** @throws OpenAiError 503 when the queue is full */
  constructor(private readonly settings: RunSettings) {
    const { model, plans, res, stallMs } = settings;
    this.choices = plans.map(() => ({ text: '', tokens: [], calls: [], reason: 'stop' }));
    this.stream = new EventStream(res, {
      stallMs,
      onHold: () => this.generations.forEach((generation) => generation.pause()),
      onFlow: () => this.generations.forEach((generation) => generation.resume()),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    let openCount = plans.length;
    const generations = model.answer(
      plans.map((plan, choice) => ({
        ...plan,
        onEvent: (event) => this.onEvent(choice, event),
        onEnd: (end) => {
          this.onEnd(choice, end);
          openCount -= 1;
          if (openCount === 0) resolve();
        },
      })),
    );
    if (generations === undefined) throw queueFull();
    this.generations = generations;
    // Before the answer is complete this means that the reader has hung up.
    res.once('close', () => this.cancel());
    if (res.destroyed) this.cancel();
  }

  /** @throws OpenAiError where nothing has been answered yet */
  async finish(): Promise<object | undefined> {
    await this.ended;
    const { isStream, includesUsage, form } = this.settings;
    const { failure } = this;
    if (failure !== undefined && !this.stream.hasBegun) throw failure;
    if (!isStream) return form.whole(this.choices, this.usage);
    if (failure !== undefined) this.stream.fail(failure.body);
    else {
      if (includesUsage) this.stream.send(form.usageChunk(this.usage));
      this.stream.end();
    }
    return undefined;
  }

  private cancel(): void {
    for (const generation of this.generations) generation.cancel();
  }

  private get usage(): Usage {
    const { promptTokens } = this.settings;
    const completionTokens = this.generations.reduce((sum, { generatedCount }) => sum + generatedCount, 0);
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    };
  }

  private onEvent(index: number, event: AnswerEvent): void {
    const { isStream, form } = this.settings;
    if (isStream) return form.chunksOf(index, event).forEach((chunk) => this.stream.send(chunk));
    const choice = this.choices[index]!;
    if (event.kind === 'text') {
      choice.text += event.text;
      choice.tokens.push(...event.tokens);
    } else if (event.kind === 'call') choice.calls.push({ name: event.name, arguments: '' });
    else choice.calls[event.call]!.arguments += event.text;
  }

  private onEnd(index: number, end: AnswerEnd): void {
    if (end.kind === 'failed') {
      process.stderr.write(`generation failed: ${end.error.stack ?? end.error.message}\n`);
      this.failure ??= new OpenAiError(500, `the model failed on this input: ${end.error.message}`, {
        code: 'model_failed',
      });
      return this.cancel();
    }
    if (end.kind === 'cancelled') {
      this.failure ??= notReady('this server is shutting down');
      return;
    }
    const { isStream, form } = this.settings;
    this.choices[index]!.reason = end.kind;
    if (isStream && this.failure === undefined) form.endOf(index, end.kind).forEach((chunk) => this.stream.send(chunk));
  }
}
