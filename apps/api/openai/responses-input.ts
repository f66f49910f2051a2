import { isObject, refusal, type JsonObject } from './field-rules.js';

/** The items of a Responses API request as the messages of a chat. @throws SLU_INFERENCE_INPUT, naming the item */
export function messagesOf(input: unknown, instructions: unknown): JsonObject[] {
  const said: JsonObject[] = [];
  if (instructions !== undefined && instructions !== null) {
    if (typeof instructions !== 'string') throw refusal('instructions', 'must be a text');
    said.push({ role: 'system', content: instructions });
  }
  if (typeof input === 'string') return [...said, { role: 'user', content: input }];
  if (!Array.isArray(input) || input.length === 0)
    throw refusal('input', 'must be a text or an array of items, and not empty');
  input.forEach((item: unknown, at) => addItem(said, item, `input[${at}]`));
  return said;
}

function addItem(said: JsonObject[], item: unknown, field: string): void {
  if (!isObject(item)) throw refusal(field, 'must be an object');
  const type = item['type'] ?? 'message';
  switch (type) {
    case 'message':
      said.push(messageOf(item, field));
      return;
    case 'function_call':
      addCall(said, item, field);
      return;
    case 'function_call_output':
      said.push({
        role: 'tool',
        tool_call_id: textOf(item['call_id'], `${field}.call_id`),
        content: outputOf(item['output'], `${field}.output`),
      });
      return;
    case 'reasoning':
      // What a model thought is not said to it again: a chat has no place for it.
      return;
    case 'item_reference':
      throw refusal(
        `${field}.type`,
        'item_reference names an answer that was kept, and none is kept here; send the item',
      );
    default:
      throw refusal(`${field}.type`, 'must be message, function_call, function_call_output or reasoning');
  }
}

function messageOf({ role, content }: JsonObject, field: string): JsonObject {
  if (!['user', 'assistant', 'system', 'developer'].includes(role as string))
    throw refusal(`${field}.role`, 'must be one of user, assistant, system, developer');
  if (typeof content === 'string') return { role, content };
  if (!Array.isArray(content) || content.length === 0)
    throw refusal(`${field}.content`, 'must be a text or an array of parts');
  const parts = content.map((part: unknown, at) => partOf(part, `${field}.content[${at}]`));
  // Most chat templates take an assistant's words as one text only.
  if (role === 'assistant') return { role, content: parts.map(wordsOf).join('') };
  return { role, content: parts };
}

function partOf(part: unknown, field: string): JsonObject {
  if (!isObject(part)) throw refusal(field, 'must be an object');
  switch (part['type']) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: 'text', text: textOf(part['text'], `${field}.text`) };
    case 'refusal':
      return { type: 'refusal', refusal: textOf(part['refusal'], `${field}.refusal`) };
    case 'input_image': {
      const url = part['image_url'];
      if (typeof url !== 'string') throw refusal(`${field}.image_url`, 'must be a URL: no files are kept here');
      return { type: 'image_url', image_url: { url, ...(isText(part['detail']) && { detail: part['detail'] }) } };
    }
    case 'input_file': {
      const { file_data, filename } = part;
      if (typeof file_data !== 'string')
        throw refusal(`${field}.file_data`, 'must be the file: no files are kept here');
      return { type: 'file', file: { file_data, ...(isText(filename) && { filename }) } };
    }
    default:
      throw refusal(`${field}.type`, 'must be input_text, output_text, input_image, input_file or refusal');
  }
}

const wordsOf = ({ text, refusal: refused }: JsonObject): string =>
  isText(text) ? text : isText(refused) ? refused : '';

/** Calls that stand one behind the other were made in one breath. */
function addCall(said: JsonObject[], item: JsonObject, field: string): void {
  const call = {
    id: textOf(item['call_id'], `${field}.call_id`),
    type: 'function',
    function: {
      name: textOf(item['name'], `${field}.name`),
      arguments: textOf(item['arguments'], `${field}.arguments`),
    },
  };
  const last = said.at(-1);
  if (last?.['role'] === 'assistant')
    last['tool_calls'] = [...((last['tool_calls'] as unknown[] | undefined) ?? []), call];
  else said.push({ role: 'assistant', content: null, tool_calls: [call] });
}

function outputOf(output: unknown, field: string): string {
  if (!Array.isArray(output)) return textOf(output, field);
  return output
    .map((part: unknown, at) => textOf(partOf(part, `${field}[${at}]`)['text'], `${field}[${at}].text`))
    .join('');
}

const isText = (value: unknown): value is string => typeof value === 'string';

function textOf(value: unknown, field: string): string {
  if (typeof value !== 'string') throw refusal(field, 'must be a text');
  return value;
}
