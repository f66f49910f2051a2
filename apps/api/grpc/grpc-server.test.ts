import { openAdmissions } from '../../../test/support/open-admissions.js';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { datatypeNames, InferenceService, OutcomeCounters, ServingState, type Tensor } from '#libs/inference';
import { sluiceError } from '#libs/kernel';
import {
  compressionAlgorithms,
  credentials,
  loadPackageDefinition,
  Metadata,
  status,
  type Client,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { somePrincipal } from '../../../test/support/principal.js';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { ScriptedReplica } from '../../../test/support/scripted-replica.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { GrpcServer } from './grpc-server.js';

const log = pino({ level: 'silent' });
const types = datatypeNames.map((datatype) => ({ name: datatype.toLowerCase(), datatype, shape: [-1] }));
const good = new Metadata();
good.set('authorization', 'Bearer good');

/** What a client sees of an answer; 64-bit integers as text. */
type Answer = Record<string, any>;
interface Calls extends Client {
  [method: string]: any;
}

let db: FreshDatabase;
const stack = new AsyncDisposableStack();
let calls: Calls;
let server: GrpcServer;
let replicas: ScriptedReplica[];
let isReady = true;
let fault: 'none' | 'lost' | 'model' = 'none';
let ticks = 0;
const keyId = randomUUID();
const loading = { load: vi.fn(async () => undefined), unload: vi.fn(async () => undefined) };

/** Gives back what it got, under other names. */
const mirror = (inputs: readonly Tensor[]): Tensor[] =>
  inputs.map((input) => ({ ...input, name: `${input.name}_out` }));

beforeAll(async () => {
  db = stack.use(await freshDatabase());
  const rows = new ServingRowsWriter(db.database);
  const plain = {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'x_out', datatype: 'FP32', shape: [-1, 2] }],
  };
  await rows.version('plain', '1', plain);
  await rows.version('cached', '1', { ...plain, responseCache: {} });
  for (const { name, datatype, shape } of types) {
    const declared = { inputs: [{ name, datatype, shape }], outputs: [{ name: `${name}_out`, datatype, shape }] };
    await rows.version(name, '1', declared);
  }
  for (const name of ['plain', 'cached', ...types.map((type) => type.name)]) {
    await rows.endpoint(name, name, [{ name: 'stable', version: '1', weight: 100 }]);
    await rows.replica(name, '1');
  }
  const state = stack.use(new ServingState({ database: db.database, log }));
  await state.load();
  const counters = stack.use(new OutcomeCounters({ database: db.database, log }));
  replicas = [];
  const inference = stack.use(
    new InferenceService({
      state,
      counters,
      log,
      recorder: { record: () => undefined },
      openReplica: ({ id }) => {
        const replica = new ScriptedReplica(id, mirror, () => ({ fault, ticks }));
        replicas.push(replica);
        return replica;
      },
    }),
  );
  await vi.waitFor(() => expect(inference.isReady).toBe(true));
  server = stack.use(
    await GrpcServer.start(
      {
        inference,
        state,
        admissions: openAdmissions,
        gatekeeper: {
          admit: ({ headers }) => {
            if (headers.authorization === undefined) throw sluiceError('SLU_ACCESS_KEY_MISSING');
            if (headers.authorization === 'Bearer bound') return somePrincipal({ endpoints: new Set(['other']) });
            if (headers.authorization !== 'Bearer good') throw sluiceError('SLU_ACCESS_KEY_INVALID');
            return somePrincipal({ id: keyId });
          },
        },
        loading,
        settings: { traceSampling: 0.01, isLevelEnabled: (level) => level !== 'trace' },
        isReady: () => isReady,
        isDraining: () => false,
        log,
        version: '0.0.0',
      },
      { host: '127.0.0.1', port: 0, messageLimitBytes: 1_000_000 },
    ),
  );
  calls = clientOf('open-inference', ['inference', 'GRPCInferenceService']);
  stack.defer(() => calls.close());
});
afterAll(() => stack.disposeAsync());

function clientOf(file: string, path: string[], options: object = {}): Calls {
  const proto = createRequire(import.meta.url).resolve(`#proto/${file}`);
  let found: any = loadPackageDefinition(
    loadSync(proto, { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true }),
  );
  for (const part of path) found = found[part];
  return new found(`127.0.0.1:${server.port}`, credentials.createInsecure(), options);
}

const ask = (
  method: string,
  request: object = {},
  metadata = good,
  options: object = {},
  client = calls,
): Promise<Answer> =>
  new Promise((resolve, reject) =>
    client[method](request, metadata, options, (error: ServiceError | null, answer: Answer) =>
      error === null ? resolve(answer) : reject(error),
    ),
  );
const bound = new Metadata();
bound.set('authorization', 'Bearer bound');

const refused = (work: Promise<unknown>): Promise<ServiceError> =>
  work.then(
    () => expect.unreachable('it was answered'),
    (error: ServiceError) => error,
  );

const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
const x = (rows: number, more: object = {}) => ({ name: 'x', datatype: 'FP32', shape: [rows, 2], ...more });

describe('the state of the server', () => {
  it('is told without a key: live, ready, and by the health protocol', async () => {
    const open = new Metadata();
    const health = clientOf('health', ['grpc', 'health', 'v1', 'Health']);
    expect(await ask('ServerLive', {}, open)).toEqual({ live: true });
    expect(await ask('ServerReady', {}, open)).toEqual({ ready: true });
    expect(await ask('Check', {}, open, {}, health)).toEqual({ status: 'SERVING' });
    isReady = false;
    expect(await ask('ServerReady', {}, open)).toEqual({ ready: false });
    expect(await ask('Check', { service: 'inference.GRPCInferenceService' }, open, {}, health)).toEqual({
      status: 'NOT_SERVING',
    });
    isReady = true;
    expect((await refused(ask('Check', { service: 'other' }, open, {}, health))).code).toBe(status.NOT_FOUND);
    health.close();
  });

  it('names itself, its models and their tensors', async () => {
    expect(await ask('ServerMetadata')).toEqual({
      name: 'sluice',
      version: '0.0.0',
      extensions: expect.arrayContaining(['model_repository']),
    });
    expect(await ask('ModelReady', { name: 'plain' })).toEqual({ ready: true });
    expect(await ask('ModelMetadata', { name: 'plain', version: '1' })).toMatchObject({
      name: 'plain',
      versions: ['1'],
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['-1', '2'] }],
    });
    const { models } = await ask('RepositoryIndex', { ready: true });
    expect(models).toContainEqual(expect.objectContaining({ name: 'plain', version: '1', state: 'READY' }));
    expect(await ask('SystemSharedMemoryStatus')).toEqual({ regions: {} });
  });
});

describe('who may call', () => {
  it.each([
    ['no key', new Metadata()],
    ['a wrong key', Object.assign(new Metadata(), {})],
  ])('refuses %s at every call but those about health', async (_what, metadata) => {
    if (_what === 'a wrong key') metadata.set('authorization', 'Bearer bad');
    for (const method of ['ServerMetadata', 'ModelMetadata', 'ModelReady', 'RepositoryIndex', 'ModelInfer']) {
      const { code } = await refused(ask(method, { model_name: 'plain', name: 'plain' }, metadata));
      expect(code, method).toBe(status.UNAUTHENTICATED);
    }
    const stream = calls['ModelStreamInfer'](metadata) as ClientDuplexStream<object, Answer>;
    const failed = new Promise<ServiceError>((resolve) => stream.once('error', resolve));
    stream.write({ model_name: 'plain' });
    expect((await failed).code).toBe(status.UNAUTHENTICATED);
  });
});

describe('ModelInfer', () => {
  it('answers raw contents with raw contents, and tells who answered', async () => {
    const head = new Promise<Metadata>((resolve) => {
      const call = calls['ModelInfer'](
        { model_name: 'plain', id: 'a', inputs: [x(2)], raw_input_contents: [floats(1, 2, 3, 4)] },
        good,
        (_error: unknown, answer: Answer) => {
          expect(answer).toMatchObject({ model_name: 'plain', model_version: '1', id: 'a' });
          expect(answer['outputs']).toMatchObject([{ name: 'x_out', datatype: 'FP32', shape: ['2', '2'] }]);
          expect(answer['raw_output_contents']).toEqual([floats(1, 2, 3, 4)]);
        },
      );
      call.on('metadata', resolve);
    });
    const metadata = await head;
    expect(metadata.get('sluice-model-version')).toEqual(['1']);
    expect(metadata.get('sluice-arm')).toEqual(['stable']);
    expect(metadata.get('sluice-request-id')[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(metadata.get('traceparent')[0]).toMatch(/^00-/);
  });

  it('tells that an answer was stored', async () => {
    const marks: unknown[] = [];
    for (let count = 0; count < 2; count += 1) {
      const head = new Promise<Metadata>((resolve) => {
        const message = { model_name: 'cached', inputs: [x(1)], raw_input_contents: [floats(1, 2)] };
        calls['ModelInfer'](message, good, () => undefined).on('metadata', resolve);
      });
      marks.push((await head).get('sluice-cache'));
    }
    expect(marks).toEqual([[], ['hit']]);
  });

  it.each([
    ['bool', 'bool_contents', [true, false]],
    ['int8', 'int_contents', [-128, 127]],
    ['int16', 'int_contents', [-32_768, 32_767]],
    ['int32', 'int_contents', [-(2 ** 31), 2 ** 31 - 1]],
    ['int64', 'int64_contents', ['-9223372036854775808', '9007199254740993']],
    ['uint8', 'uint_contents', [0, 255]],
    ['uint16', 'uint_contents', [0, 65_535]],
    ['uint32', 'uint_contents', [0, 2 ** 32 - 1]],
    ['uint64', 'uint64_contents', ['0', '18446744073709551615']],
    ['fp32', 'fp32_contents', [0.5, -3]],
    ['fp64', 'fp64_contents', [0.1, 1e300]],
    ['bytes', 'bytes_contents', [Buffer.from(''), Buffer.from('naïve 👋🏽')]],
  ])('carries typed %s through in %s unchanged', async (name, field, values) => {
    const input = { name, datatype: name.toUpperCase(), shape: [2], contents: { [field]: values } };
    const answer = await ask('ModelInfer', { model_name: name, inputs: [input] });
    expect(answer['outputs'][0].contents[field]).toEqual(values);
    expect(answer['raw_output_contents']).toEqual([]);
  });

  it.each(['FP16', 'BF16'])('carries %s raw, the only form that it has', async (datatype) => {
    const name = datatype.toLowerCase();
    const raw = Buffer.from([0, 60, 0, 192]);
    const inputs = [{ name, datatype, shape: [2] }];
    const answer = await ask('ModelInfer', { model_name: name, inputs, raw_input_contents: [raw] });
    expect(answer['raw_output_contents']).toEqual([raw]);
    const typed = [{ name, datatype, shape: [2], contents: { fp32_contents: [1, 2] } }];
    const { details } = await refused(ask('ModelInfer', { model_name: name, inputs: typed }));
    expect(details).toContain('send raw_input_contents');
  });

  it.each<[string, object, status, string]>([
    ['an unknown model', { model_name: 'nobody' }, status.NOT_FOUND, 'nobody'],
    ['an unknown version', { model_name: 'plain', model_version: '9' }, status.NOT_FOUND, 'version 9'],
    ['no inputs', { inputs: [] }, status.INVALID_ARGUMENT, 'inputs'],
    ['half a raw tensor', { raw_input_contents: [floats(1)] }, status.INVALID_ARGUMENT, 'has 4 bytes'],
    [
      'too many raw tensors',
      { raw_input_contents: [floats(1, 2), floats(1)] },
      status.INVALID_ARGUMENT,
      'has 2 entries',
    ],
    [
      'raw beside typed contents',
      { inputs: [x(1, { contents: { fp32_contents: [1, 2] } })] },
      status.INVALID_ARGUMENT,
      'send one of the two',
    ],
    [
      'values of another type',
      { inputs: [x(1, { contents: { int_contents: [1, 2] } })], raw_input_contents: [] },
      status.INVALID_ARGUMENT,
      'values of FP32 stand in fp32_contents',
    ],
    ['a wrong shape', { inputs: [x(1, { shape: [1, 3] })] }, status.INVALID_ARGUMENT, 'inputs[0].shape[1]'],
    [
      'a shape whose product cannot be counted',
      { inputs: [x(1, { shape: ['9223372036854775807', '2'] })] },
      status.INVALID_ARGUMENT,
      'inputs[0].shape[0]',
    ],
    ['an unknown output', { outputs: [{ name: 'z' }] }, status.INVALID_ARGUMENT, 'outputs[0].name'],
    [
      'a timeout that is none',
      { parameters: { timeout: { int64_param: '-1' } } },
      status.INVALID_ARGUMENT,
      'parameters.timeout: must be a whole number of microseconds',
    ],
    [
      'classes of nothing',
      { outputs: [{ name: 'x_out', parameters: { classification: { int64_param: '0' } } }] },
      status.INVALID_ARGUMENT,
      'outputs[0].parameters.classification',
    ],
    [
      'texts that are not UTF-8',
      {
        model_name: 'bytes',
        inputs: [{ name: 'bytes', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from([0xff])] } }],
        raw_input_contents: [],
      },
      status.INVALID_ARGUMENT,
      'not valid UTF-8',
    ],
    [
      'a length of a text that lies',
      {
        model_name: 'bytes',
        inputs: [{ name: 'bytes', datatype: 'BYTES', shape: [1] }],
        raw_input_contents: [Buffer.from([9, 0, 0, 0, 97])],
      },
      status.INVALID_ARGUMENT,
      'says 9 bytes, but only 1 are left',
    ],
  ])('refuses %s, and says what to change', async (_what, change, code, words) => {
    const request = { model_name: 'plain', inputs: [x(1)], raw_input_contents: [floats(1, 2)], ...change };
    const error = await refused(ask('ModelInfer', request));
    expect(error).toMatchObject({ code, details: expect.stringContaining(words) });
    expect(error.metadata.get('sluice-request-id')).toHaveLength(1);
  });

  it('refuses an integer that its datatype cannot hold instead of cutting it', async () => {
    const inputs = [{ name: 'int8', datatype: 'INT8', shape: [2], contents: { int_contents: [1, 300] } }];
    const error = await refused(ask('ModelInfer', { model_name: 'int8', inputs }));
    expect(error.details).toContain('inputs[0].contents.int_contents[1]: is 300');
  });

  it('refuses a message over the limit', async () => {
    const request = { model_name: 'plain', inputs: [x(200_000)], raw_input_contents: [Buffer.alloc(1_600_000)] };
    expect((await refused(ask('ModelInfer', request))).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(await ask('ServerLive')).toEqual({ live: true });
  });

  it('refuses metadata of 1 MB, and answers the same client and others on', async () => {
    const other = clientOf('open-inference', ['inference', 'GRPCInferenceService'], {
      'grpc.use_local_subchannel_pool': 1,
    });
    expect(await ask('ServerLive', {}, good, {}, other)).toEqual({ live: true });
    const long = good.clone();
    long.set('x-long', 'a'.repeat(1_048_576));
    const { code } = await refused(ask('ServerMetadata', {}, long, { deadline: Date.now() + 10_000 }));
    expect([status.UNAVAILABLE, status.INTERNAL, status.RESOURCE_EXHAUSTED]).toContain(code);
    expect(await ask('ServerLive', {}, good, {}, other)).toEqual({ live: true });
    expect(await ask('ServerMetadata', {}, good, { deadline: Date.now() + 10_000 })).toMatchObject({ name: 'sluice' });
    other.close();
  });

  it('tells a failing model from a failing server', async () => {
    fault = 'model';
    const request = { model_name: 'plain', inputs: [x(1)], raw_input_contents: [floats(1, 2)] };
    const error = await refused(ask('ModelInfer', request));
    fault = 'none';
    expect(error).toMatchObject({ code: status.INTERNAL, details: expect.stringContaining('the model failed') });
    expect(error.metadata.get('sluice-error-code')).toEqual(['SLU_INFERENCE_MODEL_FAILED']);
  });

  it('hands the caller’s deadline on, and gives a cancelled call up', async () => {
    ticks = 1_000_000;
    const request = { model_name: 'plain', inputs: [x(1)], raw_input_contents: [floats(1, 2)] };
    const error = await refused(ask('ModelInfer', request, good, { deadline: Date.now() + 300 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    const given = replicas.flatMap((replica) => replica.calls.map(({ timeoutMs }) => timeoutMs));
    expect(Math.min(...given)).toBeLessThanOrEqual(300);
    ticks = 0;
  });
});

describe('bytes that no client writes', () => {
  const method = '/inference.GRPCInferenceService/ModelInfer';
  const plain = (bytes: Buffer): Buffer => bytes;
  const send = (bytes: Buffer, options: object = {}): Promise<ServiceError | null> =>
    new Promise((resolve) => {
      calls.makeUnaryRequest(method, plain, plain, bytes, good, options, (failure) => resolve(failure));
    });

  it('are answered or refused, whichever bit is turned, and the server goes on', async () => {
    const { requestSerialize } = (calls.constructor as any).service['ModelInfer'];
    const request = { model_name: 'plain', id: 'a', inputs: [x(2)], raw_input_contents: [floats(1, 2, 3, 4)] };
    const bytes: Buffer = requestSerialize(request);
    const seen = new Set<number>();
    for (let at = 0; at < bytes.length; at += 1) {
      const answers = [1, 2, 4, 8, 16, 32, 64, 128].map((bit) => {
        const turned = Buffer.from(bytes);
        turned[at]! ^= bit;
        return send(turned);
      });
      for (const failure of await Promise.all(answers)) {
        seen.add(failure?.code ?? status.OK);
        // A message that cannot be read is INTERNAL by gRPC's own rule; a failure of ours would be so by its words.
        expect(failure?.details ?? '').not.toContain('on our side');
      }
    }
    for (const code of [status.OK, status.INVALID_ARGUMENT, status.NOT_FOUND]) expect(seen).toContain(code);
    expect(await ask('ServerLive')).toEqual({ live: true });
  });

  it('are refused when they unpack to more than the limit', async () => {
    const request = { model_name: 'plain', inputs: [x(200_000)], raw_input_contents: [Buffer.alloc(1_600_000)] };
    const channel = clientOf('open-inference', ['inference', 'GRPCInferenceService'], {
      'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
    });
    const failure = await refused(ask('ModelInfer', request, good, {}, channel));
    channel.close();
    expect(failure.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('ModelStreamInfer', () => {
  it('answers each request in order, a failed one with its error, and ends with the client', async () => {
    const stream = calls['ModelStreamInfer'](good) as ClientDuplexStream<object, Answer>;
    const answers: Answer[] = [];
    stream.on('data', (answer: Answer) => answers.push(answer));
    const ended = new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
    for (let index = 0; index < 600; index += 1) {
      const inputs = index % 10 === 7 ? [] : [x(1)];
      const raw = index % 10 === 7 ? [] : [floats(index, 0)];
      stream.write({ model_name: 'plain', id: String(index), inputs, raw_input_contents: raw });
    }
    stream.end();
    await ended;
    expect(answers.map((answer) => answer['infer_response'].id)).toEqual(
      Array.from({ length: 600 }, (_value, index) => String(index)),
    );
    for (const [index, answer] of answers.entries()) {
      if (index % 10 === 7) expect(answer['error_message']).toContain('inputs');
      else expect(answer['infer_response'].raw_output_contents).toEqual([floats(index, 0)]);
    }
  });

  it('marks the final answer when it is asked to', async () => {
    const stream = calls['ModelStreamInfer'](good) as ClientDuplexStream<object, Answer>;
    const answered = new Promise<Answer>((resolve) => stream.once('data', resolve));
    stream.write({
      model_name: 'plain',
      inputs: [x(1)],
      raw_input_contents: [floats(1, 2)],
      parameters: { triton_enable_empty_final_response: { bool_param: true } },
    });
    expect((await answered)['infer_response'].parameters).toMatchObject({
      triton_final_response: { bool_param: true },
    });
    stream.end();
    stream.resume();
  });

  it('lets go of what waits when the client cancels, and serves others on', async () => {
    ticks = 1_000_000;
    const stream = calls['ModelStreamInfer'](good) as ClientDuplexStream<object, Answer>;
    const failed = new Promise<ServiceError>((resolve) => stream.once('error', resolve));
    const before = replicas.flatMap(({ runs }) => runs).length;
    for (let index = 0; index < 300; index += 1)
      stream.write({ model_name: 'plain', inputs: [x(1)], raw_input_contents: [floats(1, 2)] });
    await vi.waitFor(() => expect(replicas.flatMap(({ runs }) => runs).length).toBeGreaterThan(before));
    stream.cancel();
    expect((await failed).code).toBe(status.CANCELLED);
    ticks = 0;
    const answer = await ask('ModelInfer', {
      model_name: 'fp32',
      inputs: [{ name: 'fp32', datatype: 'FP32', shape: [1] }],
      raw_input_contents: [floats(5)],
    });
    expect(answer['raw_output_contents']).toEqual([floats(5)]);
  });
});

it('shows whoever may know of other endpoints only nothing of the rest, by no call', async () => {
  const named = { name: 'plain', version: '', model_name: 'plain' };
  const asked = { model_name: 'plain', inputs: [x(1)], raw_input_contents: [floats(1, 2)] };
  const reads = ['ModelReady', 'ModelMetadata', 'ModelConfig', 'ModelStatistics'].map((each) => [each, named] as const);
  for (const [method, request] of [...reads, ['ModelInfer', asked], ['TraceSetting', named]] as const) {
    const { code, details } = await refused(ask(method, request, bound));
    expect([method, code, details]).toEqual([method, status.NOT_FOUND, 'there is no endpoint plain']);
  }
  expect((await ask('RepositoryIndex', {}, bound))['models']).toEqual([]);
  expect((await ask('ModelStatistics', {}, bound))['model_stats']).toEqual([]);
});
