import type { Action } from '#libs/access';
import { errorTable, type ErrorCode } from '#libs/kernel';
import { z } from 'zod';
import { archiveTypes } from '../http/body-parsers.js';
import { takesIdempotencyKey } from '../http/idempotency.js';
import type { AnswerSpec, OperationSpec } from '../http/operation.js';
import type { BookedOperation } from '../http/route-book.js';

export type OpenApiDocument = Readonly<Record<string, unknown>>;

/** Paths of a protocol that documents itself, and the schemas they name. */
export interface ProtocolDocument {
  paths: Readonly<Record<string, unknown>>;
  schemas?: Readonly<Record<string, unknown>> | undefined;
}

/** What any management route may answer. */
const everywhere: readonly ErrorCode[] = [
  'SLU_REQUEST_MALFORMED',
  'SLU_ACCESS_KEY_IN_QUERY',
  'SLU_ACCESS_KEY_MISSING',
  'SLU_ACCESS_KEY_INVALID',
  'SLU_ACCESS_FORBIDDEN',
  'SLU_ACCESS_NETWORK',
  'SLU_ACCESS_TOKEN_INVALID',
  'SLU_ACCESS_ISSUER_DOWN',
  'SLU_INTERNAL',
  'SLU_PLATFORM_DATABASE_DOWN',
  'SLU_INFERENCE_DRAINING',
];
const withQuery: readonly ErrorCode[] = ['SLU_REQUEST_INVALID'];
const withBody: readonly ErrorCode[] = [
  'SLU_REQUEST_INVALID',
  'SLU_REQUEST_TOO_LARGE',
  'SLU_REQUEST_TIMEOUT',
  'SLU_REQUEST_MEDIA_TYPE',
];

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.uuid(),
  problems: z.array(z.object({ field: z.string(), problem: z.string() })).optional(),
});

const withIdempotencyKey: readonly ErrorCode[] = [
  'SLU_REQUEST_IDEMPOTENCY_KEY',
  'SLU_REQUEST_IDEMPOTENCY_OTHER',
  'SLU_REQUEST_IDEMPOTENCY_RUNNING',
  'SLU_REQUEST_IDEMPOTENCY_LOST',
];

const idempotencyKeyParameter = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A text of your own for this one request, a UUID for example. Sent again with the same body within 24 hours, the first answer comes back and nothing is done twice.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
};

/** The OpenAPI 3.1 document, made from the routes as they are registered. */
export function openApiDocument(
  version: string,
  operations: readonly BookedOperation[],
  protocols: readonly ProtocolDocument[],
): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, path, operation } of operations) {
    const template = path.replace(/:(\w+)/g, '{$1}');
    (paths[template] ??= {})[method.toLowerCase()] = operationObject(method, path, operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice',
      version,
      description: 'The serving platform in front of machine-learning models.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ apiKey: [] }],
    paths: Object.assign({}, paths, ...protocols.map((protocol) => withPermits(protocol.paths))) as object,
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'an API key, or a token of the OpenID Connect issuer' },
      },
      schemas: Object.assign(
        { Problem: schemaOf(problemSchema, 'output') },
        ...protocols.map((protocol) => protocol.schemas ?? {}),
      ) as object,
    },
  };
}

/** Says of the routes of a protocol which permit opens them; the permit test calls them all. */
function withPermits(paths: ProtocolDocument['paths']): object {
  return Object.fromEntries(
    Object.entries(paths).map(([path, methods]) => [
      path,
      Object.fromEntries(
        Object.entries(methods as Record<string, { security: unknown[] }>).map(([method, operation]) => [
          method,
          operation.security.length === 0
            ? operation
            : { ...operation, 'x-sluice-permit': protocolPermit(method, path) },
        ]),
      ),
    ]),
  );
}

function protocolPermit(method: string, path: string): Action {
  if (method !== 'post') return 'model.metadata';
  if (path.startsWith('/v1/') || /\/(infer|generate|generate_stream)$/.test(path)) return 'infer';
  return /\/(load|unload|register|setting|logging)$/.test(path) ? 'endpoint.write' : 'model.metadata';
}

function operationObject(method: string, path: string, operation: OperationSpec): object {
  const isRepeatable = takesIdempotencyKey({ method, url: path });
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_all, next: string) => next.toUpperCase())}`,
    summary: operation.summary,
    tags: [operation.tag],
    'x-sluice-permit': operation.permit,
    parameters: [
      ...pathParameters(operation),
      ...queryParameters(operation),
      ...(isRepeatable ? [idempotencyKeyParameter] : []),
    ],
    ...bodyObject(operation),
    responses: {
      ...answerObjects(operation, isRepeatable),
      ...refusalObjects(operation, isRepeatable ? withIdempotencyKey : []),
    },
  };
}

const pathParameters = ({ params = {} }: OperationSpec): object[] =>
  Object.entries(params).map(([name, description]) => ({
    name,
    in: 'path',
    required: true,
    description,
    schema: { type: 'string' },
  }));

const queryParameters = ({ query }: OperationSpec): object[] =>
  Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: !(schema as z.ZodType).safeParse(undefined).success,
    schema: schemaOf(schema as z.ZodType, 'input'),
  }));

function bodyObject({ body, isBodyOptional, takesArchive }: OperationSpec): object {
  if (body === undefined) return {};
  const binary = { schema: { type: 'string', format: 'binary' } };
  const form = { schema: { type: 'object', properties: { artifact: { type: 'string', format: 'binary' } } } };
  const archives =
    takesArchive === true
      ? { ...Object.fromEntries(archiveTypes.map((type) => [type, binary])), 'multipart/form-data': form }
      : {};
  return {
    requestBody: {
      required: isBodyOptional !== true,
      content: { 'application/json': { schema: schemaOf(body, 'input') }, ...archives },
    },
  };
}

const answerObjects = ({ answers }: OperationSpec, isRepeatable: boolean): Record<string, object> =>
  Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => [
      status,
      {
        description: answer.description,
        headers: {
          'sluice-request-id': { schema: { type: 'string', format: 'uuid' } },
          ...(isRepeatable && { 'idempotent-replayed': { schema: { const: 'true' } } }),
        },
        content: contentOf(answer),
      },
    ]),
  );

const contentOf = ({ schema, contentType = 'application/json', otherContentTypes = [] }: AnswerSpec): object => ({
  [contentType]: schema === undefined ? {} : { schema: schemaOf(schema, 'output') },
  ...Object.fromEntries(otherContentTypes.map((type) => [type, { schema: { type: 'string' } }])),
});

function refusalObjects(
  { refusals = [], body, query }: OperationSpec,
  more: readonly ErrorCode[],
): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([
    ...everywhere,
    ...(query === undefined ? [] : withQuery),
    ...(body === undefined ? [] : withBody),
    ...refusals,
    ...more,
  ])) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.map((code) => `\`${code}\`: ${errorTable[code].text}`).join('  \n'),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
