import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../tensor.js';
import { type Replica, ReplicaFailure, type ReplicaFailureKind } from './replica.js';

/** The models of the repository that the suite asks for. */
export type ContractModel = 'dense' | 'identity' | 'tone' | 'tone-broken' | 'tone-slow';

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

/** What every adapter of the port has to keep, whatever it runs on. */
export function replicaContract(name: string, startReplica: StartReplica): void {
  describe(`${name} keeps the replica contract`, () => {
    describe('answers', () => {
      answersContract(startReplica);
    });
    describe('failures', () => {
      failuresContract(startReplica);
    });
    describe('end of life', () => {
      endOfLifeContract(startReplica);
    });
  });
}

function answersContract(startReplica: StartReplica): void {
  let dense: StartedReplica;
  let identity: StartedReplica;
  beforeAll(async () => {
    [dense, identity] = await Promise.all([startReplica('dense'), startReplica('identity')]);
  });
  afterAll(async () => {
    await Promise.all([dense[Symbol.asyncDispose](), identity[Symbol.asyncDispose]()]);
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

  it('carries numbers, 64-bit integers, booleans and texts through unchanged, row by row', async () => {
    const shape = [3, 2];
    const inputs: Tensor[] = [
      { name: 'f32', datatype: 'FP32', shape, data: Float32Array.of(0.1, -2.5, 3e38, 1e-40, 0, 7) },
      {
        name: 'i64',
        datatype: 'INT64',
        shape,
        data: BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 0n, 1n, -1n, 2n ** 53n + 1n),
      },
      { name: 'b', datatype: 'BOOL', shape, data: Uint8Array.of(1, 0, 0, 1, 1, 0) },
      { name: 's', datatype: 'BYTES', shape, data: ['', 'plain', 'naïve', '語', '👋🏽', 'two\nlines'] },
    ];
    const outputs = await identity.replica.infer(inputs, call);
    expect(outputs).toEqual(inputs.map((input) => ({ ...input, name: `${input.name}_out` })));
  });

  it('gives each row of a batch the answer that it gets alone, in the order of the batch', async () => {
    const all = rowsOfX(16);
    const [batch] = await dense.replica.infer([x(all)], call);
    expect(batch).toMatchObject({ name: 'y', datatype: 'FP32', shape: [16, 3] });
    for (let row = 0; row < 16; row += 1) {
      const [alone] = await dense.replica.infer([x(all.slice(row * 16, row * 16 + 16))], call);
      const ofBatch = (batch!.data as Float32Array).slice(row * 3, row * 3 + 3);
      for (const [column, value] of (alone!.data as Float32Array).entries())
        expect(ofBatch[column]).toBeCloseTo(value, 5);
    }
  });

  it('answers calls made at the same time each with its own rows', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_value, index) => {
        const inputs = identityInputs(`call ${index}`, index);
        const outputs = await identity.replica.infer(inputs, call);
        return (outputs.find((output) => output.name === 's_out')!.data as string[])[0];
      }),
    );
    expect(answers).toEqual(Array.from({ length: 40 }, (_value, index) => `call ${index}`));
  });

  it('classifies texts, with a label that its probabilities bear out', async () => {
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

function identityInputs(words: string, number: number): Tensor[] {
  const shape = [1, 1];
  return [
    { name: 'f32', datatype: 'FP32', shape, data: Float32Array.of(number) },
    { name: 'i64', datatype: 'INT64', shape, data: BigInt64Array.of(BigInt(number)) },
    { name: 'b', datatype: 'BOOL', shape, data: Uint8Array.of(number % 2) },
    { name: 's', datatype: 'BYTES', shape, data: [words] },
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

function failuresContract(startReplica: StartReplica): void {
  it('blames input that does not fit on the input, says why, and lives on', async () => {
    await using dense = await startReplica('dense');
    const tooNarrow: Tensor = { name: 'x', datatype: 'FP32', shape: [1, 15], data: new Float32Array(15) };
    const failure = await expectFailure(dense.replica.infer([tooNarrow], call), 'model');
    expect(failure.message).toContain('inputs[0].shape[1]: is 15, the model wants 16');
    await expectFailure(dense.replica.infer([{ ...x(rowsOfX(1)), name: 'z' }], call), 'model');
    expect(await dense.replica.infer([x(rowsOfX(1))], call)).toHaveLength(1);
  });

  it('refuses a text with a NUL, behind which the runtime would read nothing', async () => {
    await using tone = await startReplica('tone');
    const failure = await expectFailure(tone.replica.infer([text('kind', 'kind\u0000 and unseen')], call), 'model');
    expect(failure.message).toContain('text 1 holds a NUL');
  });

  it('blames a run that fails on the model, and lives on', async () => {
    await using broken = await startReplica('tone-broken');
    await expectFailure(broken.replica.infer([text('one two three four five')], call), 'model');
    const [label] = await broken.replica.infer([text('four words are fine')], call);
    expect(label!.shape).toEqual([1]);
  });

  it('ends a call by signal at once, and lives on', async () => {
    await using slow = await startReplica('tone-slow');
    const abort = new AbortController();
    const cancelled = expectFailure(
      slow.replica.infer([text('never mind')], { ...call, signal: abort.signal }),
      'lost',
    );
    abort.abort();
    await cancelled;
    await expectFailure(slow.replica.infer([text('too late')], { ...call, signal: abort.signal }), 'lost');
    expect(await slow.replica.infer([text('still there')], call)).toHaveLength(2);
  });

  it('gives up on a call after its time, and lives on', async () => {
    await using slow = await startReplica('tone-slow');
    await expectFailure(slow.replica.infer([text('hurry up')], { timeoutMs: 20 }), 'timeout');
    expect(await slow.replica.infer([text('no hurry')], call)).toHaveLength(2);
  });
}

function endOfLifeContract(startReplica: StartReplica): void {
  it('finishes the requests in flight when it is drained, and is not ready afterwards', async () => {
    await using slow = await startReplica('tone-slow');
    // Open connections first, so that all three requests are sent before the first is answered.
    await Promise.all([slow.replica.isReady(), slow.replica.isReady(), slow.replica.isReady()]);
    const answers = ['one', 'two', 'three'].map((word) => slow.replica.infer([text(word)], call));
    await Promise.race(answers);
    const ended = slow.drain();
    for (const answer of await Promise.all(answers)) expect(answer[0]!.shape).toEqual([1]);
    expect(await ended).toEqual({ isClean: true });
    expect(await slow.replica.isReady()).toBe(false);
  });

  it('says that a call is lost when the server crashes under it, and at every later call', async () => {
    await using slow = await startReplica('tone-slow');
    const inFlight = expectFailure(slow.replica.infer([text('in flight')], call), 'lost');
    await slow.crash();
    await inFlight;
    await expectFailure(slow.replica.infer([text('too late')], call), 'lost');
    expect(await slow.replica.isReady()).toBe(false);
  });
}
