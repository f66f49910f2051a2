import { randomUUID } from 'node:crypto';
import { type AnswerEvent, type LanguageModel, type TokenReport, seedOf } from '#libs/inference/adapters/llama';
import {
  type AnswerForm,
  type ChoicePlan,
  type FinishReason,
  type Usage,
  type WholeChoice,
  answerTokens,
} from './answer-run.js';
import type { CompletionRequest, TextInput } from './completion-request.js';
import { contextExceeded } from './openai-error.js';

/** @throws OpenAiError 400 */
export async function planCompletion(
  model: LanguageModel,
  request: CompletionRequest,
): Promise<{ plans: ChoicePlan[]; promptTokens: number }> {
  const { prompts, choices, maxTokens, sampling, stops, topLogprobs } = request;
  const read = await readPrompts(model, prompts, 'prompt');
  const plans = read.flatMap((prompt) =>
    Array.from({ length: choices }, (_value, choice) => ({
      prompt,
      maxTokens: answerTokens(model, prompt.length, maxTokens, 'prompt'),
      sampling: { ...sampling, seed: seedOf(sampling.seed, choice) },
      stops,
      topLogprobs,
    })),
  );
  return { plans, promptTokens: read.reduce((sum, { length }) => sum + length, 0) };
}

/** @throws OpenAiError 400 context_length_exceeded */
export async function readPrompts(
  model: LanguageModel,
  inputs: readonly TextInput[],
  param: string,
): Promise<(readonly number[])[]> {
  const prompts: (readonly number[])[] = [];
  for (const input of inputs) {
    if (typeof input === 'string' && (await model.exceedsContext([input])))
      throw contextExceeded(model.limits.contextTokens, `${param} has more`, param);
    prompts.push(typeof input === 'string' ? model.textPrompt(input) : input);
  }
  return prompts;
}

/** Plain completions. Source: https://platform.openai.com/docs/api-reference/completions */
export class CompletionForm implements AnswerForm {
  private readonly id = `cmpl-${randomUUID().replaceAll('-', '')}`;
  private readonly created = Math.floor(Date.now() / 1_000);
  private readonly lengths = new Map<number, number>();

  constructor(
    private readonly request: CompletionRequest,
    private readonly fingerprint: string,
  ) {}

  chunksOf(choice: number, event: AnswerEvent): object[] {
    if (event.kind !== 'text') return [];
    return [this.chunk(choice, event.text, null, event.tokens)];
  }

  endOf(choice: number, reason: FinishReason): object[] {
    return [this.chunk(choice, '', reason, [])];
  }

  usageChunk(usage: Usage): object {
    return { ...this.head(), choices: [], usage };
  }

  whole(choices: readonly WholeChoice[], usage: Usage): object {
    return {
      ...this.head(),
      choices: choices.map(({ text, tokens, reason }, index) => ({
        index,
        text,
        logprobs: this.logprobs(index, tokens),
        finish_reason: reason,
      })),
      usage,
    };
  }

  private chunk(index: number, text: string, reason: FinishReason | null, tokens: readonly TokenReport[]): object {
    const logprobs = tokens.length === 0 ? null : this.logprobs(index, tokens);
    return {
      ...this.head(),
      choices: [{ index, text, logprobs, finish_reason: reason }],
      ...(this.request.includesUsage && { usage: null }),
    };
  }

  private head(): object {
    const { id, created } = this;
    return { id, object: 'text_completion', created, model: this.request.model, system_fingerprint: this.fingerprint };
  }

  private logprobs(choice: number, tokens: readonly TokenReport[]): object | null {
    if (this.request.topLogprobs === undefined) return null;
    const offsets = tokens.map(({ text }) => {
      const offset = this.lengths.get(choice) ?? 0;
      this.lengths.set(choice, offset + text.length);
      return offset;
    });
    return {
      tokens: tokens.map(({ text }) => text),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ text, logprob }) => [text, logprob]))),
      text_offset: offsets,
    };
  }
}
