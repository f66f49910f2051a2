import { datatypeNames } from '#libs/inference';
import { ref, text } from './oip-openapi-parts.js';

const integer = (description?: string): object => ({ type: 'integer', ...(description && { description }) });
const list = (items: object): object => ({ type: 'array', items });
const shape = list({ type: 'integer' });
const datatype = { type: 'string', enum: datatypeNames };
const parameters = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } };
const object = (required: string[], properties: object): object => ({ type: 'object', required, properties });
const tensor = (extra: object, required: string[]): object =>
  object(required, { name: text(), datatype, shape, ...extra });
const data = { type: 'array', items: {}, description: 'Row-major, flat or nested.' };
const specs = list(tensor({}, ['name', 'datatype', 'shape']));
const flag = (name: string): object => object([name], { [name]: { type: 'boolean' } });

const requestParameters = {
  ...parameters,
  description:
    '`priority` (1 is the most urgent), `timeout` (microseconds), `binary_data_output`, `sticky_key`; others are passed over.',
};

const duration = ref('OipDuration');
const computing = { compute_input: duration, compute_infer: duration, compute_output: duration };

const statistics = {
  OipDuration: object(['count', 'ns'], { count: integer(), ns: integer('Nanoseconds in sum.') }),
  OipStatistics: object(['model_stats'], {
    model_stats: list(
      object(['name', 'version', 'last_inference', 'inference_count', 'execution_count', 'inference_stats'], {
        name: text('The endpoint.'),
        version: text(),
        last_inference: integer('Milliseconds since the epoch.'),
        inference_count: integer('Rows.'),
        execution_count: integer('Runs of the model.'),
        inference_stats: {
          type: 'object',
          properties: {
            success: duration,
            fail: duration,
            queue: duration,
            ...computing,
            cache_hit: duration,
            cache_miss: duration,
          },
        },
        batch_stats: list(object(['batch_size'], { batch_size: integer('Rows.'), ...computing })),
      }),
    ),
  }),
};

const configured = list(object(['name', 'data_type', 'dims'], { name: text(), data_type: text(), dims: shape }));

export const oipSchemas: Record<string, object> = {
  OipError: object(['error'], { error: text('One sentence.') }),
  OipServer: object(['name', 'version', 'extensions'], { name: text(), version: text(), extensions: list(text()) }),
  OipLive: flag('live'),
  OipReady: object(['ready'], { ready: { type: 'boolean' }, notices: list(text()) }),
  OipModelReady: object(['name', 'ready'], { name: text(), ready: { type: 'boolean' } }),
  OipModelMetadata: object(['name', 'platform', 'inputs', 'outputs'], {
    name: text(),
    versions: list(text()),
    platform: text(),
    inputs: specs,
    outputs: specs,
  }),
  OipModelConfig: object(['name', 'platform', 'max_batch_size', 'input', 'output'], {
    name: text(),
    platform: text(),
    backend: text(),
    version_policy: { type: 'object' },
    max_batch_size: integer('0 when requests do not share runs.'),
    input: configured,
    output: configured,
    instance_group: list({ type: 'object' }),
    dynamic_batching: { type: 'object' },
    response_cache: flag('enable'),
  }),
  ...statistics,
  OipInferRequest: object(['inputs'], {
    id: text(),
    parameters: requestParameters,
    inputs: list(tensor({ parameters, data }, ['name', 'datatype', 'shape', 'data'])),
    outputs: list(object(['name'], { name: text(), parameters })),
  }),
  OipInferResponse: object(['model_name', 'model_version', 'outputs'], {
    model_name: text('The endpoint.'),
    model_version: text(),
    id: text(),
    parameters,
    outputs: list(tensor({ data }, ['name', 'datatype', 'shape', 'data'])),
  }),
  OipIndexEntry: object(['name', 'version', 'state', 'reason'], {
    name: text(),
    version: text(),
    state: { type: 'string', enum: ['READY', 'UNAVAILABLE'] },
    reason: text(),
  }),
  OipControl: {
    type: 'object',
    properties: {
      parameters: {
        type: 'object',
        properties: { unload_dependents: { type: 'boolean', description: 'Changes nothing: there are none.' } },
        additionalProperties: false,
        description: '`config` and `file:` overrides are refused: a version is what it was registered as.',
      },
    },
  },
  OipSettings: {
    type: 'object',
    additionalProperties: { type: ['string', 'number', 'boolean', 'array'] },
  },
  OipNothing: { type: 'object', additionalProperties: false },
  OipRegions: { type: 'array', maxItems: 0, description: 'There are none.' },
};
