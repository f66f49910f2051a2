import { sluiceError, type SluiceError } from '#libs/kernel';
import type { StreamFormat } from './event-stream.js';
import { isObject, type JsonObject } from './field-rules.js';
import { latin1, parsedLatin1 } from './latin1.js';
import { openAiError } from './openai-error.js';
import {
  callItem,
  endingOf,
  logprobsIn,
  messageItem,
  newId,
  refusalPart,
  ResponseObject,
  textPart,
  usageOf,
} from './responses-object.js';

interface OpenMessage {
  kind: 'message';
  id: string;
  /** Parts that are complete, and the one that grows. */
  parts: JsonObject[];
  part: { type: 'output_text' | 'refusal'; text: string; logprobs: unknown[] } | undefined;
}

interface OpenCall {
  kind: 'call';
  id: string;
  /** Which of the chat's calls it is. */
  index: number;
  callId: string;
  name: string;
  args: string;
}

/**
 * The chunks of a chat as the events of the Responses API, in its order: created, in progress, then each item added,
 * grown and done, then the end. Every event has the next number.
 * Source: https://platform.openai.com/docs/api-reference/responses-streaming
 */
export class ResponsesStream implements StreamFormat {
  private sequence = 0;
  private readonly output: JsonObject[] = [];
  private item: OpenMessage | OpenCall | undefined;
  private finish: unknown;
  private usage: unknown;
  private readonly response: ResponseObject;

  constructor(
    asked: JsonObject,
    private readonly model: string,
  ) {
    this.response = new ResponseObject(asked, model);
  }

  begin(): string {
    const response = this.response.of('in_progress', []);
    return this.event('response.created', { response }) + this.event('response.in_progress', { response });
  }

  write(events: readonly string[]): string {
    return events.map((event) => this.take(this.chunkOf(event))).join('');
  }

  end(): string {
    const { status, more } = endingOf(this.finish);
    const text = this.closeItem(status);
    const response = this.response.of(status, this.output, { ...more, usage: usageOf(this.usage) });
    return text + this.event(`response.${status}`, { response });
  }

  fail(error: SluiceError): string {
    const { message, code } = openAiError(error).error;
    const said = { error: { code: code ?? 'server_error', message }, usage: usageOf(this.usage) };
    return this.event('response.failed', { response: this.response.of('failed', this.output, said) });
  }

  private chunkOf(event: string): JsonObject {
    try {
      return parsedLatin1(event) as JsonObject;
    } catch (cause) {
      const detail = { endpoint: this.model, problem: 'it sent an event that is no JSON object' };
      throw sluiceError('SLU_INFERENCE_UPSTREAM', detail, { cause });
    }
  }

  private take(chunk: JsonObject): string {
    if (isObject(chunk['usage'])) this.usage = chunk['usage'];
    const choice = Array.isArray(chunk['choices']) ? (chunk['choices'][0] as JsonObject | undefined) : undefined;
    if (choice === undefined) return '';
    if (typeof choice['finish_reason'] === 'string') this.finish = choice['finish_reason'];
    const delta = isObject(choice['delta']) ? choice['delta'] : {};
    let text = '';
    if (isSaid(delta['content'])) text += this.say('output_text', delta['content'], logprobsIn(choice));
    if (isSaid(delta['refusal'])) text += this.say('refusal', delta['refusal'], []);
    if (Array.isArray(delta['tool_calls']))
      for (const call of delta['tool_calls'] as JsonObject[]) text += this.call(call);
    return text;
  }

  private say(type: 'output_text' | 'refusal', delta: string, logprobs: unknown[]): string {
    let text = '';
    if (this.item?.kind !== 'message') {
      text += this.closeItem('completed');
      this.item = { kind: 'message', id: newId('msg'), parts: [], part: undefined };
      text += this.added(messageItem(this.item.id, 'in_progress', []));
    }
    const { item } = this;
    if (item.part?.type !== type) {
      text += this.closePart(item);
      item.part = { type, text: '', logprobs: [] };
      const part = type === 'refusal' ? refusalPart('') : textPart('');
      text += this.event('response.content_part.added', { ...this.placeOfPart(item), part });
    }
    const { part } = item;
    part.text += delta;
    part.logprobs.push(...logprobs);
    const more = type === 'output_text' ? { logprobs } : {};
    return text + this.event(`response.${type}.delta`, { ...this.placeOfPart(item), delta, ...more });
  }

  /** A call begins with its name; its arguments come in pieces. */
  private call({ index: given, id, function: called }: JsonObject): string {
    const index = typeof given === 'number' ? given : 0;
    const { name, arguments: args } = (isObject(called) ? called : {}) as { name?: unknown; arguments?: unknown };
    let text = '';
    if (this.item?.kind !== 'call' || this.item.index !== index) {
      text += this.closeItem('completed');
      const callId = isSaid(id) ? id : newId('call');
      this.item = { kind: 'call', id: newId('fc'), index, callId, name: isSaid(name) ? name : '', args: '' };
      text += this.added(callItem(this.item.id, 'in_progress', callId, this.item.name, ''));
    }
    const { item } = this;
    if (!isSaid(args)) return text;
    item.args += args;
    return text + this.event('response.function_call_arguments.delta', { ...this.place(item), delta: args });
  }

  private closeItem(status: 'completed' | 'incomplete'): string {
    const { item } = this;
    if (item === undefined) return '';
    let text = '';
    let done: JsonObject;
    if (item.kind === 'message') {
      text = this.closePart(item);
      done = messageItem(item.id, status, item.parts);
    } else {
      const { args, name } = item;
      text = this.event('response.function_call_arguments.done', { ...this.place(item), name, arguments: args });
      done = callItem(item.id, status, item.callId, name, args);
    }
    text += this.event('response.output_item.done', { output_index: this.output.length, item: done });
    this.output.push(done);
    this.item = undefined;
    return text;
  }

  private closePart(item: OpenMessage): string {
    const { part: open } = item;
    if (open === undefined) return '';
    const { type, text: said, logprobs } = open;
    const place = this.placeOfPart(item);
    const part = type === 'refusal' ? refusalPart(said) : textPart(said, logprobs);
    const whole = type === 'refusal' ? { refusal: said } : { text: said, logprobs };
    const text =
      this.event(`response.${type}.done`, { ...place, ...whole }) +
      this.event('response.content_part.done', { ...place, part });
    item.parts.push(part);
    item.part = undefined;
    return text;
  }

  private added(item: JsonObject): string {
    return this.event('response.output_item.added', { output_index: this.output.length, item });
  }

  private place({ id }: { id: string }): JsonObject {
    return { item_id: id, output_index: this.output.length };
  }

  private placeOfPart(item: OpenMessage): JsonObject {
    return { ...this.place(item), content_index: item.parts.length };
  }

  private event(type: string, more: JsonObject): string {
    const data = latin1({ type, sequence_number: this.sequence, ...more });
    this.sequence += 1;
    return `event: ${type}\ndata: ${data}\n\n`;
  }
}

const isSaid = (value: unknown): value is string => typeof value === 'string' && value !== '';
