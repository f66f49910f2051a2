import { openAdmissions } from '../../../test/support/open-admissions.js';
import { datatypeNames, pinnedArm, ServingStatistics, type LiveEndpoint, type ServedVersion } from '#libs/inference';
import { isSluiceError, sluiceError } from '#libs/kernel';
import fc from 'fast-check';
import fastify, { type FastifyInstance } from 'fastify';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { BinaryBody } from './oip-body.js';
import { oipProtocol } from './oip-protocol.js';
import { oipRoutes } from './oip-routes.js';
import { somePrincipal } from '../../../test/support/principal.js';

/** Gives each input back under its own name; an input of each datatype, and one text. */
function mirror(inputs: ServedVersion['inputs']): ServedVersion {
  return {
    key: 'mirror/1',
    model: 'mirror',
    version: '1',
    contentDigest: '',
    format: 'onnx',
    maxBatchRows: 64,
    isStackable: true,
    hasFreeSizes: true,
    task: 'tensors',
    settings: {},
    inputs,
    outputs: inputs,
  };
}
const versions: Record<string, ServedVersion> = {
  all: mirror(datatypeNames.map((datatype) => ({ name: datatype.toLowerCase(), datatype, shape: [-1, -1] }))),
  floats: mirror([{ name: 'x', datatype: 'FP32', shape: [-1, 2] }]),
  text: mirror([{ name: 's', datatype: 'BYTES', shape: [-1] }]),
};

const limitBytes = 100_000;
const fuzzExamples = Number(process.env['SLUICE_FUZZ_EXAMPLES'] ?? 20);
let server: FastifyInstance;
let bytesIn: number[];

beforeEach(async () => {
  bytesIn = [];
  server = fastify();
  const endpointOf = (name: string): LiveEndpoint | undefined => {
    const version = versions[name];
    if (version === undefined) return undefined;
    const arm = { endpoint: name, revision: 1, name: pinnedArm, weight: 0, version, bucketEnd: 0 };
    return { name, model: 'mirror', revision: 1, arms: [arm], pinned: new Map([['1', arm]]) };
  };
  await server.register(oipRoutes, {
    inference: {
      infer: async (ask) => {
        bytesIn.push(ask.bytesIn);
        const head = { version: '1', arm: 'stable', traceparent: '' };
        try {
          const asked = ask.protocol.read(ask.body, versions[ask.endpoint]!);
          const payload = ask.protocol.write({ endpoint: ask.endpoint, version: '1', outputs: asked.inputs }, asked);
          return { ...head, payload, payloadBytes: oipProtocol.bytesOf(payload), error: undefined };
        } catch (error) {
          const known = isSluiceError(error) ? error : sluiceError('SLU_INTERNAL');
          return { ...head, payload: undefined, payloadBytes: 0, error: known };
        }
      },
      hasReadyReplica: () => true,
      statistics: new ServingStatistics(),
      schedulingOf: () => undefined as never,
    },
    state: { endpoint: endpointOf, snapshot: { endpoints: new Map(), versions: new Map(), replicas: new Map() } },
    loading: { load: async () => undefined, unload: async () => undefined },
    settings: { traceSampling: undefined, isLevelEnabled: () => true },
    admissions: openAdmissions,
    authenticate: () => somePrincipal({ id: 'k' }),
    isReady: () => true,
    isDraining: () => false,
    bodyLimitBytes: limitBytes,
    bodyTimeoutSeconds: 1,
    version: '0',
  });
});
afterEach(() => server.close());

const post = (model: string, payload: string | Buffer, headers: Record<string, string | number> = {}) =>
  server.inject({
    method: 'POST',
    url: `/v2/models/${model}/infer`,
    headers: { 'content-type': 'application/json', ...headers },
    payload,
  });
const asking = (data: unknown, more: object = {}): string =>
  JSON.stringify({ inputs: [{ name: 's', datatype: 'BYTES', shape: [1], data }], ...more });
const binaryOf = (response: Awaited<ReturnType<typeof post>>): { head: any; tail: Buffer } => {
  const length = Number(response.headers['inference-header-content-length']);
  return {
    head: JSON.parse(response.rawPayload.toString('utf8', 0, length)),
    tail: response.rawPayload.subarray(length),
  };
};

describe('a compressed body', () => {
  it.each([
    ['gzip', gzipSync],
    ['GZip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
  ])('is unpacked: %s', async (encoding, pack) => {
    const text = asking(['a'.repeat(5_000)]);
    const response = await post('text', pack(text), { 'content-encoding': encoding });
    expect(response.json()).toMatchObject({ outputs: [{ data: ['a'.repeat(5_000)] }] });
    // What it holds in memory counts, not what went over the line.
    expect(bytesIn).toEqual([text.length]);
  });

  it('may hold binary tensors behind its header, whose length is the unpacked one', async () => {
    const head = JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }],
    });
    const body = Buffer.concat([Buffer.from(head), Buffer.from(Float32Array.of(1, 2).buffer)]);
    const headers = { 'content-encoding': 'gzip', 'inference-header-content-length': head.length };
    expect((await post('floats', gzipSync(body), headers)).json()).toMatchObject({ outputs: [{ data: [1, 2] }] });
  });

  it.each<[string, Buffer, string, number, RegExp]>([
    ['is cut off', gzipSync(asking(['a'])).subarray(0, -9), 'gzip', 400, /not valid gzip/],
    ['has a wrong check sum', damaged(gzipSync(asking(['a']))), 'gzip', 400, /not valid gzip/],
    ['is something else', Buffer.from(asking(['a'])), 'deflate', 400, /not valid deflate/],
    ['is gzip and says deflate', gzipSync(asking(['a'])), 'deflate', 400, /not valid deflate/],
    ['is packed twice', gzipSync(gzipSync(asking(['a']))), 'gzip, gzip', 415, /gzip, gzip is not accepted/],
    ['is in a coding that nobody knows', Buffer.from('x'), 'br', 415, /gzip or deflate/],
    ['unpacks to too much', gzipSync(asking(['a'.repeat(limitBytes)])), 'gzip', 413, /limit of 100000 bytes/],
    ['is no JSON', gzipSync('{'), 'gzip', 400, /not valid JSON/],
  ])('is refused when it %s', async (_what, body, encoding, status, text) => {
    const response = await post('text', body, { 'content-encoding': encoding });
    expect(response.statusCode).toBe(status);
    expect(response.json()).toEqual({ error: expect.stringMatching(text) });
    expect(bytesIn).toEqual([]);
  });

  it('is not unpacked any further once it is too large, however much there is to come', async () => {
    // 16 MiB of zeros in 16 KiB.
    const bomb = gzipSync(Buffer.alloc(2 ** 24));
    const before = process.memoryUsage().arrayBuffers;
    const headers = { 'content-encoding': 'gzip' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => post('text', bomb, headers)));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(new Array(8).fill(413));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });

  it('that stops in the middle is given up on, and its connection answered', async () => {
    await server.listen({ port: 0, host: '127.0.0.1' });
    const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += chunk.toString()));
    const half = gzipSync(asking(['a'])).subarray(0, 20);
    socket.write(
      'POST /v2/models/text/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
        'Content-Encoding: gzip\r\nContent-Length: 100\r\n\r\n',
    );
    socket.write(half);
    await once(socket, 'close');
    expect(received).toContain('HTTP/1.1 408');
  });
});

function damaged(packed: Buffer): Buffer {
  packed[packed.length - 6]! ^= 0xff;
  return packed;
}

describe('an answer', () => {
  const long = asking(['long '.repeat(1_000)]);
  it.each([
    ['gzip', 'gzip', gunzipSync],
    ['deflate', 'deflate', inflateSync],
    ['gzip, deflate', 'gzip', gunzipSync],
    ['deflate, gzip', 'gzip', gunzipSync],
    ['gzip;q=0.1, deflate;q=0.9', 'deflate', inflateSync],
    ['br, GZIP ; q=0.5', 'gzip', gunzipSync],
  ])('is compressed as its caller likes best: %s', async (accepted, coding, unpack) => {
    const response = await post('text', long, { 'accept-encoding': accepted });
    expect(response.headers).toMatchObject({ 'content-encoding': coding, vary: 'accept-encoding' });
    expect(Number(response.headers['content-length'])).toBe(response.rawPayload.length);
    expect(JSON.parse(unpack(response.rawPayload).toString())).toMatchObject({
      outputs: [{ data: ['long '.repeat(1_000)] }],
    });
  });

  it.each(['', 'br', 'identity', 'gzip;q=0', 'gzip;q=nonsense', '*;q=0'])(
    'is plain for a caller that accepts "%s"',
    async (accepted) => {
      const response = await post('text', long, { 'accept-encoding': accepted });
      expect(response.headers['content-encoding']).toBeUndefined();
      expect(response.json()).toHaveProperty('outputs');
    },
  );

  it('is plain when it is small', async () => {
    expect((await post('text', asking(['a']), { 'accept-encoding': 'gzip' })).headers['content-encoding']).toBe(
      undefined,
    );
  });

  it('keeps the length of its header when it is compressed and binary', async () => {
    const values = Array.from({ length: 1_000 }, (_none, index) => index);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [500, 2], data: values }];
    const body = JSON.stringify({ inputs, parameters: { binary_data_output: true } });
    const response = await post('floats', body, { 'accept-encoding': 'gzip' });
    const whole = gunzipSync(response.rawPayload);
    const tail = whole.subarray(Number(response.headers['inference-header-content-length']));
    expect(tail).toEqual(Buffer.from(Float32Array.from(values).buffer));
  });
});

describe('raw bytes alone', () => {
  const raw = { 'inference-header-content-length': 0, 'content-type': 'application/octet-stream' };
  it('are the one input of the model, and the answer is binary', async () => {
    const bytes = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
    const { head, tail } = binaryOf(await post('floats', bytes, raw));
    expect(head.outputs).toEqual([
      { name: 'x', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } },
    ]);
    expect(tail).toEqual(bytes);
  });

  it('are one text for BYTES, without a length in front', async () => {
    const { head, tail } = binaryOf(await post('text', Buffer.from('grün'), raw));
    expect(head.outputs[0].shape).toEqual([1]);
    expect(tail.subarray(4).toString()).toBe('grün');
  });

  it('are refused for a model with more inputs', async () => {
    const response = await post('all', Buffer.alloc(8), raw);
    expect([response.statusCode, response.json().error]).toEqual([400, expect.stringContaining('has 14 inputs')]);
  });
});

it.each([
  ['FP16', [0.5, -2, 65_504, 0], Uint16Array.of(0x3800, 0xc000, 0x7bff, 0)],
  ['BF16', [0.5, -2, 1, 0], Uint16Array.of(0x3f00, 0xc000, 0x3f80, 0)],
])('carries %s in JSON as numbers and in binary as their bits, both ways', (datatype, numbers, bits) => {
  const model = mirror([{ name: 'h', datatype: datatype as 'FP16', shape: [-1] }]);
  const bytes = Buffer.from(bits.buffer);
  const json = oipProtocol.read({ inputs: [{ name: 'h', datatype, shape: [4], data: numbers }] }, model);
  expect(json.inputs[0]!.data).toEqual(bits);
  const answer = oipProtocol.write({ endpoint: 'e', version: '1', outputs: json.inputs }, json).body;
  expect(JSON.parse(answer as string).outputs[0].data).toEqual(numbers);
  const head = { inputs: [{ name: 'h', datatype, shape: [4], parameters: { binary_data_size: 8 } }] };
  expect(oipProtocol.read(new BinaryBody(head, bytes), model).inputs[0]!.data).toEqual(bits);
});

describe('JSON that is more than it seems', () => {
  it.each<[string, string, number, RegExp]>([
    ['ninety thousand open brackets', '['.repeat(90_000), 400, /not valid JSON/],
    [
      'data nested deeper than the shape',
      asking(['A']).replace('"A"', `${'['.repeat(20_000)}1${']'.repeat(20_000)}`),
      400,
      /data\[0\]: must be a string, not an array/,
    ],
    [
      'data nested in nine thousand objects',
      asking(['A']).replace('["A"]', `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`),
      400,
      /data: must be an array/,
    ],
    ['an id that would be a page', asking(['a'], { id: 'x'.repeat(9_000) }), 400, /at most 256/],
    ['a number with fifty thousand digits', asking(['A']).replace('"A"', '1'.repeat(50_000)), 400, /must be a string/],
    ['half of a surrogate pair', asking(['A']).replace('A', '\\ud800'), 400, /half of a surrogate pair/],
    ['a NUL', asking(['\u0000']), 400, /holds a NUL/],
  ])('is refused: %s', async (_what, body, status, text) => {
    const response = await post('text', body);
    expect(response.statusCode).toBe(status);
    expect(response.json()).toEqual({ error: expect.stringMatching(text) });
    expect(response.body.length).toBeLessThan(400);
  });

  it('counts the last of two members with one name, and no member of the prototype', async () => {
    const twice =
      '{"inputs":"no","inputs":[{"name":"s","datatype":"FP32","datatype":"BYTES","shape":[1],"data":["b"]}]}';
    expect((await post('text', twice)).json()).toMatchObject({ outputs: [{ data: ['b'] }] });
    const prototype = '{"__proto__":{"inputs":[]},"constructor":1}';
    expect((await post('text', prototype)).json()).toEqual({ error: expect.stringContaining('inputs: is missing') });
  });

  it('takes no longer for random bytes than it takes to say so', async () => {
    for (let round = 0; round < 50; round += 1) {
      const body = randomBytes(1 + round * 40);
      const headers = { 'inference-header-content-length': round * 7, 'content-type': 'application/octet-stream' };
      const response = await post('all', body, headers);
      expect(response.statusCode).toBe(400);
    }
  });

  it(
    'is answered or refused with one sentence, whatever stands in place of whatever part of a good request',
    async () => {
      const good = {
        id: 'a',
        parameters: { priority: 1, timeout: 1_000_000, binary_data_output: false },
        inputs: versions['all']!.inputs.map(({ name, datatype }) => {
          const value = datatype === 'BYTES' ? 'text' : datatype === 'BOOL' ? true : 1;
          return { name, datatype, shape: [1, 2], parameters: { unknown: 1 }, data: [value, value] };
        }),
        outputs: [{ name: 'fp32', parameters: { classification: 1 } }, { name: 'bytes' }],
      };
      expect((await post('all', JSON.stringify(good))).statusCode).toBe(200);
      const paths = pathsOf(good);
      const seen = new Set<number>();
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...paths),
          fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(2 ** 31, 2 ** 53, -1, 1e308, '', '\0', '__proto__')),
          async (path, value) => {
            const response = await post('all', JSON.stringify(replaced(good, path, value)));
            seen.add(response.statusCode);
            if (response.statusCode === 200) return;
            expect(response.statusCode).toBe(400);
            const { error } = response.json() as { error: string };
            expect(error).toMatch(/^[A-Za-z]/);
            expect(error.length).toBeLessThan(400);
          },
        ),
        { numRuns: fuzzExamples * 50 },
      );
      expect(seen).toEqual(new Set([200, 400]));
    },
    30_000 + fuzzExamples * 1_000,
  );
});

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

function replaced(whole: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const copy: any = Array.isArray(whole) ? [...whole] : { ...(whole as object) };
  copy[key] = replaced(copy[key], rest, value);
  return copy;
}
