import { isObject, list, object, oneOf, refusal, text, type JsonObject, type Rule } from './field-rules.js';

const roles = ['developer', 'system', 'user', 'assistant', 'tool', 'function'] as const;

const partRules: Readonly<Record<string, Rule>> = {
  text: object({ text: text() }, ['text']),
  refusal: object({ refusal: text() }, ['refusal']),
  image_url: object({ image_url: object({ url: text() }, ['url']) }, ['image_url']),
  input_audio: object({ input_audio: object({ data: text(), format: text() }, ['data', 'format']) }, ['input_audio']),
  file: object({ file: object() }, ['file']),
};

const part: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object');
  const { type } = value;
  if (typeof type !== 'string') throw refusal(`${field}.type`, 'must be a text');
  // Servers know other kinds of their own (video_url, say): those are theirs to check.
  if (Object.hasOwn(partRules, type)) partRules[type]!(value, field);
};
const parts = list(part, 1, Number.MAX_SAFE_INTEGER);

const toolCall: Rule = (value, field) => {
  object({ id: text(), type: oneOf('function', 'custom') }, ['id', 'type'])(value, field);
  const kind = (value as JsonObject)['type'] as 'function' | 'custom';
  const inner =
    kind === 'function'
      ? object({ name: text(), arguments: text() }, ['name', 'arguments'])
      : object({ name: text(), input: text() }, ['name', 'input']);
  inner((value as JsonObject)[kind], `${field}.${kind}`);
};
const toolCalls = list(toolCall, 1, Number.MAX_SAFE_INTEGER);

const content: Rule = (value, field) => {
  if (typeof value === 'string') return;
  if (!Array.isArray(value)) throw refusal(field, 'must be a text or an array of parts');
  parts(value, field);
};

const message: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object with role and content');
  const { role, content: said } = value;
  oneOf(...roles)(role, `${field}.role`);
  if (value['name'] !== undefined && value['name'] !== null) text(256)(value['name'], `${field}.name`);
  if (value['tool_calls'] !== undefined && value['tool_calls'] !== null)
    toolCalls(value['tool_calls'], `${field}.tool_calls`);
  const isSilent = said === undefined || said === null;
  if (!isSilent) content(said, `${field}.content`);
  else if (role === 'assistant') {
    const acts = ['tool_calls', 'function_call', 'refusal', 'audio'];
    if (!acts.some((name) => value[name] !== undefined && value[name] !== null))
      throw refusal(`${field}.content`, 'is missing, and there are no tool_calls');
  } else if (role !== 'function') throw refusal(`${field}.content`, 'is missing');
  if (role === 'tool') text()(value['tool_call_id'], `${field}.tool_call_id`);
};

export const messages = list(message, 1, Number.MAX_SAFE_INTEGER);

/** @returns how many characters of text checked messages hold; pictures and sounds do not count */
export function charactersOf(checked: readonly JsonObject[]): number {
  let sum = 0;
  for (const { content: said } of checked) {
    if (typeof said === 'string') sum += said.length;
    else if (Array.isArray(said)) for (const each of said as JsonObject[]) sum += lengthOf(each['text']);
  }
  return sum;
}

const lengthOf = (value: unknown): number => (typeof value === 'string' ? value.length : 0);
