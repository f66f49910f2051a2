/** What the descriptions of the protocol's routes are put together from. */

export const json = (schema: object): { content: object } => ({ content: { 'application/json': { schema } } });
export const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
export const text = (description?: string): object => ({ type: 'string', ...(description && { description }) });

export const requestId = {
  'sluice-request-id': {
    description: 'UUID of this request; it leads to its record and log lines.',
    schema: { type: 'string', format: 'uuid' },
  },
};

const retryAfter = { 'retry-after': { description: 'Seconds.', schema: { type: 'integer' } } };

const failures: Record<string, string> = {
  400: 'The request cannot be read, or an input is not what the model declares; the sentence names the field.',
  401: 'No valid API key.',
  403: 'The key may not do this.',
  404: 'No such endpoint or version.',
  408: 'The body did not arrive in time.',
  409: 'A rollout holds the endpoint, another one uses the version, or the version is archived.',
  413: 'The body, unpacked, is larger than the limit.',
  415: 'The content type or the content encoding is not accepted.',
  422: 'This input has killed the model server twice and is refused for a time.',
  429: 'Too many of your own requests are waiting; see Retry-After.',
  500: 'The model failed on this input, or gave an answer that cannot be sent.',
  501: 'The protocol knows this, and this server does not do it; the sentence says what to do instead.',
  502: 'Two replicas died while answering.',
  503: 'No ready replica, a full queue, or the server is shutting down; see Retry-After.',
  504: 'The model did not answer in time.',
};

export function failing(...statuses: number[]): Record<string, object> {
  return Object.fromEntries(
    statuses.map((status) => {
      const headers = status === 503 || status === 429 ? { ...requestId, ...retryAfter } : requestId;
      return [String(status), { description: failures[status], headers, ...json(ref('OipError')) }];
    }),
  );
}

export const answering = (description: string, schema: object): Record<string, object> => ({
  200: { description, headers: requestId, ...json(schema) },
});

/** What reading a body may end in. */
export const bodyFailures = [400, 408, 413, 415];

export const modelPart = {
  name: 'model',
  in: 'path',
  required: true,
  description: 'Name of the endpoint.',
  schema: text(),
};
export const versionPart = {
  name: 'version',
  in: 'path',
  required: true,
  description: 'Version of the model.',
  schema: text(),
};

/** The paths of an endpoint and of one version of it, which answer alike. */
export function twice(path: string, id: string, operation: (id: string, parameters: object[]) => object) {
  return {
    [`/v2/models/{model}${path}`]: operation(`oipModel${id}`, [modelPart]),
    [`/v2/models/{model}/versions/{version}${path}`]: operation(`oipModelVersion${id}`, [modelPart, versionPart]),
  };
}

export const open = { tags: ['inference'], security: [] };
export const closed = { tags: ['inference'], security: [{ apiKey: [] }] };
