import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { isSluiceError } from '#libs/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  entriesOf,
  sampleArtifact,
  sha256,
  tarGz,
  writeFiles,
  type SampleFiles,
} from '../../../test/support/artifact-sample.js';
import { smallOnnx } from '../../../test/support/onnx-bytes.js';
import { OnnxModel } from '../adapters/onnx/index.js';
import type { LayoutWish } from './artifact-layout-files.js';
import { ArtifactStore } from './artifact-store.js';

const models = fileURLToPath(new URL('../../../test/models/', import.meta.url));
const wish: LayoutWish = { name: 'tone', version: '7' };
let folder: string;
let store: ArtifactStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-layout-'));
  store = new ArtifactStore({ folder: join(folder, 'store'), folderAccess: { kind: 'any' } });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = (): string => join(folder, 'made');

/** @returns what the folder became, placed as it would be served. */
async function registered(from: LayoutWish = wish, path = place()) {
  await using staged = await store.stageFolder(path, from);
  const placed = await staged.place();
  return { layout: staged.layout, warnings: staged.warnings, manifest: staged.manifest, placed };
}

async function refusal(from: LayoutWish = wish): Promise<string> {
  try {
    await registered(from);
  } catch (failure) {
    expect(await readdir(join(folder, 'store/.staging'))).toEqual([]);
    return isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`;
  }
  return 'accepted';
}

const copied = async (name: string, files: SampleFiles = {}): Promise<void> => {
  await cp(join(models, 'layouts', name), place(), { recursive: true });
  await writeFiles(place(), files);
};
const dense = (): Promise<Buffer> => readFile(join(models, 'dense/model.onnx'));
const onnx = smallOnnx();
const ports = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
};

describe('an MLflow model folder', () => {
  it('with tens of thousands of keys is read in one pass', async () => {
    const keys = Array.from({ length: 24_000 }, (_value, at) => `k${at}:`).join('\n');
    await copied('mlflow-onnx', { 'model.onnx': await dense() });
    const model = await readFile(join(place(), 'MLmodel'), 'utf8');
    await writeFiles(place(), { MLmodel: `${model}\n${keys}\n` });
    expect((await registered()).layout).toBe('mlflow');
  });

  it('becomes an ONNX model with the tensors of its signature and every file hashed', async () => {
    await copied('mlflow-onnx', { 'model.onnx': await dense() });
    const { layout, manifest, placed } = await registered();
    expect(layout).toBe('mlflow');
    expect(manifest).toMatchObject({
      name: 'tone',
      version: '7',
      format: 'onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 16] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
      onnx: { executionProviders: ['cuda', 'cpu'] },
    });
    for (const { path, sha256: stated, bytes } of manifest.files) {
      const content = await readFile(join(placed, path));
      expect([sha256(content), content.length]).toEqual([stated, bytes]);
    }
    expect(JSON.parse(await readFile(join(placed, 'sluice.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(manifest)),
    );
  });

  it('becomes the same content each time, so that registering it again is no conflict', async () => {
    await copied('mlflow-onnx', { 'model.onnx': await dense() });
    await using first = await store.stageFolder(place(), wish);
    await using second = await store.stageFolder(place(), wish);
    expect(second.contentDigest).toBe(first.contentDigest);
  });

  it('without a signature takes the tensors of the graph, and with columns as well', async () => {
    for (const signature of ['', `signature:\n  inputs: '[{"type": "double", "name": "a"}]'\n  outputs: null\n`]) {
      await writeFiles(place(), {
        MLmodel: `flavors:\n  onnx:\n    data: model.onnx\n${signature}`,
        'model.onnx': onnx,
      });
      expect((await registered()).manifest).toMatchObject(ports);
    }
  });

  it('is refused when its signature names what the graph does not have', async () => {
    await copied('mlflow-onnx', { 'model.onnx': onnx.toString('latin1').replaceAll('x', 'z') });
    expect(await refusal()).toMatch(/MLmodel: signature\.inputs: x is no name of the graph: z/);
  });

  it('with TorchScript becomes a torchscript model, and its file gets the ending that this format has', async () => {
    await copied('mlflow-torchscript');
    const { manifest, warnings } = await registered();
    expect(manifest).toMatchObject({ format: 'torchscript', ...ports });
    expect(manifest.files.map(({ path }) => path)).toContain('data/model.pt');
    expect(warnings).toEqual([]);
  });

  it('with a pickle is refused with what to do', async () => {
    await copied('mlflow-pickle');
    expect(await refusal()).toMatch(/SLU_ARTIFACT_REFUSED: .*data\/model\.pth is a pickle.*pt2/);
  });

  it.each([
    ['saved_model.pb', 'tensorflow-savedmodel'],
    ['model.keras', 'keras'],
  ])('with TensorFlow is known by %s', async (file, format) => {
    const tensor = (name: string): string =>
      `'[{"name": "${name}", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'`;
    const model = `flavors:\n  tensorflow:\n    data: data\n    model_type: keras\nsignature:\n  inputs: ${tensor('x')}\n  outputs: ${tensor('y')}\n`;
    await writeFiles(place(), {
      MLmodel: model,
      [`data/${file}`]: 'weights',
      'data/global_custom_objects.cloudpickle': 'x',
    });
    const { manifest, warnings } = await registered();
    expect(manifest.format).toBe(format);
    expect(warnings).toEqual([expect.stringContaining('pickles') as string]);
    expect(manifest.files.map(({ path }) => path)).toEqual(['MLmodel', `data/${file}`]);
  });

  it.each<[string, string, string]>([
    [
      'of a flavor that would run its code',
      'flavors:\n  sklearn: {}\n  python_function: {}\n',
      'flavors: sklearn, python_function',
    ],
    ['that is no YAML', 'flavors: [', 'not YAML'],
    ['that is no mapping', 'hello', 'document: '],
    ['that is empty', '', 'document: '],
    ['whose aliases would grow without end', `a: &a [1]\nb: &b [*a, *a]\nflavors: {onnx: {x: [*b, *b]}}\n`, 'not YAML'],
    ['with a key twice', 'flavors: {}\nflavors: {}\n', 'not YAML'],
    ['of nothing but brackets', '['.repeat(200_000), 'not YAML'],
    [
      'of nothing but indents',
      Array.from({ length: 600 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
      'SLU_ARTIFACT_REFUSED',
    ],
    ['that is too large', `#${'x'.repeat(300_000)}`, 'SLU_ARTIFACT_TOO_LARGE'],
    ['that leads out', 'flavors: {onnx: {data: ../../etc/passwd}}\n', 'is missing'],
    ['whose data is no text', 'flavors: {onnx: {data: [1]}}\n', 'a path must be text'],
    [
      'whose signature is no JSON',
      `flavors: {onnx: {data: model.onnx}}\nsignature: {inputs: '[', outputs: '[]'}\n`,
      'signature.inputs: is not valid JSON',
    ],
    [
      'with complex numbers',
      `flavors: {onnx: {data: model.onnx}}\nsignature: {inputs: '[{"name":"x","type":"tensor","tensor-spec":{"dtype":"complex64","shape":[-1]}}]'}\n`,
      'complex64',
    ],
  ])('%s is refused', async (_what, model, problem) => {
    await writeFiles(place(), { MLmodel: model, 'model.onnx': onnx });
    expect(await refusal()).toContain(problem);
  });
});

describe('a model of a Triton repository', () => {
  const config = `name: "tone" platform: "onnxruntime_onnx" max_batch_size: 8
    input [{ name: "x" data_type: TYPE_FP32 dims: [4] }]
    output [{ name: "y" data_type: TYPE_FP32 dims: [2] label_filename: "labels.txt" }]
    dynamic_batching {
      preferred_batch_size: [4, 8] max_queue_delay_microseconds: 500
      priority_levels: 3 default_priority_level: 2 preserve_ordering: true
      default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 1500 max_queue_size: 64 allow_timeout_override: true }
    }
    instance_group [{ count: 2 kind: KIND_CPU }, { count: 1 kind: KIND_GPU }]
    response_cache { enable: true }
    version_policy: { latest { num_versions: 1 } }
    optimization { graph { level: 1 } }`;
  const files = { 'config.pbtxt': config, 'labels.txt': 'good\nbad\n', '3/model.onnx': onnx };

  it('brings its name, version, tensors, labels, batching, queue, instances and cache along', async () => {
    await writeFiles(place(), files);
    const { layout, manifest, warnings } = await registered({});
    expect(layout).toBe('triton');
    expect(manifest).toMatchObject({
      name: 'tone',
      version: '3',
      format: 'onnx',
      inputs: ports.inputs,
      outputs: [{ ...ports.outputs[0], labels: ['good', 'bad'] }],
      batching: { maxBatchRows: 8, preferredRows: [4, 8], maxDelayMs: 0.5 },
      queue: { maxRequests: 64, priorityLevels: 3, defaultPriority: 2, defaultTimeoutMs: 2 },
      instances: { count: 3 },
      onnx: { executionProviders: ['cuda', 'cpu'] },
      responseCache: {},
    });
    expect(warnings).toEqual([
      expect.stringContaining('preserve_ordering') as string,
      expect.stringContaining('optimization') as string,
    ]);
  });

  it('of several versions is one of them, and the others are left out aloud', async () => {
    await writeFiles(place(), { ...files, '4/model.onnx': onnx });
    expect(await refusal({})).toContain('version folders 3, 4; name one of them');
    const { manifest, warnings } = await registered({ version: '4' });
    expect(manifest.files.map(({ path }) => path)).toEqual(['4/model.onnx', 'config.pbtxt', 'labels.txt']);
    expect(warnings[0] ?? '').toContain('3/model.onnx');
  });

  it('without a configuration takes the tensors of its graph', async () => {
    await writeFiles(place(), { '1/model.onnx': onnx });
    expect((await registered({ name: 'tone' })).manifest).toMatchObject({ version: '1', ...ports });
  });

  it('by its backend and with its own file names is found as well', async () => {
    await writeFiles(place(), {
      'config.pbtxt':
        'backend: "pytorch" default_model_filename: "net.pt" input [{name: "INPUT__0" data_type: TYPE_INT64 dims: [-1]}] output [{name: "OUTPUT__0" data_type: TYPE_FP64 dims: [1]}]',
      '1/net.pt': await readFile(join(models, 'layouts/mlflow-torchscript/data/model.pth')),
    });
    expect((await registered()).manifest).toMatchObject({
      format: 'torchscript',
      version: '7',
      inputs: [{ name: 'INPUT__0', datatype: 'INT64', shape: [-1] }],
      outputs: [{ name: 'OUTPUT__0', datatype: 'FP64', shape: [1] }],
      batching: { maxBatchRows: 1 },
    });
  });

  it.each<[string, string]>([
    ['platform: "ensemble"', 'platform: ensemble is not served'],
    ['backend: "python"', 'backend: python is not served'],
    ['platform: "tensorrt_plan"', 'is not served'],
    ['ensemble_scheduling { }', 'ensemble_scheduling: is not served'],
    ['sequence_batching { }', 'sequence_batching: is not served'],
    ['model_transaction_policy { decoupled: true }', 'one request has one answer'],
    ['input [{name: "x" data_type: TYPE_FP32 dims: [4] reshape {shape: [2,2]}}]', 'input[0].reshape: is not served'],
    ['input [{name: "x" data_type: TYPE_QUATERNION dims: [4]}]', 'input[0].data_type'],
    ['input [{data_type: TYPE_FP32 dims: [4]}]', 'input[0].name: is missing'],
    ['input [{name: "x" data_type: TYPE_FP32}]', 'input[0].dims: is missing'],
    ['max_batch_size: "8"', 'max_batch_size: must be a whole number'],
    ['max_batch_size: 8 max_batch_size: 9', 'stands there more than once'],
    ['max_batch_size: 99999999999999999999', 'must be a whole number'],
    ['max_batch_size: -1', 'must not be negative'],
    ['max_batch_size: 9000', 'batching.maxBatchRows'],
    ['response_cache { enable: maybe }', 'must be true or false'],
    ['default_model_filename: "../../x"', 'is missing'],
    ['output [{name: "y" data_type: TYPE_FP32 dims: [2] label_filename: "/etc/passwd"}]', 'is missing'],
    ['max_batch_size', 'config.pbtxt'],
  ])('that says %s is refused by its field', async (source, problem) => {
    await writeFiles(place(), { 'config.pbtxt': source, '1/model.onnx': onnx });
    expect(await refusal()).toContain(problem);
  });
});

describe('a Hugging Face export', () => {
  it('keeps its tokenizer, leaves other weights out, and reads its tensors from the graph', async () => {
    await writeFiles(place(), {
      'config.json': '{"architectures": ["BertModel"], "model_type": "bert"}',
      'onnx/model.onnx': onnx,
      'onnx/model_quantized.onnx': onnx,
      'tokenizer.json': '{}',
      'model.safetensors': 'weights',
      'pytorch_model.bin': 'pickle',
      '.gitattributes': 'x',
      '.git/objects/1': 'x',
    });
    const { layout, manifest, warnings } = await registered();
    expect(layout).toBe('huggingface');
    expect(manifest).toMatchObject({ format: 'onnx', description: 'Hugging Face export of BertModel', ...ports });
    expect(manifest.files.map(({ path }) => path)).toEqual(['config.json', 'onnx/model.onnx', 'tokenizer.json']);
    expect(warnings).toEqual([
      expect.stringContaining('model.safetensors, pytorch_model.bin') as string,
      expect.stringContaining('onnx/model_quantized.onnx') as string,
    ]);
  });

  it('with a GGUF file is a language model', async () => {
    await writeFiles(place(), { 'config.json': '{"model_type": "llama"}', 'model-q8.gguf': 'GGUF and more' });
    expect((await registered()).manifest).toMatchObject({ format: 'gguf', outputs: [{ name: 'text_output' }] });
  });

  it.each<[string, SampleFiles, string]>([
    ['of several graphs', { 'encoder_model.onnx': onnx, 'decoder_model.onnx': onnx }, 'several graphs'],
    ['of no model', { 'tokenizer.json': '{}' }, 'no .onnx and no .gguf'],
    ['of both kinds', { 'model.onnx': onnx, 'model.gguf': 'GGUF' }, 'send one of them'],
    ['of a split GGUF', { 'm-00001-of-00002.gguf': 'GGUF', 'm-00002-of-00002.gguf': 'GGUF' }, '2 .gguf files'],
    ['of something called GGUF', { 'model.gguf': 'PK' }, 'is no GGUF file'],
    ['of something called ONNX', { 'model.onnx': 'PK' }, 'model.onnx'],
    ['with a broken config.json', { 'config.json': '{', 'model.onnx': onnx }, 'config.json is not valid JSON'],
    ['with a config.json of another kind', { 'config.json': '[]', 'model.onnx': onnx }, 'config.json: '],
  ])('%s is refused', async (_what, files, problem) => {
    await writeFiles(place(), { 'config.json': '{}', ...files });
    expect(await refusal()).toContain(problem);
  });
});

describe('what a layout became', () => {
  it.each<[string, () => Promise<void>]>([
    ['an MLflow folder', async () => copied('mlflow-onnx', { 'model.onnx': await dense() })],
    [
      'a Triton entry',
      async () => writeFiles(place(), { 'config.pbtxt': 'max_batch_size: 8', '1/model.onnx': await dense() }),
    ],
    [
      'a Hugging Face export',
      async () => writeFiles(place(), { 'config.json': '{}', 'onnx/model.onnx': await dense() }),
    ],
    ['a file', async () => writeFiles(place(), { 'dense.onnx': await dense() })],
  ])('is loaded, warmed and run by ONNX Runtime (%s)', async (_what, make) => {
    await make();
    const model = await OnnxModel.load({ folder: (await registered()).placed, threads: 1 });
    const x = { name: 'x', datatype: 'FP32', shape: [2, 16], data: new Float32Array(32) } as const;
    expect(await model.run([x])).toMatchObject([{ name: 'y', datatype: 'FP32', shape: [2, 3] }]);
  });
});

describe('what the request says', () => {
  it('stands above what a layout says, and fills in what none can say', async () => {
    await writeFiles(place(), { 'model.onnx': onnx });
    const manifest = {
      trainedOn: { dataset: 'd', version: '1' },
      evaluation: { dataset: 'e', metrics: { f1: 0.8 } },
      batching: { maxBatchRows: 4 },
    };
    const { layout, ...made } = await registered({ ...wish, manifest });
    expect([layout, made.manifest]).toEqual(['file', expect.objectContaining({ ...manifest, ...ports })]);
  });

  it('must give the name and the version where the layout has none', async () => {
    await writeFiles(place(), { 'model.onnx': onnx });
    expect(await refusal({})).toContain('send name and version with the request');
    expect(await refusal({ name: 'tone' })).toContain('send version with the request');
    expect(await refusal({ name: 'Tone/../x', version: '1' })).toContain('sluice.json: name');
  });

  it('may not differ from a sluice.json', async () => {
    await writeFiles(place(), sampleArtifact());
    expect(await refusal({ version: '2' })).toContain('version: sluice.json says 1, the request says 2');
    expect(await refusal({ manifest: { description: 'x' } })).toContain('only that counts');
    expect(await refusal({ name: 'sample', version: '1' })).toBe('accepted');
  });

  it('goes with an archive as well, with one top folder or none', async () => {
    for (const prefix of ['', 'top/']) {
      const archive = Readable.from([tarGz(entriesOf({ 'model.onnx': onnx }, prefix))]);
      await using staged = await store.stageArchive(archive, wish);
      expect([staged.layout, staged.manifest.files]).toEqual([
        'file',
        [{ path: 'model.onnx', sha256: sha256(onnx), bytes: onnx.length }],
      ]);
    }
  });
});
