import {
  checkMembers,
  flag,
  isObject,
  list,
  number,
  object,
  oneOf,
  pairs,
  refusal,
  text,
  whole,
  type JsonObject,
  type Rule,
  type Rules,
} from './field-rules.js';
import { checkJsonSchema } from './json-schema.js';
import { checkedChat, type CheckedAsk } from './openai-request.js';
import { messagesOf } from './responses-input.js';
import { functionMembers } from './tools.js';

const notHere =
  (problem: string): Rule =>
  (_value, field) => {
    throw refusal(field, problem);
  };

const onlyFalse =
  (problem: string): Rule =>
  (value, field) => {
    flag(value, field);
    if (value === true) throw refusal(field, problem);
  };

const tool: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object');
  if (value['type'] !== 'function') throw refusal(`${field}.type`, 'must be function: no other tools run here');
  object(functionMembers, ['name'])(value, field);
};

const toolChoice: Rule = (value, field) => {
  if (typeof value === 'string') oneOf('none', 'auto', 'required')(value, field);
  else object({ type: oneOf('function'), name: text(64) }, ['type', 'name'])(value, field);
};

const format: Rule = (value, field) => {
  object({ type: oneOf('text', 'json_object', 'json_schema') }, ['type'])(value, field);
  if ((value as JsonObject)['type'] !== 'json_schema') return;
  object({ name: text(64), description: text(), schema: checkJsonSchema, strict: flag }, ['name', 'schema'])(
    value,
    field,
  );
};

/** What a chat has by the same name is checked there. */
const rules: Rules = {
  background: onlyFalse('must be false or be left out: answers are given at once here'),
  conversation: notHere('is not kept here: send the whole conversation as input'),
  include: list(text(), 0, 64),
  max_output_tokens: whole(1),
  max_tool_calls: whole(1),
  metadata: pairs,
  previous_response_id: notHere('names an answer that was kept, and none is kept here; send the conversation as input'),
  prompt: notHere('names a template, and none are kept here; send instructions and input'),
  reasoning: object({ effort: text(32), summary: text(32) }),
  store: onlyFalse('must be false or be left out: no answer is kept here'),
  temperature: number(0, 2),
  text: object({ format, verbosity: oneOf('low', 'medium', 'high') }),
  tool_choice: toolChoice,
  tools: list(tool, 1, 128),
  top_logprobs: whole(0, 20),
  truncation: (value, field) => {
    oneOf('auto', 'disabled')(value, field);
    if (value === 'auto')
      throw refusal(field, 'must be disabled or be left out: nothing is cut from a conversation here');
  },
};

/** Members that mean something only in the Responses API; all others go to the model server. */
const own = new Set([
  ...Object.keys(rules),
  'input',
  'instructions',
  'messages',
  'n',
  'stream_options',
  'service_tier',
  'prompt_cache_retention',
]);
const kept = new Set(['temperature']);

/** A request of the Responses API as a chat. @throws SLU_INFERENCE_INPUT, naming the field as the caller wrote it */
export function checkedResponse(body: JsonObject): CheckedAsk {
  checkMembers(body, rules);
  const passed = Object.fromEntries(Object.entries(body).filter(([name]) => !own.has(name) || kept.has(name)));
  const messages = messagesOf(body['input'], body['instructions']);
  const checked = checkedChat({ ...passed, messages, ...chatMembers(body) });
  return { ...checked, wantsUsage: true, prompt: { ...checked.prompt, field: 'input' } };
}

function chatMembers(body: JsonObject): JsonObject {
  const { text: how, reasoning, tools, tool_choice: choice, max_output_tokens: most, top_logprobs: logprobs } = body;
  const chat: JsonObject = {};
  // By its older name, which every server knows.
  if (isSet(most)) chat['max_tokens'] = most;
  if (isSet(logprobs)) Object.assign(chat, { logprobs: true, top_logprobs: logprobs });
  if (isObject(reasoning) && isSet(reasoning['effort'])) chat['reasoning_effort'] = reasoning['effort'];
  if (isObject(how)) {
    if (isSet(how['verbosity'])) chat['verbosity'] = how['verbosity'];
    if (isObject(how['format']) && how['format']['type'] !== 'text') chat['response_format'] = formatOf(how['format']);
  }
  if (Array.isArray(tools)) chat['tools'] = tools.map(({ type, ...rest }: JsonObject) => ({ type, function: rest }));
  if (isObject(choice)) chat['tool_choice'] = { type: 'function', function: { name: choice['name'] } };
  else if (isSet(choice)) chat['tool_choice'] = choice;
  return chat;
}

const formatOf = ({ type, ...rest }: JsonObject): JsonObject =>
  type === 'json_schema' ? { type, json_schema: rest } : { type };

const isSet = (value: unknown): boolean => value !== undefined && value !== null;
