import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tritonclientPython } from '../support/tritonclient.js';
import { servingApi, type ServingApi } from '../support/serving-api.js';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const proto = createRequire(import.meta.url).resolve('#proto/open-inference');

let serving: ServingApi;
let seen: any;

// The client is asked everything in one go: its start is what costs.
beforeAll(async () => {
  const python = await tritonclientPython();
  serving = await servingApi(['deploy/models/tone/1', 'test/models/dense', 'test/models/datatypes']);
  const folder = await mkdtemp(join(tmpdir(), 'grpc-'));
  const fieldsFile = join(folder, 'fields.json');
  await writeFile(fieldsFile, JSON.stringify(fieldNumbers()));
  const { stdout } = await run(
    python,
    [
      here('./grpc_client_check.py'),
      `127.0.0.1:${serving.grpcPort}`,
      here('../../deploy/models/tone/1/model.onnx'),
      fieldsFile,
    ],
    { env: { ...process.env, SLUICE_KEY: serving.api.as.admin.authorization.slice('Bearer '.length) } },
  );
  await rm(folder, { recursive: true });
  seen = JSON.parse(stdout);
});
afterAll(async () => serving?.[Symbol.asyncDispose]());

it('answers the real tritonclient over gRPC as onnxruntime answers on the same file', () => {
  expect(seen).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    version_ready: true,
    server: { name: 'sluice', extensions: expect.arrayContaining(['classification', 'statistics']) },
    metadata: {
      name: 'tone',
      inputs: [{ name: 'text', datatype: 'BYTES', shape: ['-1'] }],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: ['-1'] },
        { name: 'probabilities', datatype: 'FP32', shape: ['-1', '3'] },
      ],
    },
    id: 'from-grpc',
    only_output: ['probabilities'],
    labels_equal: true,
    typed: { labels: seen.expected_labels, raw: 0 },
    aio: seen.expected_labels,
    async: seen.expected_labels,
    deflated: seen.expected_labels,
    no_key: ['StatusCode.UNAUTHENTICATED', expect.stringContaining('API key')],
    unknown: ['StatusCode.NOT_FOUND', expect.stringContaining('nobody')],
    wrong_fields: [],
  });
  expect(seen.late[0]).toBe('StatusCode.DEADLINE_EXCEEDED');
  expect(seen.difference).toBeLessThan(1e-6);
  expect(seen.typed.difference).toBeLessThan(1e-6);
  expect(seen.index.models.find((model: { version: string }) => model.version === '1')).toMatchObject({
    name: 'tone',
    state: 'READY',
  });
  const streamed = Array.from({ length: 20 }, (_value, index) => [String(index), seen.expected_labels[index % 4]]);
  expect(seen.stream.slice(0, 20)).toEqual(streamed);
  expect(seen.stream[20]).toContain('nobody');
  expect(seen.aio_stream).toEqual(seen.expected_labels);
  expect(seen.every_number).toHaveLength(13);
  for (const [name, values] of seen.every_number) expect(values, name).toEqual([[1, 0]]);
  // One answer is the last one as well; it is marked where the client asked, and nothing comes behind it.
  expect(seen.final_responses).toEqual([true, false, 0]);
});

it('tells it how a model is configured and what it was asked', () => {
  expect(seen.config.config).toMatchObject({
    name: 'tone',
    platform: 'onnx_onnxv1',
    version_policy: { specific: { versions: ['1'] } },
    max_batch_size: 64,
    output: [
      { name: 'label', data_type: 'TYPE_STRING' },
      { name: 'probabilities', data_type: 'TYPE_FP32', dims: ['3'] },
    ],
    instance_group: [{ name: 'tone', count: 1 }],
    dynamic_batching: { default_queue_policy: { allow_timeout_override: true } },
  });
  const { infer_ns: inferNs, ...counted } = seen.statistics;
  const of_all = ['datatypes', 'dense', 'tone'];
  expect(counted).toEqual({ rows: 15, runs: 3, success: 3, fives: [3], is_later: true, of_all });
  expect(inferNs).toBeGreaterThan(0);
  expect(seen.classified).toMatchObject({ shape: [2, 2], classes: seen.classified.expected });
});

it('loads and unloads for it, and is honest about what it does not do', () => {
  const refused = (status: string, text: string) => [`StatusCode.${status}`, expect.stringContaining(text)];
  expect(seen.control).toEqual({
    before: true,
    unloaded: [false, refused('UNAVAILABLE', 'no ready replica')],
    loaded: [true, [1, 3]],
    config: refused('INVALID_ARGUMENT', 'parameters.config: is not supported'),
    unknown: refused('NOT_FOUND', 'nobody'),
  });
  expect(seen.settings).toMatchObject({
    trace: { settings: { trace_level: { value: ['OFF'] } } },
    log: { settings: { log_info: { bool_param: false } } },
    trace_update: refused('UNIMPLEMENTED', 'SLUICE_TRACE_SAMPLING'),
    log_update: refused('UNIMPLEMENTED', 'SLUICE_LOG_LEVEL'),
    regions: {},
    register: refused('UNIMPLEMENTED', 'shared memory is not supported'),
  });
  expect(seen.scheduled).toEqual({
    label: seen.expected_labels[0],
    sequence: refused('INVALID_ARGUMENT', 'every request stands alone'),
  });
});

/** Field names and numbers of our own messages, by the path of the message below the package. */
function fieldNumbers(): Record<string, Record<string, number>> {
  const found: Record<string, Record<string, number>> = {};
  const read = (path: string, { field, nestedType }: DescriptorOfMessage): void => {
    found[path] = Object.fromEntries(field.map(({ name, number }) => [name, number]));
    for (const nested of nestedType) if (nested.options?.mapEntry !== true) read(`${path}.${nested.name}`, nested);
  };
  for (const [name, definition] of Object.entries(loadSync(proto, { keepCase: true }))) {
    const { format, type } = definition as MessageTypeDefinition<object, object>;
    const isTopLevel = name.split('.').length === 2;
    if (isTopLevel && format === 'Protocol Buffer 3 DescriptorProto')
      read(name.slice('inference.'.length), type as DescriptorOfMessage);
  }
  return found;
}

interface DescriptorOfMessage {
  name: string;
  field: { name: string; number: number }[];
  nestedType: DescriptorOfMessage[];
  options?: { mapEntry?: boolean } | null;
}
