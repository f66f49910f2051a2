import { channels } from './moderation-request.js';

/** The OpenAI protocol as it stands here, as OpenAPI 3.1 path objects and schemas for `/openapi.json`. */

const json = (schema: object): object => ({ content: { 'application/json': { schema } } });
const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const text = (description?: string): object => ({ type: 'string', ...(description && { description }) });
const nullable = (schema: { type: string } & Record<string, unknown>): object => ({
  ...schema,
  type: [schema.type, 'null'],
});
const number = (minimum: number, maximum: number): object => nullable({ type: 'number', minimum, maximum });
const integer = (minimum: number, maximum?: number): object =>
  nullable({ type: 'integer', minimum, ...(maximum !== undefined && { maximum }) });
const flag = nullable({ type: 'boolean' });
const words = nullable({ type: 'string' });

const requestHeaders = {
  'sluice-request-id': {
    description: 'UUID of this request; it leads to its record and log lines.',
    schema: { type: 'string', format: 'uuid' },
  },
  'x-request-id': { description: 'The same, by the name that the SDKs read.', schema: text() },
};
const answerHeaders = {
  ...requestHeaders,
  'sluice-model-version': { description: 'The version that answered.', schema: text() },
  'sluice-arm': { description: 'The arm of the route; `pinned` when the model names a version.', schema: text() },
  'openai-processing-ms': { description: 'Until the answer began.', schema: { type: 'integer' } },
  traceparent: { description: 'W3C trace context of this request.', schema: text() },
};

const failures: Record<string, string> = {
  400: 'The request cannot be read, a parameter is not what it must be, or the model server refuses it; `param` names the field.',
  401: 'No valid API key.',
  403: 'The key may not do this.',
  404: 'No such endpoint or version, or its model does not answer this path.',
  408: 'The body did not arrive in time.',
  413: 'The body is larger than the limit.',
  415: 'The content type is not accepted.',
  429: 'The model servers take no more requests now; see Retry-After.',
  500: 'The model failed on this input.',
  502: 'The model server did not answer as it should, or two were lost while answering.',
  503: 'No ready replica, too many requests, or the server is shutting down; see Retry-After.',
  504: 'The model did not answer in time.',
};

function failing(...statuses: number[]): Record<string, object> {
  return Object.fromEntries(
    statuses.map((status) => {
      const waits = status === 503 || status === 429;
      const retryAfter = { 'retry-after': { description: 'Seconds.', schema: { type: 'integer' } } };
      const headers = { ...requestHeaders, ...(waits && retryAfter) };
      return [String(status), { description: failures[status], headers, ...json(ref('OpenAiError')) }];
    }),
  );
}

const closed = { tags: ['openai'], security: [{ apiKey: [] }] };
const stickyKey = {
  name: 'sluice-sticky-key',
  in: 'header',
  required: false,
  schema: text(),
  description: 'Requests with the same key stay in the same arm; `user` in the body does the same.',
};

function answering(operationId: string, summary: string, request: string, answer: string, isStreamed: boolean): object {
  const events = {
    'text/event-stream': { schema: text('Server-sent events, when the request says `"stream": true`.') },
  };
  return {
    post: {
      ...closed,
      operationId,
      summary,
      parameters: [stickyKey],
      requestBody: { required: true, ...json(ref(request)) },
      responses: {
        200: {
          description: 'The answer.',
          headers: answerHeaders,
          content: { 'application/json': { schema: ref(answer) }, ...(isStreamed && events) },
        },
        ...failing(400, 401, 403, 404, 408, 413, 415, 429, 500, 502, 503, 504),
      },
    },
  };
}

export const openAiPaths: Record<string, object> = {
  '/v1/moderations': {
    post: {
      ...closed,
      operationId: 'openAiModerate',
      summary: 'Judge texts by the safety gates',
      requestBody: { required: true, ...json(ref('OpenAiModerationRequest')) },
      responses: {
        200: { description: 'One result per input.', headers: requestHeaders, ...json(ref('OpenAiModeration')) },
        ...failing(400, 401, 403, 408, 413, 415, 429, 503),
      },
    },
  },
  '/v1/models': {
    get: {
      ...closed,
      operationId: 'openAiModels',
      summary: 'List the endpoints with language models',
      responses: {
        200: { description: 'By name.', headers: requestHeaders, ...json(ref('OpenAiModelList')) },
        ...failing(400, 401, 403),
      },
    },
  },
  '/v1/models/{model}': {
    get: {
      ...closed,
      operationId: 'openAiModel',
      summary: 'Describe an endpoint with a language model',
      parameters: [
        { name: 'model', in: 'path', required: true, description: 'Endpoint, or endpoint:version.', schema: text() },
      ],
      responses: {
        200: { description: 'The model.', headers: requestHeaders, ...json(ref('OpenAiModel')) },
        ...failing(400, 401, 403, 404),
      },
    },
  },
  '/v1/chat/completions': answering('openAiChat', 'Chat', 'OpenAiChatRequest', 'OpenAiCompletion', true),
  '/v1/completions': answering(
    'openAiComplete',
    'Complete a text',
    'OpenAiCompletionRequest',
    'OpenAiCompletion',
    true,
  ),
  '/v1/embeddings': answering('openAiEmbed', 'Make embeddings', 'OpenAiEmbeddingRequest', 'OpenAiEmbeddings', false),
  '/v1/responses': answering('openAiRespond', 'Respond', 'OpenAiResponseRequest', 'OpenAiResponse', true),
};

const model = text('An endpoint, or `endpoint:version` for exactly that version.');
const generation = {
  model,
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  logit_bias: nullable({ type: 'object', additionalProperties: { type: 'number', minimum: -100, maximum: 100 } }),
  max_tokens: integer(1),
  n: integer(1, 128),
  seed: nullable({ type: 'integer' }),
  stop: { anyOf: [text(), { type: 'array', items: text(), maxItems: 4 }, { type: 'null' }] },
  stream: flag,
  stream_options: nullable({
    type: 'object',
    description: 'Only with `stream`.',
    properties: { include_usage: flag },
  }),
  temperature: number(0, 2),
  top_p: number(0, 1),
  user: words,
};
const texts = {
  anyOf: [
    text(),
    { type: 'array', items: text(), minItems: 1, maxItems: 2_048 },
    { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 },
    { type: 'array', items: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 }, minItems: 1 },
  ],
};
const anyObject = { type: 'object', additionalProperties: true };
const request = (required: string[], properties: object): object => ({
  type: 'object',
  required: ['model', ...required],
  description: 'Parameters that are not named here go to the model server as they are.',
  properties,
});
const moderationSchemas: Record<string, object> = {
  OpenAiModerationRequest: {
    type: 'object',
    required: ['input'],
    properties: {
      input: { anyOf: [text(), { type: 'array', items: text(), minItems: 1, maxItems: 2_048 }] },
      model: nullable({ type: 'string', description: 'Left to the platform.' }),
      sluice: nullable({
        type: 'object',
        properties: {
          channel: { enum: [...channels, null], description: 'Whose words they are.' },
          scenario: nullable({ type: 'string', maxLength: 200, description: 'The scenario that was declared.' }),
          contexts: nullable({ type: 'array', items: words, description: 'The turn before each input.' }),
        },
      }),
    },
  },
  OpenAiModeration: {
    type: 'object',
    required: ['id', 'model', 'results'],
    properties: {
      id: text(),
      model: text(),
      results: { type: 'array', items: ref('OpenAiModerationResult') },
    },
  },
  OpenAiModerationResult: {
    type: 'object',
    required: ['flagged', 'categories', 'category_scores', 'sluice'],
    properties: {
      flagged: { type: 'boolean' },
      categories: { type: 'object', additionalProperties: { type: 'boolean' } },
      category_scores: { type: 'object', additionalProperties: { type: 'number', minimum: 0, maximum: 1 } },
      category_applied_input_types: { type: 'object', additionalProperties: { type: 'array', items: text() } },
      sluice: {
        type: 'object',
        properties: { gates: { type: 'object', additionalProperties: ref('SafetyGateResult') } },
      },
    },
  },
  SafetyGateResult: {
    type: 'object',
    required: ['flagged', 'score', 'severity', 'category', 'subject', 'tense', 'rules', 'spans'],
    properties: {
      flagged: { type: 'boolean' },
      score: { type: 'number', minimum: 0, maximum: 1 },
      severity: {
        type: 'integer',
        minimum: 0,
        maximum: 6,
        description: 'For crisis the levels of the C-SSRS screener.',
      },
      category: nullable({ type: 'string' }),
      subject: { enum: ['self', 'other', 'quoted', 'simulated'] },
      tense: { enum: ['present', 'past', 'future', 'hypothetical'] },
      rules: { type: 'array', items: text() },
      spans: {
        type: 'array',
        items: {
          type: 'object',
          required: ['type', 'start', 'end'],
          properties: {
            type: text(),
            start: { type: 'integer', description: 'UTF-16 offset of the input.' },
            end: { type: 'integer', description: 'Behind the last unit.' },
          },
        },
      },
      degraded: { const: true, description: 'A learned part did not answer.' },
    },
  },
};
const usage = {
  type: 'object',
  properties: {
    prompt_tokens: { type: 'integer' },
    completion_tokens: { type: 'integer' },
    total_tokens: { type: 'integer' },
  },
};

export const openAiSchemas: Record<string, object> = {
  ...moderationSchemas,
  OpenAiError: {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['message', 'type', 'param', 'code'],
        properties: { message: text('One sentence.'), type: text(), param: words, code: words },
      },
    },
  },
  OpenAiModel: {
    type: 'object',
    required: ['id', 'object', 'created', 'owned_by'],
    properties: { id: text(), object: { const: 'model' }, created: { type: 'integer' }, owned_by: text() },
  },
  OpenAiModelList: {
    type: 'object',
    required: ['object', 'data'],
    properties: { object: { const: 'list' }, data: { type: 'array', items: ref('OpenAiModel') } },
  },
  OpenAiChatRequest: request(['messages'], {
    ...generation,
    messages: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['role'],
        properties: {
          role: { enum: ['developer', 'system', 'user', 'assistant', 'tool', 'function'] },
          content: { anyOf: [text(), { type: 'array', items: anyObject, minItems: 1 }, { type: 'null' }] },
          tool_calls: nullable({ type: 'array', items: anyObject }),
          tool_call_id: words,
        },
      },
    },
    logprobs: flag,
    max_completion_tokens: integer(1),
    metadata: nullable({ type: 'object', additionalProperties: text(), maxProperties: 16 }),
    parallel_tool_calls: flag,
    response_format: nullable({ type: 'object', description: 'text, json_object, or json_schema with a schema.' }),
    tool_choice: { anyOf: [{ enum: ['none', 'auto', 'required'] }, anyObject, { type: 'null' }] },
    tools: nullable({ type: 'array', items: anyObject, minItems: 1, maxItems: 128 }),
    top_logprobs: integer(0, 20),
  }),
  OpenAiCompletionRequest: request(['prompt'], {
    ...generation,
    prompt: texts,
    best_of: integer(1, 20),
    echo: flag,
    logprobs: integer(0, 5),
    suffix: words,
  }),
  OpenAiEmbeddingRequest: request(['input'], {
    model,
    input: texts,
    dimensions: integer(1),
    encoding_format: { enum: ['float', 'base64', null] },
    user: words,
  }),
  OpenAiResponseRequest: request(['input'], {
    model,
    input: { anyOf: [text(), { type: 'array', items: anyObject, minItems: 1 }] },
    instructions: words,
    max_output_tokens: integer(1),
    metadata: nullable({ type: 'object', additionalProperties: text(), maxProperties: 16 }),
    reasoning: nullable({ type: 'object' }),
    store: { enum: [false, null], description: 'Nothing is kept here.' },
    stream: flag,
    temperature: number(0, 2),
    text: nullable({ type: 'object' }),
    tool_choice: { anyOf: [{ enum: ['none', 'auto', 'required'] }, anyObject, { type: 'null' }] },
    tools: nullable({ type: 'array', items: anyObject, minItems: 1, maxItems: 128 }),
    top_p: number(0, 1),
  }),
  OpenAiCompletion: {
    type: 'object',
    properties: {
      id: text(),
      object: text(),
      created: { type: 'integer' },
      model: text('The endpoint.'),
      choices: { type: 'array', items: anyObject },
      usage,
    },
  },
  OpenAiEmbeddings: {
    type: 'object',
    properties: { object: text(), model: text('The endpoint.'), data: { type: 'array', items: anyObject }, usage },
  },
  OpenAiResponse: {
    type: 'object',
    properties: {
      id: text(),
      object: { const: 'response' },
      status: { enum: ['completed', 'incomplete'] },
      model: text('The endpoint.'),
      output: { type: 'array', items: anyObject },
      usage: nullable({ type: 'object' }),
    },
  },
};
