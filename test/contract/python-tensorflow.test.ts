import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OipReplica } from '../../libs/inference/adapters/oip/oip-replica.js';
import { type ContractSupport, everything, replicaContract } from '../../libs/inference/ports/replica.contract.js';
import {
  type BuiltModels,
  buildModels,
  frameworkInterpreter,
  loadAll,
  ServerShelf,
  startServer,
} from '../support/python-runtime.js';

const downloadMs = 600_000;
const call = { timeoutMs: 10_000 };

const savedModels: ContractSupport = { ...everything, reads: 'x', runsTone: false };
/** A Keras layer that hands a text on does not exist without code of its own. */
const kerasModels: ContractSupport = { ...savedModels, identity: ['f32', 'i64', 'b'] };

let interpreter: string;
let models: BuiltModels;
beforeAll(async () => {
  interpreter = await frameworkInterpreter('tensorflow');
  models = await buildModels('tensorflow', interpreter);
}, downloadMs);
afterAll(async () => {
  await models[Symbol.asyncDispose]();
});

function shelfOf(format: string): ServerShelf {
  return new ServerShelf(
    'tensorflow',
    () => interpreter,
    (model) => join(models.folder, format, model),
  );
}

describe('tensorflow-savedmodel', () => {
  const shelf = shelfOf('tensorflow-savedmodel');
  afterAll(async () => {
    await shelf[Symbol.asyncDispose]();
  });

  replicaContract('a SavedModel server', (model) => shelf.start(model), savedModels);

  it('reads and answers each numeric datatype as what it is', async () => {
    await using typed = await shelf.start('typed');
    const shape = [1, 2];
    const outputs = await typed.replica.infer(
      [
        { name: 'f16', datatype: 'FP16', shape, data: Uint16Array.of(0x3c00, 0xc000) },
        { name: 'bf16', datatype: 'BF16', shape, data: Uint16Array.of(0x3f80, 0xc000) },
        { name: 'f64', datatype: 'FP64', shape, data: Float64Array.of(0.5, -2) },
        { name: 'u8', datatype: 'UINT8', shape, data: Uint8Array.of(0, 254) },
        { name: 'u16', datatype: 'UINT16', shape, data: Uint16Array.of(0, 65_534) },
        { name: 'u32', datatype: 'UINT32', shape, data: Uint32Array.of(0, 2 ** 32 - 2) },
        { name: 'u64', datatype: 'UINT64', shape, data: BigUint64Array.of(0n, 2n ** 64n - 2n) },
        { name: 'i8', datatype: 'INT8', shape, data: Int8Array.of(0, -128) },
        { name: 'i16', datatype: 'INT16', shape, data: Int16Array.of(0, -32_768) },
        { name: 'i32', datatype: 'INT32', shape, data: Int32Array.of(0, -(2 ** 31)) },
      ],
      call,
    );
    expect(outputs.map(({ datatype, data }) => [datatype, ...data])).toEqual([
      ['FP16', 0x4000, 0xbc00],
      ['BF16', 0x4000, 0xbf80],
      ['FP64', 1.5, -1],
      ['UINT8', 1, 255],
      ['UINT16', 1, 65_535],
      ['UINT32', 1, 2 ** 32 - 1],
      ['UINT64', 1n, 2n ** 64n - 1n],
      ['INT8', 1, -127],
      ['INT16', 1, -32_767],
      ['INT32', 1, -(2 ** 31) + 1],
    ]);
  });
});

describe('keras', () => {
  const shelf = shelfOf('keras');
  afterAll(async () => {
    await shelf[Symbol.asyncDispose]();
  });

  replicaContract('a Keras server', (model) => shelf.start(model), kerasModels);

  it('reads texts where the model begins with a layer for them', async () => {
    await using words = await shelf.start('words');
    const text = { name: 'text', datatype: 'BYTES', shape: [2, 1], data: ['Bad, good; naïve', ''] } as const;
    const [ids] = await words.replica.infer([text], call);
    expect(ids).toEqual({
      name: 'ids',
      datatype: 'INT64',
      shape: [2, 4],
      data: BigInt64Array.of(3n, 2n, 1n, 0n, 0n, 0n, 0n, 0n),
    });
  });

  it("maps inputs and outputs by the model's names, whatever order the manifest has", async () => {
    await using named = await shelf.start('named');
    const [sum, difference] = await named.replica.infer(
      [
        { name: 'right', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) },
        { name: 'left', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(10, 20) },
      ],
      call,
    );
    expect([sum!.name, ...sum!.data]).toEqual(['sum', 11, 22]);
    expect([difference!.name, ...difference!.data]).toEqual(['difference', 9, 18]);
  });
});

it.each(['tensorflow-savedmodel', 'keras'])(
  'says what went wrong in a run of %s, without the trace',
  async (format) => {
    await using server = await startServer('tensorflow', interpreter, join(models.folder, format, 'broken'));
    await using replica = new OipReplica({
      id: 'r',
      address: `unix:${server.socketPath}`,
      model: 'broken',
      version: '1',
    });
    const x = { name: 'x', datatype: 'FP32', shape: [1, 16], data: new Float32Array(16).fill(7) } as const;
    await expect(replica.infer([x], call)).rejects.toThrow(/^indices\[0\] = 7 is not in \[0, 5\)$/);
  },
);

describe('what is not served', () => {
  let reasons: Record<string, string | null>;
  beforeAll(async () => {
    reasons = await loadAll(interpreter, models.folder, ['tensorflow-savedmodel', 'keras']);
  }, downloadMs);

  it.each([
    ['tensorflow-savedmodel/reader', 'the graph uses ReadFile, which reaches outside the model'],
    ['tensorflow-savedmodel/wrong-name', 'the model has input x, which sluice.json does not declare'],
    ['tensorflow-savedmodel/wrong-type', 'output y is FP64 in sluice.json, but float32 in the model'],
    ['keras/lambda', 'the model has a Lambda layer or a lambda, which is Python code'],
    ['keras/own-class', 'the model has mine>Mine, a class of its own, whose code the file does not carry'],
    ['keras/imports', 'the model has subprocess.Dense, a class that Keras does not have'],
    ['keras/wrong-size', 'size 1 of input x is 15 in sluice.json, but fixed to 16 in the model'],
  ])('refuses %s by name', (folder, reason) => {
    expect(reasons[folder]).toContain(reason);
  });

  it('loads all the others, and a Lambda layer where the manifest allows code', () => {
    const loaded = Object.keys(reasons).filter((folder) => reasons[folder] === null);
    expect(loaded.toSorted()).toEqual([
      'keras/allowed-lambda',
      'keras/broken',
      'keras/dense',
      'keras/identity',
      'keras/named',
      'keras/slow',
      'keras/words',
      'tensorflow-savedmodel/broken',
      'tensorflow-savedmodel/dense',
      'tensorflow-savedmodel/identity',
      'tensorflow-savedmodel/slow',
      'tensorflow-savedmodel/typed',
    ]);
  });
});
