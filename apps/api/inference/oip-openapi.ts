/** The Open Inference Protocol v2 as it stands here, as OpenAPI 3.1 path objects for `/openapi.json`. */
import {
  answering,
  bodyFailures,
  closed,
  failing,
  json,
  modelPart,
  open,
  ref,
  requestId,
  text,
  twice,
} from './oip-openapi-parts.js';

export { oipSchemas } from './oip-openapi-schemas.js';

const headerLength = {
  description: 'Bytes of the JSON in front of binary tensors; 0 for a body of raw bytes alone.',
  schema: { type: 'integer', minimum: 0 },
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
const inferParameters = [
  {
    name: 'sluice-sticky-key',
    in: 'header',
    required: false,
    schema: text(),
    description: 'Requests with the same key stay in the same arm. `parameters.sticky_key` in the body does the same.',
  },
  { name: 'inference-header-content-length', in: 'header', required: false, ...headerLength },
];

const binary = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };

const reading =
  (summary: string, description: string, schema: object) =>
  (id: string, parameters: object[]): object => ({
    get: {
      ...closed,
      operationId: id,
      summary,
      parameters,
      responses: { ...answering(description, schema), ...failing(401, 403, 404) },
    },
  });

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

const ready = (schema: string): object => ({
  200: { description: 'Ready.', headers: requestId, ...json(ref(schema)) },
  503: { description: 'Not ready.', headers: requestId, ...json(ref(schema)) },
});

function infer(id: string, parameters: object[]): object {
  const { content } = json(ref('OipInferResponse'));
  const headers = { ...inferHeaders, 'inference-header-content-length': headerLength };
  return {
    post: {
      ...closed,
      operationId: id,
      summary: 'Infer',
      description: 'Bodies may be compressed (`Content-Encoding`, `Accept-Encoding`: gzip or deflate).',
      parameters: [...parameters, ...inferParameters],
      requestBody: { required: true, content: { ...json(ref('OipInferRequest')).content, ...binary } },
      responses: {
        200: {
          description: 'The outputs, with binary tensors where asked.',
          headers,
          content: { ...content, ...binary },
        },
        ...failing(...bodyFailures, 401, 403, 404, 422, 429, 500, 502, 503, 504),
      },
    },
  };
}

function control(verb: 'load' | 'unload', summary: string, ...failures: number[]): object {
  return {
    post: {
      ...closed,
      operationId: `oipRepository${verb === 'load' ? 'Load' : 'Unload'}`,
      summary,
      parameters: [modelPart],
      requestBody: { required: false, ...json(ref('OipControl')) },
      responses: { ...answering('Done.', ref('OipNothing')), ...failing(...bodyFailures, 401, 403, 404, ...failures) },
    },
  };
}

function refused(id: string, summary: string, parameters: object[] = []): object {
  return {
    ...closed,
    operationId: id,
    summary,
    parameters,
    responses: failing(...bodyFailures, 401, 403, 501),
  };
}

function settings(path: string, id: string, what: string, parameters: object[] = []): Record<string, object> {
  const { get } = reading(
    `Read the ${what} settings`,
    'As the process was started.',
    ref('OipSettings'),
  )(id, parameters) as { get: object };
  return { [path]: { get, post: refused(`${id}Update`, `Refuses: the ${what} settings are read only`, parameters) } };
}

function sharedMemory(kind: 'System' | 'Cuda'): Record<string, object> {
  const base = `/v2/${kind.toLowerCase()}sharedmemory`;
  const region = { name: 'region', in: 'path', required: true, schema: text() };
  const id = `oip${kind}SharedMemory`;
  const both = (path: string, make: (id: string, parameters: object[]) => object): Record<string, object> => ({
    [`${base}/${path}`]: make(`${id}_${path}`, []),
    [`${base}/region/{region}/${path}`]: make(`${id}Region_${path}`, [region]),
  });
  return {
    ...both('status', reading('List shared memory regions', 'Always none.', ref('OipRegions'))),
    ...both('unregister', (operationId, parameters) => ({
      post: {
        ...closed,
        operationId,
        summary: 'Forget regions: there never are any',
        parameters,
        responses: { ...answering('Nothing is registered.', ref('OipNothing')), ...failing(...bodyFailures, 401, 403) },
      },
    })),
    [`${base}/region/{region}/register`]: {
      post: refused(`${id}Register`, 'Refuses: shared memory is not supported', [region]),
    },
  };
}

export const oipPaths: Record<string, object> = {
  '/v2': {
    get: {
      ...closed,
      operationId: 'oipServer',
      summary: 'Describe the server',
      responses: { ...answering('Name, version, extensions.', ref('OipServer')), ...failing(401, 403) },
    },
  },
  '/v2/health/live': {
    get: {
      ...open,
      operationId: 'oipLive',
      summary: 'Is the process alive?',
      responses: answering('Alive.', ref('OipLive')),
    },
  },
  '/v2/health/ready': {
    get: { ...open, operationId: 'oipReady', summary: 'Can requests be answered?', responses: ready('OipReady') },
  },
  ...twice('', '', reading('Describe a model', 'Inputs, outputs and versions.', ref('OipModelMetadata'))),
  ...twice('/ready', 'Ready', readiness),
  ...twice('/config', 'Config', reading('Show how it is served', "Triton's shape.", ref('OipModelConfig'))),
  ...twice('/stats', 'Stats', reading('Show its statistics', 'Since this process began.', ref('OipStatistics'))),
  '/v2/models/stats': reading(
    'Show the statistics of all',
    'Since this process began.',
    ref('OipStatistics'),
  )('oipStats', []),
  ...twice('/infer', 'Infer', infer),
  '/v2/repository/index': {
    post: {
      ...closed,
      operationId: 'oipRepositoryIndex',
      summary: 'List endpoints and their versions',
      requestBody: { required: false, ...json({ type: 'object', properties: { ready: { type: 'boolean' } } }) },
      responses: {
        ...answering('All, or the ready ones.', { type: 'array', items: ref('OipIndexEntry') }),
        ...failing(...bodyFailures, 401, 403),
      },
    },
  },
  '/v2/repository/models/{model}/load': control('load', 'Ask for its replicas, and wait for them', 409, 503),
  '/v2/repository/models/{model}/unload': control('unload', 'Ask for no replicas any more', 409, 503),
  ...settings('/v2/trace/setting', 'oipTrace', 'trace'),
  ...settings('/v2/models/{model}/trace/setting', 'oipModelTrace', 'trace', [modelPart]),
  ...settings('/v2/logging', 'oipLogging', 'log'),
  ...sharedMemory('System'),
  ...sharedMemory('Cuda'),
};
