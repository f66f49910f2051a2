import { flag, isObject, list, object, oneOf, refusal, text, type JsonObject, type Rule } from './field-rules.js';
import { checkJsonSchema } from './json-schema.js';

const toolName: Rule = (value, field) => {
  if (typeof value !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(value))
    throw refusal(field, 'must be 1 to 64 letters, digits, _ and -');
};

/** What a function says of itself; in the Responses API it stands in the tool, elsewhere below `function`. */
export const functionMembers = {
  name: toolName,
  description: text(),
  parameters: checkJsonSchema,
  strict: flag,
} as const;

const tool: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object');
  if (value['type'] !== 'function' && value['type'] !== 'custom')
    throw refusal(`${field}.type`, 'must be function or custom');
  const kind = value['type'];
  if (kind === 'function') object(functionMembers, ['name'])(value['function'], `${field}.function`);
  else object({ name: toolName, description: text() }, ['name'])(value['custom'], `${field}.custom`);
};

export const tools = list(tool, 1, 128);

/** Before tools there were functions; some callers still send them. */
export const functions = list(object(functionMembers, ['name']), 1, 128);

export const toolChoice: Rule = (value, field) => {
  if (typeof value === 'string') {
    oneOf('none', 'auto', 'required')(value, field);
    return;
  }
  if (!isObject(value)) throw refusal(field, 'must be none, auto, required or an object');
  oneOf('function', 'custom', 'allowed_tools')(value['type'], `${field}.type`);
  const kind = value['type'] as string;
  if (kind === 'allowed_tools') object()(value[kind], `${field}.${kind}`);
  else object({ name: toolName }, ['name'])(value[kind], `${field}.${kind}`);
};

/** A choice has to name what is there. @throws SLU_INFERENCE_INPUT */
export function checkToolChoice({ tools: given, tool_choice: choice }: JsonObject): void {
  if (choice === undefined || choice === null) return;
  if (!Array.isArray(given)) {
    if (choice === 'none' || choice === 'auto') return;
    throw refusal('tool_choice', 'needs tools');
  }
  if (!isObject(choice)) return;
  const kind = choice['type'] as string;
  const wanted = (choice[kind] as JsonObject | undefined)?.['name'];
  if (wanted === undefined) return;
  const isThere = given.some((each: JsonObject) => (each[kind] as JsonObject | undefined)?.['name'] === wanted);
  if (!isThere) throw refusal(`tool_choice.${kind}.name`, 'names none of the tools');
}

const formatName: Rule = (value, field) => toolName(value, field);

export const responseFormat: Rule = (value, field) => {
  if (!isObject(value)) throw refusal(field, 'must be an object');
  oneOf('text', 'json_object', 'json_schema')(value['type'], `${field}.type`);
  if (value['type'] !== 'json_schema') return;
  object({ name: formatName, description: text(), schema: checkJsonSchema, strict: flag }, ['name'])(
    value['json_schema'],
    `${field}.json_schema`,
  );
};
