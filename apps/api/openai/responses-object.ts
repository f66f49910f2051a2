import { randomUUID } from 'node:crypto';
import { isObject, type JsonObject } from './field-rules.js';
import { latin1, parsedLatin1 } from './latin1.js';

export type ResponseStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed';

export const newId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '')}`;

/** The answer object of the Responses API, which repeats what was asked for. */
export class ResponseObject {
  private readonly id = newId('resp');
  private readonly createdAt = Math.floor(Date.now() / 1_000);

  constructor(
    private readonly asked: JsonObject,
    private readonly model: string,
  ) {}

  of(status: ResponseStatus, output: readonly JsonObject[], more: JsonObject = {}): JsonObject {
    const { asked } = this;
    const given = (name: string, otherwise: unknown): unknown => asked[name] ?? otherwise;
    const reasoning = isObject(asked['reasoning']) ? asked['reasoning'] : {};
    return {
      id: this.id,
      object: 'response',
      created_at: this.createdAt,
      status,
      background: false,
      error: null,
      incomplete_details: null,
      instructions: given('instructions', null),
      max_output_tokens: given('max_output_tokens', null),
      metadata: given('metadata', {}),
      model: this.model,
      output,
      parallel_tool_calls: given('parallel_tool_calls', true),
      previous_response_id: null,
      reasoning: { effort: null, summary: null, ...reasoning },
      store: false,
      temperature: given('temperature', 1),
      text: { format: { type: 'text' }, ...(isObject(asked['text']) && asked['text']) },
      tool_choice: given('tool_choice', 'auto'),
      tools: given('tools', []),
      top_p: given('top_p', 1),
      truncation: 'disabled',
      usage: null,
      user: given('user', null),
      ...more,
    };
  }
}

/** `finish_reason` of a chat in the words of the Responses API. */
export function endingOf(finish: unknown): { status: 'completed' | 'incomplete'; more: JsonObject } {
  if (finish === 'length')
    return { status: 'incomplete', more: { incomplete_details: { reason: 'max_output_tokens' } } };
  if (finish === 'content_filter')
    return { status: 'incomplete', more: { incomplete_details: { reason: 'content_filter' } } };
  return { status: 'completed', more: {} };
}

export function usageOf(usage: unknown): JsonObject | null {
  if (!isObject(usage)) return null;
  const count = (value: unknown): number => (typeof value === 'number' ? value : 0);
  const detail = (of: unknown, name: string): number => (isObject(of) ? count(of[name]) : 0);
  const [input, output] = [count(usage['prompt_tokens']), count(usage['completion_tokens'])];
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: detail(usage['prompt_tokens_details'], 'cached_tokens') },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: detail(usage['completion_tokens_details'], 'reasoning_tokens') },
    total_tokens: input + output,
  };
}

type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export const messageItem = (id: string, status: ItemStatus, content: readonly JsonObject[]): JsonObject => ({
  id,
  type: 'message',
  status,
  role: 'assistant',
  content,
});

export const textPart = (text: string, logprobs: readonly unknown[] = []): JsonObject => ({
  type: 'output_text',
  text,
  annotations: [],
  logprobs,
});

export const refusalPart = (refusal: string): JsonObject => ({ type: 'refusal', refusal });

export const callItem = (id: string, status: ItemStatus, callId: string, name: string, args: string): JsonObject => ({
  id,
  type: 'function_call',
  status,
  call_id: callId,
  name,
  arguments: args,
});

/** A whole chat answer as a whole response. */
export function responseOf(answer: string, asked: JsonObject): string {
  const chat = parsedLatin1(answer) as JsonObject;
  const choice = (Array.isArray(chat['choices']) ? (chat['choices'][0] as JsonObject | undefined) : undefined) ?? {};
  const message = isObject(choice['message']) ? choice['message'] : {};
  const { status, more } = endingOf(choice['finish_reason']);
  const content: JsonObject[] = [];
  if (typeof message['content'] === 'string' && message['content'] !== '')
    content.push(textPart(message['content'], logprobsIn(choice)));
  if (typeof message['refusal'] === 'string' && message['refusal'] !== '')
    content.push(refusalPart(message['refusal']));
  const output = content.length === 0 ? [] : [messageItem(newId('msg'), status, content)];
  const calls = Array.isArray(message['tool_calls']) ? (message['tool_calls'] as JsonObject[]) : [];
  for (const { id, function: called } of calls) {
    const { name, arguments: args } = (called ?? {}) as { name?: string; arguments?: string };
    output.push(callItem(newId('fc'), status, String(id), name ?? '', args ?? ''));
  }
  const response = new ResponseObject(asked, String(chat['model']));
  return latin1(response.of(status, output, { ...more, usage: usageOf(chat['usage']) }));
}

export function logprobsIn({ logprobs }: JsonObject): unknown[] {
  return isObject(logprobs) && Array.isArray(logprobs['content']) ? (logprobs['content'] as unknown[]) : [];
}
