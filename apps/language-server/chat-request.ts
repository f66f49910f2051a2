import type { CallableTool, ChatMessage, JsonSchema, ToolCall } from '#libs/inference/adapters/llama';
import { Fields } from './fields.js';
import { checkSchema } from './json-schema.js';
import { invalid, unsupported } from './openai-error.js';
import { type GenerationFields, readGeneration } from './sampling-fields.js';

export type ResponseFormat =
  | { readonly kind: 'text' | 'json_object' }
  | { readonly kind: 'json_schema'; readonly schema: JsonSchema; readonly isStrict: boolean };

export interface ToolChoice {
  /** Those that may be called; none when the answer is to be text. */
  readonly tools: readonly CallableTool[];
  readonly strict: ReadonlySet<string>;
  readonly isForced: boolean;
  readonly isParallel: boolean;
}

export interface ChatRequest extends GenerationFields {
  readonly messages: readonly ChatMessage[];
  readonly format: ResponseFormat;
  readonly tools: ToolChoice;
  readonly topLogprobs: number | undefined;
}

const mostMessages = 4_096;
const mostTools = 128;
/** All of them are written into the prompt, which has to be read in one go. */
const mostToolCharacters = 262_144;
const mostTopLogprobs = 20;
/** As the OpenAI API names functions. */
const toolName = /^[\w-]{1,64}$/;

/**
 * Reads the body of `POST /v1/chat/completions`.
 * Source: https://platform.openai.com/docs/api-reference/chat/create
 * @throws OpenAiError 400 that names the field
 */
export function readChat(body: unknown, limits: { choices: number; vocabulary: number }): ChatRequest {
  const fields = Fields.of(body);
  for (const name of ['functions', 'function_call'])
    if (fields.value(name) !== undefined) throw unsupported(name, 'is not supported: send tools and tool_choice');
  if (fields.value('audio') !== undefined) throw unsupported('audio', 'is not supported: this model answers with text');
  const generation = readGeneration(fields, limits);
  const messages = readMessages(fields);
  const tools = readTools(fields);
  const format = readFormat(fields);
  if (format.kind !== 'text' && tools.tools.length > 0 && !tools.isForced)
    throw unsupported('response_format', 'cannot go with tools: set tool_choice to none or required, or leave one out');
  return { ...generation, messages, format, tools, topLogprobs: readLogprobs(fields) };
}

function readLogprobs(fields: Fields): number | undefined {
  const isWanted = fields.boolean('logprobs') ?? false;
  const count = fields.number('top_logprobs', { min: 0, max: mostTopLogprobs, isWhole: true });
  if (count !== undefined && !isWanted) throw invalid('top_logprobs', 'may stand only where logprobs is true');
  return isWanted ? (count ?? 0) : undefined;
}

function readMessages(fields: Fields): ChatMessage[] {
  const given = fields.required('messages', fields.array('messages', { min: 1, max: mostMessages }));
  const messages: ChatMessage[] = [];
  const open = new Map<string, string>();
  given.forEach((entry, at) => {
    const message = readMessage(Fields.of(entry, `messages.${at}`));
    if (message.role === 'tool') {
      if (!open.delete(message.callId))
        throw invalid(`messages.${at}.tool_call_id`, 'must name a tool call of the message before');
    } else if (open.size > 0) {
      throw unanswered(open);
    }
    if (message.role === 'assistant')
      message.calls.forEach(({ id }, call) => open.set(id, `messages.${at}.tool_calls.${call}`));
    messages.push(message);
  });
  if (open.size > 0) throw unanswered(open);
  return messages;
}

const unanswered = (open: ReadonlyMap<string, string>) =>
  invalid(open.values().next().value!, 'must be followed by a tool message with its result');

function readMessage(fields: Fields): ChatMessage {
  const roles = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
  const role = fields.required('role', fields.oneOf('role', roles));
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'system', text: fields.required('content', readContent(fields)) };
    case 'user':
      return { role, text: fields.required('content', readContent(fields)) };
    case 'assistant': {
      const calls = readCalls(fields);
      const text = readContent(fields) ?? fields.string('refusal');
      return { role, text: calls.length > 0 ? (text ?? '') : fields.required('content', text), calls };
    }
    case 'tool': {
      const callId = fields.required('tool_call_id', fields.string('tool_call_id'));
      return { role, callId, text: fields.required('content', readContent(fields)) };
    }
  }
}

/** A string, or parts of text, which belong together as they stand. */
function readContent(fields: Fields): string | undefined {
  const content = fields.value('content');
  if (!Array.isArray(content)) return fields.string('content');
  return content
    .map((entry, at) => {
      const part = Fields.of(entry, `${fields.at('content')}.${at}`);
      const type = part.required('type', part.string('type'));
      if (type === 'refusal') return part.required('refusal', part.string('refusal'));
      if (type !== 'text')
        throw unsupported(part.at('type'), `is ${JSON.stringify(type)}, but this model reads text alone`);
      return part.required('text', part.string('text'));
    })
    .join('');
}

function readCalls(fields: Fields): ToolCall[] {
  const ids = new Set<string>();
  return (fields.array('tool_calls', { min: 1, max: mostTools }) ?? []).map((entry, at) => {
    const call = Fields.of(entry, `${fields.at('tool_calls')}.${at}`);
    call.required('type', call.oneOf('type', ['function']));
    const id = call.required('id', call.string('id'));
    if (ids.has(id)) throw invalid(call.at('id'), 'must differ from those of the other calls');
    ids.add(id);
    const called = call.required('function', call.object('function'));
    return {
      id,
      name: called.required('name', called.string('name')),
      arguments: called.required('arguments', called.string('arguments')),
    };
  });
}

function readTools(fields: Fields): ToolChoice {
  if (JSON.stringify(fields.value('tools') ?? []).length > mostToolCharacters)
    throw invalid('tools', `must have at most ${mostToolCharacters} characters in all`);
  const strict = new Set<string>();
  const names = new Set<string>();
  const tools = (fields.array('tools', { min: 1, max: mostTools }) ?? []).map((entry, at): CallableTool => {
    const tool = Fields.of(entry, `tools.${at}`);
    tool.required('type', tool.oneOf('type', ['function']));
    const stated = tool.required('function', tool.object('function'));
    const name = stated.required('name', stated.string('name'));
    if (!toolName.test(name)) throw invalid(stated.at('name'), 'must have 1 to 64 letters, digits, - or _');
    if (names.has(name))
      throw invalid(stated.at('name'), `must differ from those of the other tools: ${name} is there twice`);
    names.add(name);
    if (stated.boolean('strict') === true) strict.add(name);
    const parameters = stated.value('parameters');
    if (parameters === undefined) return { name, description: stated.string('description') };
    const schema = checkSchema(parameters, stated.at('parameters'));
    if (typeof schema === 'boolean' || !isObjectSchema(schema))
      throw invalid(stated.at('parameters'), 'must be the schema of an object: {"type":"object",...}');
    return { name, description: stated.string('description'), parameters: schema };
  });
  const isParallel = fields.boolean('parallel_tool_calls') ?? true;
  return { ...chosen(fields, tools), strict, isParallel };
}

const isObjectSchema = ({ type, properties }: Readonly<Record<string, unknown>>): boolean =>
  type === 'object' || (type === undefined && properties !== undefined);

function chosen(fields: Fields, tools: readonly CallableTool[]): Pick<ToolChoice, 'tools' | 'isForced'> {
  const given = fields.value('tool_choice');
  if (given === undefined) return { tools, isForced: false };
  if (tools.length === 0 && given !== 'none') throw invalid('tool_choice', 'may stand only where tools do');
  if (typeof given === 'string') {
    const choice = fields.oneOf('tool_choice', ['none', 'auto', 'required']);
    return { tools: choice === 'none' ? [] : tools, isForced: choice === 'required' };
  }
  const choice = Fields.of(given, 'tool_choice');
  choice.required('type', choice.oneOf('type', ['function']));
  const named = choice.required('function', choice.object('function'));
  const name = named.required('name', named.string('name'));
  const tool = tools.find((each) => each.name === name);
  if (tool === undefined) throw invalid(named.at('name'), `is ${JSON.stringify(name)}, which is not among the tools`);
  return { tools: [tool], isForced: true };
}

function readFormat(fields: Fields): ResponseFormat {
  const format = fields.object('response_format');
  if (format === undefined) return { kind: 'text' };
  const kinds = ['text', 'json_object', 'json_schema'] as const;
  const kind = format.required('type', format.oneOf('type', kinds));
  if (kind !== 'json_schema') return { kind };
  const stated = format.required('json_schema', format.object('json_schema'));
  const name = stated.required('name', stated.string('name'));
  if (!toolName.test(name)) throw invalid(stated.at('name'), 'must have 1 to 64 letters, digits, - or _');
  const schema = checkSchema(stated.value('schema') ?? {}, stated.at('schema'));
  return { kind, schema, isStrict: stated.boolean('strict') ?? false };
}
