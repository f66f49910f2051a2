import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { isObject, refusal, type JsonObject } from './field-rules.js';

const mostDepth = 64;
const mostNodes = 20_000;
const mostPatternLength = 1_000;

const dialects = {
  'https://json-schema.org/draft/2020-12/schema': '2020-12',
  'http://json-schema.org/draft-07/schema': '07',
} as const;

// Only the two schemas of schemas are ever compiled; what a caller sends is data to them, and no code is made of it.
const settings = { strict: false, validateFormats: false, logger: false } as const;
const checkers = { '2020-12': new Ajv2020(settings), '07': new Ajv(settings) };

/** Keywords whose values are schemas, lists of schemas, or maps of schemas. What others hold is not looked into. */
const oneSchema = new Set([
  'items',
  'additionalItems',
  'additionalProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
  'contains',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
]);
const schemaLists = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items']);
const schemaMaps = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);

/**
 * Is it a JSON schema, of a size that a grammar can be made of? Drafts 2020-12 (the default) and 07; references only
 * within itself. @throws SLU_INFERENCE_INPUT
 */
export function checkJsonSchema(schema: unknown, field: string): void {
  if (!isObject(schema)) throw refusal(field, 'must be a JSON schema object');
  checkSize(schema, field);
  const checker = checkers[dialectOf(schema, field)];
  if (checker.validateSchema(schema) !== true) {
    const error = checker.errors?.[0];
    const place = (error?.instancePath ?? '').replaceAll('/', '.').slice(0, 200);
    throw refusal(`${field}${place}`, `is not valid in a JSON schema: ${error?.message ?? 'it is malformed'}`);
  }
  checkKeywords(schema, schema, field);
}

/** Counts without recursion: the depth is not known yet. */
function checkSize(schema: JsonObject, field: string): void {
  const waiting: { value: object; depth: number }[] = [{ value: schema, depth: 1 }];
  let nodes = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.depth > mostDepth) throw refusal(field, `is nested deeper than ${mostDepth} levels`);
    for (const value of Object.values(next.value)) {
      nodes += 1;
      if (nodes > mostNodes) throw refusal(field, `has more than ${mostNodes} values`);
      if (typeof value === 'object' && value !== null) waiting.push({ value: value as object, depth: next.depth + 1 });
    }
  }
}

function dialectOf({ $schema }: JsonObject, field: string): keyof typeof checkers {
  if ($schema === undefined) return '2020-12';
  const name = typeof $schema === 'string' ? $schema.replace(/#$/, '') : '';
  if (!Object.hasOwn(dialects, name))
    throw refusal(`${field}.$schema`, `must be ${Object.keys(dialects).join(' or ')}, or be left out`);
  return dialects[name as keyof typeof dialects];
}

function checkKeywords(schema: unknown, root: JsonObject, field: string): void {
  if (!isObject(schema)) return;
  for (const [keyword, value] of Object.entries(schema)) {
    const place = `${field}.${keyword}`;
    if (keyword === '$ref' || keyword === '$dynamicRef') checkReference(value, root, place);
    else if (keyword === 'pattern') checkPattern(value, place);
    else if (schemaLists.has(keyword) && Array.isArray(value))
      value.forEach((each, at) => checkKeywords(each, root, `${place}[${at}]`));
    else if (oneSchema.has(keyword)) checkKeywords(value, root, place);
    else if (schemaMaps.has(keyword) && isObject(value)) {
      for (const [name, each] of Object.entries(value)) {
        if (keyword === 'patternProperties') checkPattern(name, place);
        checkKeywords(each, root, `${place}.${name}`);
      }
    }
  }
}

function checkPattern(pattern: unknown, field: string): void {
  if (typeof pattern !== 'string') return;
  if (pattern.length > mostPatternLength) throw refusal(field, `has more than ${mostPatternLength} characters`);
  try {
    // Made, never run: whether a text matches is for the model server to see to.
    void new RegExp(pattern, 'u');
  } catch {
    throw refusal(field, 'is not a regular expression');
  }
}

function checkReference(reference: unknown, root: JsonObject, field: string): void {
  if (typeof reference !== 'string' || !reference.startsWith('#'))
    throw refusal(field, 'must point into the schema itself (#/...): nothing is fetched');
  // A name instead of a path (#node) is an anchor, which may stand anywhere.
  if (reference !== '#' && !reference.startsWith('#/')) return;
  let target: unknown = root;
  for (const part of reference.split('/').slice(1)) {
    const name = unescaped(part, field);
    const isThere = typeof target === 'object' && target !== null && Object.hasOwn(target, name);
    if (!isThere) throw refusal(field, `points to ${reference.slice(0, 100)}, where there is nothing`);
    target = (target as JsonObject)[name];
  }
}

/** JSON Pointer in a URI fragment: RFC 6901, sections 3 and 6. */
function unescaped(part: string, field: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    throw refusal(field, 'is not a JSON pointer');
  }
}
