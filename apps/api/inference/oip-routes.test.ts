import { defaultTenantId } from '#libs/access';
import { openAdmissions } from '../../../test/support/open-admissions.js';
import type { InferAsk, InferOutcome, LiveEndpoint, ServedVersion, ServingSnapshot } from '#libs/inference';
import { CallerPresence, pinnedArm, ServingStatistics } from '#libs/inference';
import { SluiceError, sluiceError } from '#libs/kernel';
import fastify, { type FastifyInstance } from 'fastify';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { oipProtocol, type OipPayload } from './oip-protocol.js';
import { oipRoutes, type OipRoutesOptions } from './oip-routes.js';
import { somePrincipal } from '../../../test/support/principal.js';

const version: ServedVersion = {
  key: 'dense/1',
  model: 'dense',
  version: '1',
  contentDigest: '',
  format: 'onnx',
  maxBatchRows: 64,
  isStackable: true,
  hasFreeSizes: false,
  task: 'tensors',
  settings: {},
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
};
const arm = { endpoint: 'scores', revision: 3, name: 'stable', weight: 100, version, bucketEnd: 10_000 };
const endpoint: LiveEndpoint = {
  name: 'scores',
  model: 'dense',
  revision: 3,
  arms: [arm],
  pinned: new Map([['1', { ...arm, name: pinnedArm, weight: 0 }]]),
};

let server: FastifyInstance;
type Ask = InferAsk<OipPayload>;
type Outcome = InferOutcome<OipPayload>;
let asked: Ask[];
let answer: (ask: Ask) => Promise<Outcome> | Outcome;
let isUp: boolean;
let isDraining: boolean;

beforeEach(async () => {
  asked = [];
  isUp = true;
  isDraining = false;
  answer = (ask) => {
    try {
      const request = ask.protocol.read(ask.body, version);
      const outputs = [
        {
          name: 'y',
          datatype: 'FP32' as const,
          shape: [request.inputs[0]!.shape[0]!, 1],
          data: Float32Array.from([0.5]),
        },
      ];
      return outcome({ payload: ask.protocol.write({ endpoint: ask.endpoint, version: '1', outputs }, request) });
    } catch (error) {
      return outcome({ error: error as SluiceError });
    }
  };
  server = fastify();
  await server.register(oipRoutes, options());
});
afterEach(() => server.close());

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
function outcome(part: Partial<Outcome>): Outcome {
  const payloadBytes = part.payload === undefined ? 0 : oipProtocol.bytesOf(part.payload);
  return { payload: undefined, payloadBytes, error: undefined, version: '1', arm: 'stable', traceparent, ...part };
}

function options(): OipRoutesOptions {
  const snapshot: ServingSnapshot = {
    endpoints: new Map([['scores', endpoint]]),
    versions: new Map(),
    replicas: new Map(),
  };
  return {
    inference: {
      infer: async (ask) => {
        asked.push(ask);
        return answer(ask);
      },
      hasReadyReplica: () => isUp,
      statistics: new ServingStatistics(),
      schedulingOf: () => undefined as never,
    },
    loading: { load: async () => undefined, unload: async () => undefined },
    settings: { traceSampling: undefined, isLevelEnabled: () => false },
    state: { endpoint: (name) => snapshot.endpoints.get(name), snapshot },
    admissions: openAdmissions,
    authenticate: (req) => {
      if (req.headers.authorization === undefined) throw sluiceError('SLU_ACCESS_KEY_MISSING');
      if (req.headers.authorization === 'Bearer bound') return somePrincipal({ endpoints: new Set(['other']) });
      if (req.headers.authorization !== 'Bearer good') throw sluiceError('SLU_ACCESS_KEY_INVALID');
      return somePrincipal({ id: 'k1' });
    },
    isReady: () => isUp,
    isDraining: () => isDraining,
    bodyLimitBytes: 2_000,
    bodyTimeoutSeconds: 1,
    version: '9.9.9',
  };
}

const key = { authorization: 'Bearer good' };
const good = { id: 'a', inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };

const post = (
  payload: string | Buffer | object,
  headers: Record<string, string> = {},
  url = '/v2/models/scores/infer',
) =>
  server.inject({ method: 'POST', url, headers: { ...key, 'content-type': 'application/json', ...headers }, payload });
const get = (url: string, headers: Record<string, string> = key) => server.inject({ method: 'GET', url, headers });

function binaryBody(bytes: Buffer, size: number, more: object = {}): { body: Buffer; headers: Record<string, string> } {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: size } }];
  const header = Buffer.from(JSON.stringify({ id: 'b', inputs, ...more }));
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(header.length),
  };
  return { body: Buffer.concat([header, bytes]), headers };
}

const twoFloats = Buffer.from(Float32Array.of(1, 2).buffer);

it('says that an answer came from the cache, and nothing of the kind otherwise', async () => {
  const fromModel = answer;
  expect((await post(good)).headers['sluice-cache']).toBeUndefined();
  answer = async (ask) => ({ ...(await fromModel(ask)), isCached: true });
  expect((await post(good)).headers['sluice-cache']).toBe('hit');
  for (const { tenant, keyId } of asked) expect([tenant, keyId]).toEqual([defaultTenantId, 'k1']);
});

it.each<[string, object, boolean]>([
  ['to which all outputs shall be binary', { parameters: { binary_data_output: true } }, true],
  ['to which one output shall be binary', { outputs: [{ name: 'y', parameters: { binary_data: true } }] }, true],
  [
    'to which all but this one shall be binary',
    { parameters: { binary_data_output: true }, outputs: [{ name: 'y', parameters: { binary_data: false } }] },
    false,
  ],
  ['that says nothing of its outputs', {}, false],
])('answers a request with binary tensors %s', async (_what, more, isBinary) => {
  const { body, headers } = binaryBody(twoFloats, 8, more);
  const response = await post(body, headers);
  expect(response.statusCode).toBe(200);
  expect(asked[0]!.protocol.read(asked[0]!.body, version).inputs[0]!.data).toEqual(Float32Array.of(1, 2));
  const headerLength = response.headers['inference-header-content-length'];
  if (!isBinary) {
    expect(headerLength).toBeUndefined();
    expect(response.json()).toMatchObject({ id: 'b', outputs: [{ name: 'y', data: [0.5] }] });
    return;
  }
  expect(response.headers['content-type']).toBe('application/octet-stream');
  const header = JSON.parse(response.rawPayload.toString('utf8', 0, Number(headerLength)));
  expect(header).toMatchObject({
    id: 'b',
    outputs: [{ name: 'y', shape: [1, 1], parameters: { binary_data_size: 4 } }],
  });
  expect(response.rawPayload.subarray(Number(headerLength))).toEqual(Buffer.from(Float32Array.of(0.5).buffer));
});

it('takes a header length that covers the whole body for JSON alone', async () => {
  const text = JSON.stringify(good);
  const response = await post(text, { 'inference-header-content-length': String(text.length) });
  expect(response.json()).toMatchObject({ id: 'a', outputs: [{ data: [0.5] }] });
});

it('answers an infer request, and tells its id, arm, version and trace', async () => {
  const response = await post(good, { 'sluice-sticky-key': 'ann', traceparent });
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual({
    model_name: 'scores',
    model_version: '1',
    id: 'a',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 1], data: [0.5] }],
  });
  expect(response.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'sluice-model-version': '1',
    'sluice-arm': 'stable',
    traceparent,
    'sluice-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  expect(asked[0]).toMatchObject({
    endpoint: 'scores',
    version: undefined,
    stickyKey: 'ann',
    keyId: 'k1',
    traceparent,
    requestId: response.headers['sluice-request-id'],
    bytesIn: JSON.stringify(good).length,
  });
});

it('takes the version from the path and the sticky key from the parameters', async () => {
  await post({ ...good, parameters: { sticky_key: 'bob' } }, {}, '/v2/models/scores/versions/1/infer');
  expect(asked[0]!.version).toBe('1');
  expect(asked[0]!.protocol.stickyKeyOf(asked[0]!.body)).toBe('bob');
});

it.each<[what: string, payload: string | Buffer, headers: Record<string, string>, status: number, text: RegExp]>([
  ['malformed JSON', '{"inputs": [', {}, 400, /not valid JSON/],
  [
    'malformed JSON with its place but not its text',
    '{"inputs": ["hush" 1]}',
    {},
    400,
    /^the body is not valid JSON \(at character 19\)$/,
  ],
  ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400, /not valid JSON/],
  ['an empty body', '', {}, 400, /body is empty/],
  ['a body that is no object', '[1]', {}, 400, /body/],
  ['null', 'null', {}, 400, /body/],
  [
    'a wrong content type',
    'a=1',
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    /application\/x-www-form-urlencoded .*application\/json/,
  ],
  ['a content type that is none', '{}', { 'content-type': ';;' }, 415, /application\/json/],
  ['a body compressed with br', '{}', { 'content-encoding': 'br' }, 415, /br is not accepted.*gzip or deflate/],
  ['a body that is not what it says', '{}', { 'content-encoding': 'gzip' }, 400, /not valid gzip/],
  [
    'a header length that is no number',
    '{}    ',
    { 'inference-header-content-length': '-2' },
    400,
    /whole number of bytes/,
  ],
  ['raw bytes of no whole row', '{}    ', { 'inference-header-content-length': '0' }, 400, /wants a multiple of 8/],
  [
    'a header length beyond the body',
    '{}',
    { 'inference-header-content-length': '9' },
    400,
    /is 9, but the body has only 2/,
  ],
  [
    'a header that is no JSON',
    '{"a}',
    { 'inference-header-content-length': '3' },
    400,
    /the JSON header is not valid JSON/,
  ],
  [
    'half a binary tensor',
    binaryBody(Buffer.alloc(4), 8).body,
    binaryBody(Buffer.alloc(4), 8).headers,
    400,
    /binary_data_size: is 8, but the body holds only 4/,
  ],
  [
    'a binary tensor of another size than its shape',
    binaryBody(Buffer.alloc(4), 4).body,
    binaryBody(Buffer.alloc(4), 4).headers,
    400,
    /has 4 bytes, but its shape and datatype FP32 want 8/,
  ],
  [
    'bytes behind the last tensor',
    binaryBody(Buffer.alloc(9), 8).body,
    binaryBody(Buffer.alloc(9), 8).headers,
    400,
    /holds 1 bytes behind the last tensor/,
  ],
  ['a huge body', JSON.stringify({ pad: 'x'.repeat(3_000) }), {}, 413, /limit of 2000 bytes/],
  ['an absurdly huge body', JSON.stringify({ pad: 'x'.repeat(30_000) }), {}, 413, /limit of 2000 bytes/],
  [
    'a wrong datatype',
    JSON.stringify({ inputs: [{ ...good.inputs[0], datatype: 'INT8' }] }),
    {},
    400,
    /inputs\[0\]\.datatype/,
  ],
])('refuses %s in the shape of the protocol', async (_what, payload, headers, status, text) => {
  const response = await post(payload, headers);
  expect(response.statusCode).toBe(status);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(response.headers['sluice-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  const body = response.json() as { error: string };
  expect(Object.keys(body)).toEqual(['error']);
  expect(body.error).toMatch(text);
});

it('takes a body without a content type as JSON, as Triton clients send it', async () => {
  const response = await server.inject({
    method: 'POST',
    url: '/v2/models/scores/infer',
    headers: key,
    payload: Buffer.from(JSON.stringify(good)),
  });
  expect(response.statusCode).toBe(200);
});

it.each([
  '/v2',
  '/v2/models/scores/infer',
  '/v2/repository/index',
  '/v2/models/scores',
  '/v2/models/scores/ready',
  '/v2/nothing',
])('is closed without a key: %s', async (url) => {
  const method = url.endsWith('infer') || url.endsWith('index') ? 'POST' : 'GET';
  const response = await server.inject({ method, url });
  expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, 'Bearer']);
  expect(response.json()).toEqual({ error: expect.stringContaining('API key') });
  expect((await server.inject({ method, url, headers: { authorization: 'Bearer bad' } })).statusCode).toBe(401);
  expect(asked).toHaveLength(0);
});

it.each(['key', 'api_key', 'access_token', 'API_KEY'])('refuses a key in the query string: %s', async (name) => {
  for (const url of ['/v2/models/scores', '/v2/health/live', '/v2']) {
    const response = await get(`${url}?a=1&${name}=slu_secret`);
    expect(response.statusCode).toBe(400);
    expect(response.body).not.toContain('slu_secret');
  }
});

it('describes the server', async () => {
  expect((await get('/v2')).json()).toMatchObject({ name: 'sluice', version: '9.9.9' });
});

it('is open for health', async () => {
  expect((await get('/v2/health/live', {})).json()).toEqual({ live: true });
  expect((await get('/v2/health/ready', {})).json()).toEqual({ ready: true });
  isUp = false;
  const notReady = await get('/v2/health/ready', {});
  expect([notReady.statusCode, notReady.headers['retry-after']]).toEqual([503, '1']);
});

it('describes an endpoint and its versions', async () => {
  const expected = {
    name: 'scores',
    versions: ['1'],
    platform: 'onnx_onnxv1',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
  };
  expect((await get('/v2/models/scores')).json()).toEqual(expected);
  expect((await get('/v2/models/scores/versions/1')).json()).toEqual(expected);
  expect((await get('/v2/models/scores/versions/8')).statusCode).toBe(404);
  expect((await get('/v2/models/other')).json()).toEqual({ error: 'there is no endpoint other' });
});

it('tells whether an endpoint or a version can answer now', async () => {
  for (const url of ['/v2/models/scores/ready', '/v2/models/scores/versions/1/ready']) {
    isUp = true;
    expect((await get(url)).json()).toEqual({ name: 'scores', ready: true });
    isUp = false;
    const response = await get(url);
    expect([response.statusCode, response.headers['retry-after'], response.json()]).toEqual([
      503,
      '1',
      { name: 'scores', ready: false },
    ]);
  }
});

it('lists the repository, with and without a body', async () => {
  const index = async (payload?: object) =>
    (
      await server.inject({ method: 'POST', url: '/v2/repository/index', headers: key, ...(payload && { payload }) })
    ).json();
  expect(await index()).toEqual([{ name: 'scores', version: '1', state: 'READY', reason: '' }]);
  isUp = false;
  expect(await index()).toEqual([
    { name: 'scores', version: '1', state: 'UNAVAILABLE', reason: 'no replica was started' },
  ]);
  expect(await index({ ready: true })).toEqual([]);
});

it('tells a wrong method from a wrong path', async () => {
  const wrongMethod = await get('/v2/models/scores/infer');
  expect([wrongMethod.statusCode, wrongMethod.headers['allow'], wrongMethod.json()]).toEqual([
    405,
    'POST',
    { error: '/v2/models/scores/infer does not answer GET' },
  ]);
  expect((await get('/v2/modelz')).statusCode).toBe(404);
});

it('passes failures of inference on with arm, version and Retry-After', async () => {
  answer = () =>
    outcome({
      error: sluiceError(
        'SLU_INFERENCE_QUEUE_FULL',
        { endpoint: 'scores', retryAfterSeconds: 3 },
        { retryAfterSeconds: 3 },
      ),
    });
  const response = await post(good);
  expect(response.statusCode).toBe(503);
  expect(response.headers).toMatchObject({
    'retry-after': '3',
    'sluice-arm': 'stable',
    'sluice-model-version': '1',
    traceparent,
  });
  answer = () => {
    throw new Error('the inside of the house');
  };
  const broken = await post(good);
  expect(broken.statusCode).toBe(500);
  expect(broken.body).not.toContain('house');
});

it('refuses inference while draining, before the body is read', async () => {
  isDraining = true;
  const response = await post(good);
  expect([response.statusCode, response.headers['retry-after'], response.headers['connection']]).toEqual([
    503,
    '2',
    'close',
  ]);
  expect(asked).toHaveLength(0);
});

async function rawExchange(write: (socket: ReturnType<typeof connect>) => void): Promise<string> {
  await server.listen({ port: 0, host: '127.0.0.1' });
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('error', () => undefined);
  write(socket);
  await once(socket, 'close');
  return received;
}

const head =
  'POST /v2/models/scores/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Type: application/json\r\n';

it('ends a body that does not arrive, and answers before it hangs up', async () => {
  const received = await rawExchange((socket) => socket.write(`${head}Content-Length: 100\r\n\r\n{"inputs"`));
  expect(received).toContain('HTTP/1.1 408');
  expect(received).toContain('{"error":"the body did not arrive within 1 seconds"}');
});

it('answers 413 to a client that writes its whole body before it reads', async () => {
  const chunk = 'x'.repeat(6_000);
  const received = await rawExchange((socket) =>
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n${(6_000).toString(16)}\r\n${chunk}\r\n0\r\n\r\n`),
  );
  expect(received).toContain('HTTP/1.1 413');
});

it('tells the batcher when a client hangs up before its answer', async () => {
  let release = (): void => undefined;
  answer = async () => {
    await new Promise<void>((resolve) => (release = resolve));
    return outcome({ payload: { body: '{}', headerLength: undefined } });
  };
  const left = new Promise<void>((resolve) => {
    const before = answer;
    answer = async (ask) => {
      const presence = ask.caller;
      expect(presence).toBeInstanceOf(CallerPresence);
      presence!.await({ abandon: resolve });
      return before(ask);
    };
  });
  const body = JSON.stringify(good);
  await rawExchange((socket) => {
    socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    const look = setInterval(() => {
      if (asked.length === 0) return;
      clearInterval(look);
      socket.destroy();
    }, 5);
  });
  await left;
  expect(asked[0]!.caller!.isGone).toBe(true);
  release();
});

it('shows whoever may know of other endpoints only neither this one nor a difference from one that there is not', async () => {
  const bound = { authorization: 'Bearer bound' };
  for (const path of ['', '/config', '/stats', '/ready', '/trace/setting', '/versions/1', '/versions/1/ready']) {
    const [hidden, absent] = await Promise.all(
      ['scores', 'absent'].map((name) => get(`/v2/models/${name}${path}`, bound)),
    );
    expect([path, (await get(`/v2/models/scores${path}`)).statusCode]).not.toEqual([path, 404]);
    expect([path, hidden!.statusCode]).toEqual([path, 404]);
    expect(hidden!.body.replaceAll('scores', 'absent')).toBe(absent!.body);
    const rest = { date: '', 'content-length': '', 'sluice-request-id': '' };
    expect({ ...hidden!.headers, ...rest }).toEqual({ ...absent!.headers, ...rest });
  }
  const index = await server.inject({ method: 'POST', url: '/v2/repository/index', headers: bound });
  expect([index.json(), (await get('/v2/models/stats', bound)).json()]).toEqual([[], { model_stats: [] }]);
  await post(good, bound);
  expect(asked.at(-1)?.visible).toEqual(new Set(['other']));
});
