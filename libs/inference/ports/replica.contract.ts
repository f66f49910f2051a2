import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../tensors/tensor.js';
import { type Replica, ReplicaFailure, type ReplicaFailureKind } from './replica.js';

/**
 * The models that the suite asks for; `test/models/README.md` says what each of them does. All are of version 1 but `tone`'s
 * relatives.
 * - `dense`: `x` FP32 [-1, 16] to `y` FP32 [-1, 3], with weights that tell every row of `rowsOfX` from the others
 * - `identity`: those of `f32`, `i64`, `b` and `s` that it carries, each [-1, -1], come out as `f32_out` and so on
 * - `slow`: answers a row for each row, about 100 ms late for each run
 * - `broken`: fails the run for one kind of input and answers the other; see `ContractSupport.reads`
 * - `tone`: the repository's classifier of texts, asked for where it is said to run
 */
export type ContractModel = 'dense' | 'identity' | 'slow' | 'broken' | 'tone';

type IdentityTensor = 'f32' | 'i64' | 'b' | 's';

/** What an adapter can do. What it cannot do is not asked of it; everything else is. */
export interface ContractSupport {
  /** What its `identity` carries. */
  identity: readonly IdentityTensor[];
  /**
   * What its `slow` and `broken` read. `text` is BYTES [-1], and `broken` fails when the number of words is a multiple of
   * five; `x` is FP32 [-1, 16], and `broken` fails when the first value of a row is 5 or more.
   */
  reads: 'text' | 'x';
  /** It runs `tone`, and refuses a text with a NUL, which that runtime would cut off. */
  runsTone: boolean;
  /** Integers beyond 2^53 keep all their digits. */
  keepsWideIntegers: boolean;
  /** It blames wrong input in Sluice's own words, with the field. Foreign servers have words of their own. */
  namesFields: boolean;
  /** Asked to end, it first answers what it has begun. */
  drains: boolean;
}

/** Sluice's own model server on ONNX Runtime. */
export const everything: ContractSupport = {
  identity: ['f32', 'i64', 'b', 's'],
  reads: 'text',
  runsTone: true,
  keepsWideIntegers: true,
  namesFields: true,
  drains: true,
};

export interface StartedReplica extends AsyncDisposable {
  readonly replica: Replica;
  /** Asks the server to finish and to end. Resolves with how it ended. */
  drain(): Promise<{ isClean: boolean }>;
  /** Ends the server without warning. */
  crash(): Promise<void>;
}

export type StartReplica = (model: ContractModel) => Promise<StartedReplica>;

const call = { timeoutMs: 10_000 };
const rowsOfX = (rows: number): Float32Array =>
  Float32Array.from({ length: rows * 16 }, (_value, index) => Math.sin(index + 1));
const x = (data: Float32Array): Tensor => ({ name: 'x', datatype: 'FP32', shape: [data.length / 16, 16], data });
const text = (...data: string[]): Tensor => ({ name: 'text', datatype: 'BYTES', shape: [data.length], data });
const rowThatStartsWith = (value: number): Tensor => x(Float32Array.from({ length: 16 }, () => value));

/** One row for `slow`, and one of each kind for `broken`. */
const rowsFor = {
  text: { plain: text('four words are fine'), failing: text('one two three four five') },
  x: { plain: rowThatStartsWith(1), failing: rowThatStartsWith(7) },
} as const;

/** What every adapter of the port has to keep, whatever it runs on. */
export function replicaContract(
  name: string,
  startReplica: StartReplica,
  supports: ContractSupport = everything,
): void {
  describe(`${name} keeps the replica contract`, () => {
    describe('answers', () => {
      answersContract(startReplica, supports);
    });
    describe('failures', () => {
      failuresContract(startReplica, supports);
    });
    describe('end of life', () => {
      endOfLifeContract(startReplica, supports);
    });
  });
}

function answersContract(startReplica: StartReplica, supports: ContractSupport): void {
  let dense: StartedReplica;
  let identity: StartedReplica;
  beforeAll(async () => {
    [dense, identity] = await Promise.all([startReplica('dense'), startReplica('identity')]);
  });
  afterAll(async () => {
    await Promise.all([dense?.[Symbol.asyncDispose](), identity?.[Symbol.asyncDispose]()]);
  });

  it('is ready once it is loaded and warmed, and describes its tensors', async () => {
    expect(await dense.replica.isReady()).toBe(true);
    expect(await dense.replica.metadata()).toMatchObject({
      name: 'dense',
      version: '1',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 16] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
    });
  });

  it(`carries ${supports.identity.join(', ')} through unchanged, row by row`, async () => {
    const shape = [3, 2];
    const widest = supports.keepsWideIntegers ? 2n ** 63n - 1n : 2n ** 53n - 1n;
    const all: Record<IdentityTensor, Pick<Tensor, 'datatype' | 'data'>> = {
      f32: { datatype: 'FP32', data: Float32Array.of(0.1, -2.5, 3e38, 1e-40, 0, 7) },
      i64: { datatype: 'INT64', data: BigInt64Array.of(widest, -widest, 0n, 1n, -1n, widest / 2n + 1n) },
      b: { datatype: 'BOOL', data: Uint8Array.of(1, 0, 0, 1, 1, 0) },
      s: { datatype: 'BYTES', data: ['', 'plain', 'naïve', '語', '👋🏽', 'two\nlines'] },
    };
    const inputs = supports.identity.map((tensor): Tensor => ({ name: tensor, shape, ...all[tensor] }));
    const outputs = await identity.replica.infer(inputs, call);
    expect(outputs).toEqual(inputs.map((input) => ({ ...input, name: `${input.name}_out` })));
  });

  it('gives each row of a batch the answer that it gets alone, in the order of the batch', async () => {
    const all = rowsOfX(16);
    const [batch] = await dense.replica.infer([x(all)], call);
    expect(batch).toMatchObject({ name: 'y', datatype: 'FP32', shape: [16, 3] });
    const answers = new Set<number>();
    for (let row = 0; row < 16; row += 1) {
      const [alone] = await dense.replica.infer([x(all.slice(row * 16, row * 16 + 16))], call);
      const ofBatch = (batch!.data as Float32Array).slice(row * 3, row * 3 + 3);
      for (const [column, value] of (alone!.data as Float32Array).entries())
        expect(ofBatch[column]).toBeCloseTo(value, 5);
      answers.add(ofBatch[0]!);
    }
    // A model that answered the same to everything would keep the promise above for nothing.
    expect(answers.size).toBe(16);
  });

  it('answers calls made at the same time each with its own rows', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_value, index) => {
        const inputs = identityInputs(index).filter((input) =>
          supports.identity.includes(input.name as IdentityTensor),
        );
        const outputs = await identity.replica.infer(inputs, call);
        return outputs.map(({ data }) => data[0]);
      }),
    );
    const own = (index: number): unknown[] =>
      identityInputs(index)
        .filter((input) => supports.identity.includes(input.name as IdentityTensor))
        .map(({ data }) => data[0]);
    expect(answers).toEqual(Array.from({ length: 40 }, (_value, index) => own(index)));
  });

  it.runIf(supports.runsTone)('classifies texts, with a label that its probabilities bear out', async () => {
    await using tone = await startReplica('tone');
    const texts = [
      'I hope you find someone you can talk to, you deserve support and your feelings are important.',
      'You are an idiot, shut up.',
      '',
    ];
    const [label, probabilities] = await tone.replica.infer([text(...texts)], call);
    const classes = ['hostile', 'neutral', 'supportive'];
    const rows = probabilities!.data as Float32Array;
    texts.forEach((_text, row) => {
      const ofRow = Array.from(rows.subarray(row * 3, row * 3 + 3));
      expect(ofRow.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
      expect((label!.data as string[])[row]).toBe(classes[ofRow.indexOf(Math.max(...ofRow))]);
    });
    expect(label!.data).toEqual(['supportive', 'hostile', 'neutral']);
    expect(rows[2]).toBeCloseTo(0.92429, 4);
  });
}

function identityInputs(number: number): Tensor[] {
  const shape = [1, 1];
  return [
    { name: 'f32', datatype: 'FP32', shape, data: Float32Array.of(number) },
    { name: 'i64', datatype: 'INT64', shape, data: BigInt64Array.of(BigInt(number)) },
    { name: 'b', datatype: 'BOOL', shape, data: Uint8Array.of(number % 2) },
    { name: 's', datatype: 'BYTES', shape, data: [`call ${number}`] },
  ];
}

async function expectFailure(work: Promise<unknown>, kind: ReplicaFailureKind): Promise<ReplicaFailure> {
  const failure: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(ReplicaFailure);
  expect((failure as ReplicaFailure).kind).toBe(kind);
  return failure as ReplicaFailure;
}

async function expectOneRow(work: Promise<Tensor[]>): Promise<void> {
  const outputs = await work;
  expect(outputs.length).toBeGreaterThan(0);
  for (const { shape } of outputs) expect(shape[0]).toBe(1);
}

function failuresContract(startReplica: StartReplica, { reads, runsTone, namesFields }: ContractSupport): void {
  const { plain, failing } = rowsFor[reads];

  it('blames input that does not fit on the input, says why, and lives on', async () => {
    await using dense = await startReplica('dense');
    const tooNarrow: Tensor = { name: 'x', datatype: 'FP32', shape: [1, 15], data: new Float32Array(15) };
    const failure = await expectFailure(dense.replica.infer([tooNarrow], call), 'model');
    expect(failure.message).not.toBe('');
    if (namesFields) expect(failure.message).toContain('inputs[0].shape[1]: is 15, the model wants 16');
    await expectFailure(dense.replica.infer([{ ...x(rowsOfX(1)), name: 'z' }], call), 'model');
    expect(await dense.replica.infer([x(rowsOfX(1))], call)).toHaveLength(1);
  });

  it.runIf(runsTone)('refuses a text with a NUL, behind which the runtime would read nothing', async () => {
    await using tone = await startReplica('tone');
    const failure = await expectFailure(tone.replica.infer([text('kind', 'kind\u0000 and unseen')], call), 'model');
    expect(failure.message).toContain('text 1 holds a NUL');
  });

  it('blames a run that fails on the model, and lives on', async () => {
    await using broken = await startReplica('broken');
    await expectFailure(broken.replica.infer([failing], call), 'model');
    await expectOneRow(broken.replica.infer([plain], call));
  });

  it('ends a call by signal at once, and lives on', async () => {
    await using slow = await startReplica('slow');
    const abort = new AbortController();
    const cancelled = expectFailure(slow.replica.infer([plain], { ...call, signal: abort.signal }), 'lost');
    abort.abort();
    await cancelled;
    await expectFailure(slow.replica.infer([plain], { ...call, signal: abort.signal }), 'lost');
    await expectOneRow(slow.replica.infer([plain], call));
  });

  it('gives up on a call after its time, and lives on', async () => {
    await using slow = await startReplica('slow');
    await expectFailure(slow.replica.infer([plain], { timeoutMs: 20 }), 'timeout');
    await expectOneRow(slow.replica.infer([plain], call));
  });
}

function endOfLifeContract(startReplica: StartReplica, { reads, drains }: ContractSupport): void {
  const { plain } = rowsFor[reads];

  it.runIf(drains)('finishes the requests in flight when it is drained, and is not ready afterwards', async () => {
    await using slow = await startReplica('slow');
    // Open connections first, so that all three requests are sent before the first is answered.
    await Promise.all([slow.replica.isReady(), slow.replica.isReady(), slow.replica.isReady()]);
    const answers = [1, 2, 3].map(() => slow.replica.infer([plain], call));
    await Promise.race(answers);
    const ended = slow.drain();
    for (const answer of await Promise.all(answers)) expect(answer[0]!.shape[0]).toBe(1);
    expect(await ended).toEqual({ isClean: true });
    expect(await slow.replica.isReady()).toBe(false);
  });

  it('says that a call is lost when the server crashes under it, and at every later call', async () => {
    await using slow = await startReplica('slow');
    const inFlight = expectFailure(slow.replica.infer([plain], call), 'lost');
    await slow.crash();
    await inFlight;
    await expectFailure(slow.replica.infer([plain], call), 'lost');
    expect(await slow.replica.isReady()).toBe(false);
  });
}
