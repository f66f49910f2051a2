import { Ajv2020 } from 'ajv/dist/2020.js';
import type { JsonSchema } from '#libs/inference/adapters/llama';
import { invalid } from './openai-error.js';

const mostBytes = 65_536;

let ajv: Ajv2020 | undefined;

/** Holds a schema against the meta-schema of JSON schema, draft 2020-12. @throws OpenAiError 400 */
export function checkSchema(schema: unknown, param: string): JsonSchema {
  if (typeof schema === 'boolean') return schema;
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema))
    throw invalid(param, 'must be a JSON schema: an object', 'invalid_type');
  if (JSON.stringify(schema).length > mostBytes) throw invalid(param, `must have at most ${mostBytes} characters`);
  ajv ??= new Ajv2020({ strict: false, validateFormats: false });
  // Which draft it names makes no difference to what is read of it here.
  const { $schema: _draft, ...rest } = schema as Record<string, unknown>;
  if (ajv.validateSchema(rest) === true) return rest;
  const [problem] = ajv.errors ?? [];
  const place = problem?.instancePath ?? '';
  throw invalid(
    param,
    `is no JSON schema: ${place === '' ? 'it' : place} ${problem?.message ?? 'is not valid'}`,
    'invalid_schema',
  );
}
