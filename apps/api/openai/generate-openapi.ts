/** Triton's generate extension as it stands here, as OpenAPI 3.1 path objects and schemas for `/openapi.json`. */

const json = (schema: object): object => ({ content: { 'application/json': { schema } } });
const text = (description?: string): object => ({ type: 'string', ...(description && { description }) });
const headers = { 'sluice-request-id': { schema: { type: 'string', format: 'uuid' } } };

const failures: Record<string, string> = {
  400: 'The request cannot be read, or a parameter is not what it must be; the sentence names the field.',
  401: 'No valid API key.',
  403: 'The key may not do this.',
  404: 'No such endpoint or version, or its model does not generate text.',
  408: 'The body did not arrive in time.',
  413: 'The body is larger than the limit.',
  415: 'The content type is not accepted.',
  429: 'The model servers take no more requests now; see Retry-After.',
  500: 'The model failed on this input.',
  502: 'The model server did not answer as it should.',
  503: 'No ready replica, too many requests, or the server is shutting down; see Retry-After.',
  504: 'The model did not answer in time.',
};
const refusals = Object.fromEntries(
  Object.entries(failures).map(([status, description]) => [
    status,
    { description, headers, ...json({ $ref: '#/components/schemas/GenerateError' }) },
  ]),
);

const pathParameter = (name: string): object => ({ name, in: 'path', required: true, schema: text() });

function generating(operationId: string, names: string[], isStream: boolean): object {
  const answer = isStream
    ? { 'text/event-stream': { schema: text('Events with the members of GenerateAnswer each.') } }
    : { 'application/json': { schema: { $ref: '#/components/schemas/GenerateAnswer' } } };
  return {
    post: {
      tags: ['inference'],
      security: [{ apiKey: [] }],
      operationId,
      summary: isStream ? 'Generate a text, piece by piece' : 'Generate a text',
      parameters: names.map(pathParameter),
      requestBody: { required: true, ...json({ $ref: '#/components/schemas/GenerateRequest' }) },
      responses: { 200: { description: 'The text.', headers, content: answer }, ...refusals },
    },
  };
}

const ofModel = '/v2/models/{model}';
const ofVersion = `${ofModel}/versions/{version}`;

export const generatePaths: Record<string, object> = {
  [`${ofModel}/generate`]: generating('generate', ['model'], false),
  [`${ofModel}/generate_stream`]: generating('generateStream', ['model'], true),
  [`${ofVersion}/generate`]: generating('generateVersion', ['model', 'version'], false),
  [`${ofVersion}/generate_stream`]: generating('generateVersionStream', ['model', 'version'], true),
};

export const generateSchemas: Record<string, object> = {
  GenerateError: { type: 'object', required: ['error'], properties: { error: text('One sentence.') } },
  GenerateRequest: {
    type: 'object',
    required: ['text_input'],
    description: 'Parameters of a completion may stand beside the text as well.',
    properties: { id: text(), text_input: text(), parameters: { type: 'object' } },
  },
  GenerateAnswer: {
    type: 'object',
    required: ['model_name', 'model_version', 'text_output'],
    properties: { id: text(), model_name: text('The endpoint.'), model_version: text(), text_output: text() },
  },
};
