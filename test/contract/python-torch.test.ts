import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OipReplica } from '../../libs/inference/adapters/oip/oip-replica.js';
import { type ContractSupport, everything, replicaContract } from '../../libs/inference/ports/replica.contract.js';
import type { Tensor } from '../../libs/inference/tensors/tensor.js';
import {
  type BuiltModels,
  buildModels,
  frameworkInterpreter,
  loadAll,
  ServerShelf,
  startServer,
} from '../support/python-runtime.js';

const downloadMs = 600_000;

/** All but texts, which PyTorch's tensors do not hold. */
const numbersOnly: ContractSupport = { ...everything, identity: ['f32', 'i64', 'b'], reads: 'x', runsTone: false };

let interpreter: string;
let models: BuiltModels;
beforeAll(async () => {
  interpreter = await frameworkInterpreter('torch');
  models = await buildModels('torch', interpreter);
}, downloadMs);
afterAll(async () => {
  await models[Symbol.asyncDispose]();
});

function shelfOf(format: string): ServerShelf {
  return new ServerShelf(
    'torch',
    () => interpreter,
    (model) => join(models.folder, format, model),
  );
}

describe('torchscript', () => {
  const shelf = shelfOf('torchscript');
  afterAll(async () => {
    await shelf[Symbol.asyncDispose]();
  });

  replicaContract('a TorchScript server', (model) => shelf.start(model), numbersOnly);

  it('says that it lives, in the middle of runs as well, until it stands still', async () => {
    await using server = await startServer('torch', interpreter, join(models.folder, 'torchscript', 'slow'));
    const { process: slow, socketPath: address } = server;
    await using replica = new OipReplica({ id: 'r', address: `unix:${address}`, model: 'slow', version: '1' });
    const x = { name: 'x', datatype: 'FP32', shape: [1, 16], data: new Float32Array(16) } as const;
    const progress = { isAnswered: false };
    const runs = Array.from({ length: 5 }, () => replica.infer([x], { timeoutMs: 30_000 }));
    const answered = Promise.all(runs).then(() => (progress.isAnswered = true));
    while (!progress.isAnswered) expect(await slow.askLiveness?.(10_000)).toEqual({ state: 'live' });
    await answered;
    process.kill(slow.pid!, 'SIGSTOP');
    expect(await slow.askLiveness?.(100)).toEqual({ state: 'silent' });
  });

  it('reads and answers each numeric datatype as what it is', async () => {
    await using typed = await shelf.start('typed');
    const shape = [1, 2];
    const outputs = await typed.replica.infer(
      [
        { name: 'f16', datatype: 'FP16', shape, data: Uint16Array.of(0x3c00, 0xc000) },
        { name: 'bf16', datatype: 'BF16', shape, data: Uint16Array.of(0x3f80, 0xc000) },
        { name: 'f64', datatype: 'FP64', shape, data: Float64Array.of(0.1, -2) },
        { name: 'u8', datatype: 'UINT8', shape, data: Uint8Array.of(0, 254) },
        { name: 'i8', datatype: 'INT8', shape, data: Int8Array.of(0, -127) },
        { name: 'i16', datatype: 'INT16', shape, data: Int16Array.of(0, -32_767) },
        { name: 'i32', datatype: 'INT32', shape, data: Int32Array.of(0, -(2 ** 31) + 1) },
      ],
      { timeoutMs: 10_000 },
    );
    expect(outputs.map(({ datatype, data }) => [datatype, ...data])).toEqual([
      ['FP16', 0x4000, 0xc400],
      ['BF16', 0x4000, 0xc080],
      ['FP64', 0.2, -4],
      ['UINT8', 1, 255],
      ['INT8', -1, -128],
      ['INT16', -1, -32_768],
      ['INT32', -1, -(2 ** 31)],
    ]);
  });
});

describe('torch-export', () => {
  const shelf = shelfOf('torch-export');
  afterAll(async () => {
    await shelf[Symbol.asyncDispose]();
  });

  replicaContract('a torch.export server', (model) => shelf.start(model), numbersOnly);

  it("maps inputs by forward()'s names and outputs by a dict's keys, whatever order the manifest has", async () => {
    await using named = await shelf.start('named');
    const [sum, difference] = await named.replica.infer(
      [
        { name: 'right', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) },
        { name: 'left', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(10, 20) },
      ],
      { timeoutMs: 10_000 },
    );
    expect([sum!.name, ...sum!.data]).toEqual(['sum', 11, 22]);
    expect([difference!.name, ...difference!.data]).toEqual(['difference', 9, 18]);
  });

  it('refuses sizes that it was not exported for, and blames the input', async () => {
    await using named = await shelf.start('named');
    const tooMany = ['right', 'left'].map((name): Tensor => ({
      name,
      datatype: 'FP32',
      shape: [9, 2],
      data: new Float32Array(18),
    }));
    await expect(named.replica.infer(tooMany, { timeoutMs: 10_000 })).rejects.toMatchObject({
      kind: 'model',
      message: 'inputs[1].shape[0]: is 9, the model was exported for at most 8',
    });
  });
});

describe('what is not served', () => {
  let reasons: Record<string, string | null>;
  beforeAll(async () => {
    reasons = await loadAll(interpreter, models.folder, ['torchscript', 'torch-export']);
  }, downloadMs);

  it.each([
    ['torchscript/pickle', 'is a Python pickle (torch.save of a module or a state dict), not TorchScript'],
    ['torchscript/state-dict', 'is a Python pickle (torch.save of a module or a state dict), not TorchScript'],
    ['torchscript/old-pickle', 'the .pt file is a Python pickle: save the model with torch.jit.save'],
    ['torchscript/reader', 'the code uses from_file, which reaches outside the model'],
    ['torchscript/swapped', 'sluice.json has input left at place 1, but the model has it at place 2'],
    ['torchscript/wrong-output', 'gives output y as FP32 [1,3], but sluice.json declares INT64 [-1,3]'],
    ['torchscript/too-many', 'sluice.json declares 2 inputs, but forward() takes 1'],
    ['torch-export/calls-system', "calls torch.os.system, which is not one of PyTorch's own operations"],
    ['torch-export/eval-size', "a size in the exported program is no formula: __import__('os')"],
    ['torch-export/named-code', 'the exported program has a name that is none: relu=print(1)'],
    ['torch-export/pickled-weight', 'keeps first.weight as a pickle, and pickles are not read'],
    ['torch-export/native-code', 'holds data/aotinductor/model/code.so, which is neither weights nor graph'],
    ['torch-export/fixed', 'size 0 of input x is free (-1) in sluice.json, but fixed to 3 in the model'],
  ])('refuses %s by name', (folder, reason) => {
    expect(reasons[folder]).toContain(reason);
  });

  it('loads all the others', () => {
    const loaded = Object.keys(reasons).filter((folder) => reasons[folder] === null);
    expect(loaded.toSorted()).toEqual([
      'torch-export/broken',
      'torch-export/dense',
      'torch-export/identity',
      'torch-export/named',
      'torch-export/slow',
      'torch-export/typed',
      'torchscript/broken',
      'torchscript/dense',
      'torchscript/identity',
      'torchscript/named',
      'torchscript/slow',
      'torchscript/typed',
    ]);
  });
});
