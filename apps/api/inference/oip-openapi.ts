/** The Open Inference Protocol v2 as it stands here, as OpenAPI 3.1 path objects and schemas for `/openapi.json`. */

const json = (schema: object): object => ({ content: { 'application/json': { schema } } });
const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const text = (description?: string): object => ({ type: 'string', ...(description && { description }) });

const requestId = {
  'sluice-request-id': {
    description: 'UUID of this request; it leads to its record and log lines.',
    schema: { type: 'string', format: 'uuid' },
  },
};
const inferHeaders = {
  ...requestId,
  'sluice-model-version': { description: 'The version that answered.', schema: text() },
  'sluice-arm': {
    description: 'The arm of the route that the request was in; `pinned` when the path names a version.',
    schema: text(),
  },
  'sluice-cache': { description: '`hit` when the answer was stored and no model ran for it.', schema: text() },
  traceparent: { description: 'W3C trace context of this request.', schema: text() },
};

const failures: Record<string, string> = {
  400: 'The request cannot be read, or an input is not what the model declares; the sentence names the field.',
  401: 'No valid API key.',
  403: 'The key may not do this.',
  404: 'No such endpoint or version.',
  408: 'The body did not arrive in time.',
  413: 'The body is larger than the limit.',
  415: 'The content type is not accepted.',
  422: 'This input has killed the model server twice and is refused for a time.',
  429: 'Too many of your own requests are waiting; see Retry-After.',
  500: 'The model failed on this input, or gave an answer that cannot be sent.',
  502: 'Two replicas died while answering.',
  503: 'No ready replica, a full queue, or the server is shutting down; see Retry-After.',
  504: 'The model did not answer in time.',
};

function failing(...statuses: number[]): Record<string, object> {
  return Object.fromEntries(
    statuses.map((status) => {
      const headers =
        status === 503 || status === 429
          ? { ...requestId, 'retry-after': { description: 'Seconds.', schema: { type: 'integer' } } }
          : requestId;
      return [String(status), { description: failures[status], headers, ...json(ref('OipError')) }];
    }),
  );
}

const model = { name: 'model', in: 'path', required: true, description: 'Name of the endpoint.', schema: text() };
const version = { name: 'version', in: 'path', required: true, description: 'Version of the model.', schema: text() };
const stickyKey = {
  name: 'sluice-sticky-key',
  in: 'header',
  required: false,
  schema: text(),
  description: 'Requests with the same key stay in the same arm. `parameters.sticky_key` in the body does the same.',
};

const open = { tags: ['inference'], security: [] };
const closed = { tags: ['inference'], security: [{ apiKey: [] }] };
const ready = (schema: string) => ({
  200: { description: 'Ready.', headers: requestId, ...json(ref(schema)) },
  503: { description: 'Not ready.', headers: requestId, ...json(ref(schema)) },
});

function metadata(id: string, parameters: object[]): object {
  const answers = {
    200: { description: 'Inputs, outputs and versions.', headers: requestId, ...json(ref('OipModelMetadata')) },
  };
  return {
    get: {
      ...closed,
      operationId: id,
      summary: 'Describe a model',
      parameters,
      responses: { ...answers, ...failing(401, 403, 404) },
    },
  };
}

function readiness(id: string, parameters: object[]): object {
  return {
    get: {
      ...closed,
      operationId: id,
      summary: 'Can it answer now?',
      parameters,
      responses: { ...ready('OipModelReady'), ...failing(401, 403, 404) },
    },
  };
}

function infer(id: string, parameters: object[]): object {
  return {
    post: {
      ...closed,
      operationId: id,
      summary: 'Infer',
      parameters: [...parameters, stickyKey],
      requestBody: { required: true, ...json(ref('OipInferRequest')) },
      responses: {
        200: { description: 'The outputs.', headers: inferHeaders, ...json(ref('OipInferResponse')) },
        ...failing(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 502, 503, 504),
      },
    },
  };
}

export const oipPaths: Record<string, object> = {
  '/v2': {
    get: {
      ...closed,
      operationId: 'oipServer',
      summary: 'Describe the server',
      responses: {
        200: { description: 'Name, version, extensions.', headers: requestId, ...json(ref('OipServer')) },
        ...failing(401, 403),
      },
    },
  },
  '/v2/health/live': {
    get: {
      ...open,
      operationId: 'oipLive',
      summary: 'Is the process alive?',
      responses: { 200: { description: 'Alive.', headers: requestId, ...json(ref('OipLive')) } },
    },
  },
  '/v2/health/ready': {
    get: { ...open, operationId: 'oipReady', summary: 'Can requests be answered?', responses: ready('OipReady') },
  },
  '/v2/models/{model}': metadata('oipModel', [model]),
  '/v2/models/{model}/versions/{version}': metadata('oipModelVersion', [model, version]),
  '/v2/models/{model}/ready': readiness('oipModelReady', [model]),
  '/v2/models/{model}/versions/{version}/ready': readiness('oipModelVersionReady', [model, version]),
  '/v2/models/{model}/infer': infer('oipInfer', [model]),
  '/v2/models/{model}/versions/{version}/infer': infer('oipVersionInfer', [model, version]),
  '/v2/repository/index': {
    post: {
      ...closed,
      operationId: 'oipRepositoryIndex',
      summary: 'List endpoints and their versions',
      requestBody: { required: false, ...json({ type: 'object', properties: { ready: { type: 'boolean' } } }) },
      responses: {
        200: {
          description: 'All, or the ready ones.',
          headers: requestId,
          ...json({ type: 'array', items: ref('OipIndexEntry') }),
        },
        ...failing(400, 401, 403, 413, 415),
      },
    },
  },
};

const shape = { type: 'array', items: { type: 'integer' } };
const datatype = {
  type: 'string',
  enum: [
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'BF16',
    'FP32',
    'FP64',
    'BYTES',
  ],
};
const parameters = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } };
const tensor = (extra: object, required: string[]): object => ({
  type: 'object',
  required,
  properties: { name: text(), datatype, shape, ...extra },
});
const data = { type: 'array', items: {}, description: 'Row-major, flat or nested.' };
const specs = { type: 'array', items: tensor({}, ['name', 'datatype', 'shape']) };
const flag = (name: string): object => ({
  type: 'object',
  required: [name],
  properties: { [name]: { type: 'boolean' } },
});

export const oipSchemas: Record<string, object> = {
  OipError: { type: 'object', required: ['error'], properties: { error: text('One sentence.') } },
  OipServer: {
    type: 'object',
    properties: { name: text(), version: text(), extensions: { type: 'array', items: text() } },
  },
  OipLive: flag('live'),
  OipReady: flag('ready'),
  OipModelReady: {
    type: 'object',
    required: ['name', 'ready'],
    properties: { name: text(), ready: { type: 'boolean' } },
  },
  OipModelMetadata: {
    type: 'object',
    required: ['name', 'platform', 'inputs', 'outputs'],
    properties: {
      name: text(),
      versions: { type: 'array', items: text() },
      platform: text(),
      inputs: specs,
      outputs: specs,
    },
  },
  OipInferRequest: {
    type: 'object',
    required: ['inputs'],
    properties: {
      id: text(),
      parameters,
      inputs: { type: 'array', items: tensor({ parameters, data }, ['name', 'datatype', 'shape', 'data']) },
      outputs: {
        type: 'array',
        items: { type: 'object', required: ['name'], properties: { name: text(), parameters } },
      },
    },
  },
  OipInferResponse: {
    type: 'object',
    required: ['model_name', 'model_version', 'outputs'],
    properties: {
      model_name: text('The endpoint.'),
      model_version: text(),
      id: text(),
      parameters,
      outputs: { type: 'array', items: tensor({ data }, ['name', 'datatype', 'shape', 'data']) },
    },
  },
  OipIndexEntry: {
    type: 'object',
    required: ['name', 'version', 'state', 'reason'],
    properties: {
      name: text(),
      version: text(),
      state: { type: 'string', enum: ['READY', 'UNAVAILABLE'] },
      reason: text(),
    },
  },
};
