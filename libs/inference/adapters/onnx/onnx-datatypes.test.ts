import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DatatypeName } from '../../tensors/datatype.js';
import type { Manifest } from '../../models/manifest.js';
import type { Tensor, TensorData } from '../../tensors/tensor.js';
import { readGraphPorts } from './graph-ports.js';
import { ModelLoadFailure } from './model-folder.js';
import { OnnxModel } from './onnx-model.js';

const models = fileURLToPath(new URL('../../../../test/models', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'onnx-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const load = (name: string): Promise<OnnxModel> => OnnxModel.load({ folder: path.join(models, name), threads: 1 });
const halves = Uint16Array.from({ length: 65_536 }, (_value, index) => index);
const isNanOfBfloat = (bits: number): boolean => (bits & 0x7fff) > 0x7f80;

/** One row of each datatype, with the values at its edges. */
const rows: Record<DatatypeName, TensorData> = {
  BOOL: Uint8Array.of(0, 1, 1),
  UINT8: Uint8Array.of(0, 255),
  UINT16: Uint16Array.of(0, 65_535),
  UINT32: Uint32Array.of(0, 2 ** 32 - 1),
  UINT64: BigUint64Array.of(0n, 2n ** 64n - 1n, 2n ** 53n + 1n),
  INT8: Int8Array.of(-128, 127),
  INT16: Int16Array.of(-32_768, 32_767),
  INT32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  INT64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n),
  FP16: halves,
  BF16: halves.filter((bits) => !isNanOfBfloat(bits)),
  FP32: Float32Array.of(0.1, -0, Infinity, -Infinity, NaN, 1e-45, 3.4028234e38),
  FP64: Float64Array.of(0.1, -0, Number.MIN_VALUE, Number.MAX_VALUE, NaN),
  BYTES: ['', 'naïve', '語', '👋🏽', 'two\nlines'],
};

describe('every datatype', () => {
  it('passes through the runtime with the bits that it had', async () => {
    const model = await load('datatypes');
    const inputs = model.manifest.inputs.map(({ name, datatype }): Tensor => {
      const data = rows[datatype];
      return { name, datatype, shape: [1, data.length], data };
    });
    expect(new Set(inputs.map(({ datatype }) => datatype))).toEqual(new Set(Object.keys(rows)));
    const outputs = await model.run(inputs);
    expect(outputs).toEqual(inputs.map((input) => ({ ...input, name: `${input.name}_out` })));
  });

  it('may be empty, and may have another shape in each run', async () => {
    const model = await load('datatypes');
    for (const shape of [
      [0, 1],
      [3, 0],
      [2, 3],
    ]) {
      const count = shape[0]! * shape[1]!;
      const inputs = model.manifest.inputs.map(({ name, datatype }): Tensor => {
        const [value] = rows[datatype];
        const data = datatype === 'BYTES' ? Array.from({ length: count }, () => 'a') : rows[datatype].slice(0, 0);
        const filled = datatype === 'BYTES' ? data : new (data.constructor as typeof BigInt64Array)(count);
        if (datatype !== 'BYTES') (filled as BigInt64Array).fill(value as bigint);
        return { name, datatype, shape, data: filled };
      });
      const outputs = await model.run(inputs);
      expect(outputs.map((output) => output.shape)).toEqual(inputs.map(() => shape));
      expect(outputs.map(({ data }) => data)).toEqual(inputs.map(({ data }) => data));
    }
  });

  it('of which only some outputs are asked for answers with those, in the order of the asking', async () => {
    const model = await load('datatypes');
    const inputs = model.manifest.inputs.map(({ name, datatype }): Tensor => {
      const data = rows[datatype].slice(0, 1);
      return { name, datatype, shape: [1, 1], data };
    });
    const outputs = await model.run(inputs, ['bf16_out', 'bool_out']);
    expect(outputs.map(({ name, datatype }) => [name, datatype])).toEqual([
      ['bf16_out', 'BF16'],
      ['bool_out', 'BOOL'],
    ]);
  });

  it('keeps a NaN a NaN in BF16', async () => {
    const model = await load('external');
    const nans = Uint16Array.of(0x7fc0, 0xffc1, 0x7f81, 0xffff);
    const [y] = await model.run([{ name: 'x', datatype: 'BF16', shape: [1, 4], data: nans }]);
    expect([...(y!.data as Uint16Array).subarray(0, 4)].every(isNanOfBfloat)).toBe(true);
  });
});

describe('a BF16 graph with weights in another file', () => {
  it('reads them from where they lie, leaves out an output that nobody could ask for, and leaves no copy behind', async () => {
    vi.stubEnv('TMPDIR', folder);
    const model = await load('external');
    const x = Uint16Array.of(0x7f80, 0x0001, 0x3f81, 0x8000);
    const outputs = await model.run([{ name: 'x', datatype: 'BF16', shape: [1, 4], data: x }]);
    const data = Uint16Array.of(...x, 0x3f80, 0x4000, 0x4040, 0x4080);
    expect(outputs).toEqual([{ name: 'y', datatype: 'BF16', shape: [2, 4], data }]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('is refused, and leaves no copy behind, when the weights are cut off', async () => {
    await cp(path.join(models, 'external'), folder, { recursive: true });
    await replaceFile('weights/table.bin', Buffer.alloc(15));
    const copies = path.join(folder, 'copies');
    await cp(path.join(models, 'external', 'weights'), copies, { recursive: true });
    vi.stubEnv('TMPDIR', copies);
    await expect(OnnxModel.load({ folder, threads: 1 })).rejects.toThrow(ModelLoadFailure);
    expect(await readdir(copies)).toEqual(['table.bin']);
  });
});

describe('a file that is no ONNX graph', () => {
  it('is refused by the runtime, wherever it is cut off', async () => {
    const whole = await readFile(path.join(models, 'external', 'model.onnx'));
    await cp(path.join(models, 'external'), folder, { recursive: true });
    for (const length of [0, 1, 7, 40, 100, whole.length - 30]) {
      await replaceFile('model.onnx', whole.subarray(0, length));
      const failure: unknown = await OnnxModel.load({ folder, threads: 1 }).catch((error: unknown) => error);
      expect(failure, `${length} bytes`).toBeInstanceOf(ModelLoadFailure);
    }
  });

  it('is read without a crash or an endless loop, whatever is in it', async () => {
    const whole = await readFile(path.join(models, 'datatypes', 'model.onnx'));
    const file = path.join(folder, 'any.onnx');
    for (let seed = 0; seed < 300; seed += 1) {
      const bytes = Buffer.from(whole.subarray(0, 1 + ((seed * 7_919) % whole.length)));
      // Multiplicative hashing: the same bytes are changed in each run of this test.
      for (let change = 0; change < 3; change += 1)
        bytes[(seed * 2_654_435_761 * (change + 1)) % bytes.length] = (seed * 97 + change * 31) % 256;
      await writeFile(file, bytes);
      const read = readGraphPorts(file);
      expect(read === undefined || read.ports.length < 100).toBe(true);
    }
  });
});

/** With its hash in the manifest, so that it is the runtime that looks at it. */
async function replaceFile(name: string, content: Buffer): Promise<void> {
  await writeFile(path.join(folder, name), content);
  const file = path.join(folder, 'sluice.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest;
  const sha256 = createHash('sha256').update(content).digest('hex');
  const files = manifest.files.map((entry) => (entry.path === name ? { path: name, sha256 } : entry));
  await writeFile(file, JSON.stringify({ ...manifest, files }));
}
