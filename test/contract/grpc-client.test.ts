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
import { SluiceInstance } from '../support/sluice-instance.js';

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const proto = createRequire(import.meta.url).resolve('#proto/open-inference');

let sluice: SluiceInstance;
let python: string;

beforeAll(async () => {
  python = await tritonclientPython();
  sluice = await SluiceInstance.start();
});
afterAll(async () => sluice?.[Symbol.asyncDispose]());

it('answers the real tritonclient over gRPC as onnxruntime answers on the same file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'grpc-'));
  const fieldsFile = join(folder, 'fields.json');
  await writeFile(fieldsFile, JSON.stringify(fieldNumbers()));
  const { stdout } = await run(
    python,
    [
      here('./grpc_client_check.py'),
      `127.0.0.1:${sluice.grpcPort}`,
      here('../../deploy/models/tone/1/model.onnx'),
      fieldsFile,
    ],
    { env: { ...process.env, SLUICE_KEY: await sluice.adminKey() } },
  );
  await rm(folder, { recursive: true });
  const seen = JSON.parse(stdout);
  expect(seen).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    version_ready: true,
    server: { name: 'sluice', extensions: expect.arrayContaining(['model_repository']) },
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
