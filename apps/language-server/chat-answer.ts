import { randomUUID } from 'node:crypto';
import {
  type AnswerEvent,
  type ChatMessage,
  JsonGrammar,
  type LanguageModel,
  SchemaRefusal,
  type TokenReport,
  type ToolUse,
  anyObjectGrammar,
  seedOf,
  toolGrammar,
} from '#libs/inference/adapters/llama';
import {
  type AnswerForm,
  type ChoicePlan,
  type FinishReason,
  type Usage,
  type WholeChoice,
  answerTokens,
} from './answer-run.js';
import type { ChatRequest } from './chat-request.js';
import { contextExceeded, invalid } from './openai-error.js';

type Grammar = NonNullable<ChoicePlan['grammar']>;

/** @throws OpenAiError 400 */
export async function planChat(
  model: LanguageModel,
  request: ChatRequest,
): Promise<{ plans: ChoicePlan[]; promptTokens: number }> {
  const { messages, format, tools, maxTokens, sampling, stops, choices, topLogprobs } = request;
  const { contextTokens } = model.limits;
  if (await model.exceedsContext(messages.flatMap(textsOf)))
    throw contextExceeded(contextTokens, 'the messages have more', 'messages');
  const chat = model.chatPrompt(messages, tools.tools);
  const toolUse = tools.tools.length === 0 ? undefined : await planTools(model, tools);
  const prompt = toolUse?.isForced === true ? [...chat.tokens, ...toolUse.syntax.openTokens] : chat.tokens;
  const grammar = toolUse === undefined ? await planFormat(model, format) : undefined;
  const most = answerTokens(model, prompt.length, maxTokens, 'messages');
  const plans = Array.from({ length: choices }, (_value, choice) => ({
    prompt,
    maxTokens: most,
    sampling: { ...sampling, seed: seedOf(sampling.seed, choice) },
    grammar,
    stops: [...stops, ...chat.stops],
    tools: toolUse,
    topLogprobs,
  }));
  return { plans, promptTokens: prompt.length };
}

const textsOf = (message: ChatMessage): string[] =>
  message.role === 'assistant' ? [message.text, ...message.calls.map((call) => call.arguments)] : [message.text];

async function planTools(
  model: LanguageModel,
  { tools, strict, isForced, isParallel }: ChatRequest['tools'],
): Promise<ToolUse> {
  const syntax = model.toolSyntax;
  const grammar = await grammarOf(model, 'tools', () => toolGrammar({ tools, strict, syntax, isParallel }));
  return { tools, syntax, grammar, isForced };
}

async function planFormat(model: LanguageModel, format: ChatRequest['format']): Promise<Grammar | undefined> {
  switch (format.kind) {
    case 'text':
      return undefined;
    case 'json_object':
      return grammarOf(model, 'response_format', anyObjectGrammar);
    case 'json_schema':
      return grammarOf(model, 'response_format.json_schema.schema', () => {
        const grammar = new JsonGrammar();
        return grammar.text(grammar.add(format.schema, format.isStrict));
      });
  }
}

async function grammarOf(model: LanguageModel, param: string, write: () => string): Promise<Grammar> {
  let text: string;
  try {
    text = write();
  } catch (error) {
    if (error instanceof SchemaRefusal) throw invalid(param, error.message, 'invalid_schema');
    throw error;
  }
  try {
    return await model.grammar(text);
  } catch {
    // A schema that leads to itself and nowhere else, for one.
    throw invalid(param, 'has no grammar: does a $ref lead to itself alone?', 'invalid_schema');
  }
}

/** Chat completions. Source: https://platform.openai.com/docs/api-reference/chat */
export class ChatForm implements AnswerForm {
  private readonly id = `chatcmpl-${randomUUID().replaceAll('-', '')}`;
  private readonly created = Math.floor(Date.now() / 1_000);
  private readonly begun = new Set<number>();

  constructor(
    private readonly request: ChatRequest,
    private readonly fingerprint: string,
  ) {}

  chunksOf(choice: number, event: AnswerEvent): object[] {
    const opening = this.opening(choice);
    switch (event.kind) {
      case 'text': {
        const delta = event.text === '' ? {} : { content: event.text };
        return [...opening, this.chunk(choice, delta, null, event.tokens)];
      }
      case 'call': {
        const called = { name: event.name, arguments: '' };
        const call = { index: event.call, id: callId(), type: 'function', function: called };
        return [...opening, this.chunk(choice, { tool_calls: [call] })];
      }
      case 'arguments':
        return [this.chunk(choice, { tool_calls: [{ index: event.call, function: { arguments: event.text } }] })];
    }
  }

  endOf(choice: number, reason: FinishReason): object[] {
    return [...this.opening(choice), this.chunk(choice, {}, reason)];
  }

  usageChunk(usage: Usage): object {
    return { ...this.head('chat.completion.chunk'), choices: [], usage };
  }

  whole(choices: readonly WholeChoice[], usage: Usage): object {
    return {
      ...this.head('chat.completion'),
      choices: choices.map(({ text, tokens, calls, reason }, index) => ({
        index,
        message: {
          role: 'assistant',
          content: calls.length > 0 && text.trim() === '' ? null : text,
          refusal: null,
          ...(calls.length > 0 && {
            tool_calls: calls.map((called) => ({ id: callId(), type: 'function', function: called })),
          }),
        },
        logprobs: this.logprobs(tokens),
        finish_reason: reason,
      })),
      usage,
    };
  }

  /** The first chunk of each choice says who speaks. */
  private opening(choice: number): object[] {
    if (this.begun.has(choice)) return [];
    this.begun.add(choice);
    const { tools } = this.request;
    return [this.chunk(choice, { role: 'assistant', content: tools.isForced ? null : '' })];
  }

  private chunk(
    index: number,
    delta: object,
    reason: FinishReason | null = null,
    tokens: readonly TokenReport[] = [],
  ): object {
    return {
      ...this.head('chat.completion.chunk'),
      choices: [{ index, delta, logprobs: tokens.length === 0 ? null : this.logprobs(tokens), finish_reason: reason }],
      ...(this.request.includesUsage && { usage: null }),
    };
  }

  private head(object: string): object {
    return {
      id: this.id,
      object,
      created: this.created,
      model: this.request.model,
      system_fingerprint: this.fingerprint,
    };
  }

  private logprobs(tokens: readonly TokenReport[]): object | null {
    if (this.request.topLogprobs === undefined) return null;
    const chance = ({ text, logprob }: { text: string; logprob: number }) => ({
      token: text,
      logprob,
      bytes: bytesOf(text),
    });
    return {
      content: tokens.map((token) => ({ ...chance(token), top_logprobs: token.top.map(chance) })),
      refusal: null,
    };
  }
}

const callId = (): string => `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`;

/** A token that ends inside a character has no text of its own, and then no bytes are told. */
const bytesOf = (text: string): number[] | null => (text.includes('\uFFFD') ? null : [...Buffer.from(text)]);
