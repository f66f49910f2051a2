import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isSluiceError, mebibytes } from '#libs/kernel';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, number, onnxModel, port, smallOnnx, varint } from '../../../test/support/onnx-bytes.js';
import { readOnnxPorts } from './artifact-onnx-graph.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-onnx-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const models = fileURLToPath(new URL('../../../test/models/', import.meta.url));

async function read(content: Buffer): Promise<unknown> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, content);
  return readOnnxPorts(path, 'model.onnx');
}
const refusal = (content: Buffer): Promise<string> =>
  read(content).then(
    () => 'accepted',
    (failure: unknown) =>
      isSluiceError(failure) ? `${failure.code}: ${failure.message}` : `unexpected: ${String(failure)}`,
  );

describe('the ports of a real graph', () => {
  it.each(['dense', 'identity', 'tone-slow'])('are those that its manifest states (%s)', async (name) => {
    const { inputs, outputs } = JSON.parse(await readFile(join(models, name, 'sluice.json'), 'utf8')) as {
      inputs: object[];
      outputs: object[];
    };
    const plain = (specs: object[]): object[] =>
      specs.map((spec) => JSON.parse(JSON.stringify({ ...spec, labels: undefined })) as object);
    expect(await readOnnxPorts(join(models, name, 'model.onnx'), 'model.onnx')).toEqual({
      inputs: plain(inputs),
      outputs: plain(outputs),
    });
  });
});

describe('a graph made by hand', () => {
  it('gives -1 for open sizes, and leaves out weights that stand among the inputs', async () => {
    const weight = bytes(5, number(2, 1), bytes(8, 'w'), bytes(9, Buffer.alloc(200_000)));
    const graph = onnxModel(
      weight,
      bytes(11, port('x', 1, ['batch', 4])),
      bytes(11, port('w', 1, [4, 2])),
      bytes(12, port('y', 10, ['batch', 2])),
    );
    expect(await read(graph)).toEqual({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'FP16', shape: [-1, 2] }],
    });
  });

  it('steps over gibibytes of weights without reading them', async () => {
    const path = join(folder, 'large.onnx');
    const bodyBytes = mebibytes(1_536);
    const weight = Buffer.concat([varint((9 << 3) | 2), varint(bodyBytes)]);
    const tensor = Buffer.concat([varint((5 << 3) | 2), varint(weight.length + bodyBytes), weight]);
    const ports = Buffer.concat([bytes(11, port('x', 1, ['b', 4])), bytes(12, port('y', 1, ['b', 2]))]);
    const graphBytes = ports.length + tensor.length + bodyBytes;
    const head = Buffer.concat([varint((7 << 3) | 2), varint(graphBytes), ports, tensor]);
    await writeFile(path, head);
    await truncate(path, head.length + bodyBytes);
    expect(await readOnnxPorts(path, 'large.onnx')).toMatchObject({ inputs: [{ name: 'x' }] });
  });
});

describe('a hostile file is refused', () => {
  const x = bytes(11, port('x', 1, ['b']));
  const y = bytes(12, port('y', 1, ['b']));

  it.each<[string, Buffer, string]>([
    ['that is empty', Buffer.alloc(0), 'no ONNX model'],
    ['that is text', Buffer.from('PK\u0003\u0004 or any other text'), 'model.onnx'],
    ['with two graphs', Buffer.concat([onnxModel(x, y), bytes(7, x, y)]), 'or two'],
    ['with a length beyond its end', Buffer.concat([varint(58), varint(2n ** 63n)]), 'beyond its end'],
    ['with a number that never ends', Buffer.concat([varint(8), Buffer.alloc(20, 0xff)]), 'more than 64 bits'],
    ['with a field 0', Buffer.from([0x02, 0x00]), 'without a number'],
    ['with groups', Buffer.from([0x3b, 0x3c]), 'unknown kind'],
    ['without inputs', onnxModel(y), 'has no inputs'],
    ['with an input twice', onnxModel(x, x, y), 'twice'],
    ['with a nameless input', onnxModel(bytes(11, bytes(2)), y), 'without a name'],
    ['with a name that is no UTF-8', onnxModel(bytes(11, bytes(1, Buffer.from([0xff, 0xfe]))), y), 'no UTF-8'],
    [
      'with a name of a megabyte',
      onnxModel(bytes(11, bytes(1, Buffer.alloc(mebibytes(1), 'a'))), y),
      'more than 512 bytes',
    ],
    ['with an input that is a sequence', onnxModel(bytes(11, bytes(1, 'x'), bytes(2, bytes(4))), y), 'no tensor'],
    ['with complex numbers', onnxModel(bytes(11, port('x', 14, ['b'])), y), 'element type 14'],
    ['with a scalar', onnxModel(bytes(11, port('x', 1, [])), y), 'no dimensions'],
    ['with twenty dimensions', onnxModel(bytes(11, port('x', 1, Array<number>(20).fill(1))), y), 'more than 8'],
    [
      'with a thousand inputs',
      onnxModel(...Array.from({ length: 1_000 }, (_, at) => bytes(11, port(`x${at}`, 1, ['b']))), y),
      'more than 256',
    ],
  ])('%s', async (_what, content, problem) => {
    expect(await refusal(content)).toContain(problem);
  });

  it('that is cut off anywhere', async () => {
    const whole = smallOnnx();
    for (let at = 0; at < whole.length; at += 1)
      expect(await refusal(whole.subarray(0, at))).toMatch(/^SLU_ARTIFACT_REFUSED/);
  });

  it('whatever its bytes are, or gives ports, and never fails in any other way', async () => {
    const whole = smallOnnx();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          const broken = Buffer.from(whole);
          for (const [at, byte] of changes) broken[at] = byte;
          expect(await refusal(broken)).toMatch(/^(accepted|SLU_ARTIFACT_REFUSED)/);
        },
      ),
      { numRuns: 300 },
    );
  });
});
