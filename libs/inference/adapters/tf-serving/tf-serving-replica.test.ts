import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { lookup } from 'node:dns';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { TargetProbe } from '../remote/target-probe.js';
import { TfServingReplica, type TfServingReplicaSettings } from './tf-serving-replica.js';
import type { Tensor, TensorSpec } from '../../tensors/tensor.js';

const call = { timeoutMs: 2_000 };
const foreign = { headers: () => ({ authorization: 'Bearer k' }), lookup, connectTimeoutMs: 1_000 };
const spec = (name: string, datatype: TensorSpec['datatype']): TensorSpec => ({ name, datatype, shape: [-1, -1] });
const floats = (name: string, shape: number[], ...data: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
});

let server: Server | undefined;
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  server?.closeAllConnections();
  server?.close();
});

interface Seen {
  url: string | undefined;
  authorization: string | undefined;
  body: string;
}

async function serve(answer: (seen: Seen) => string | RequestListener, change: Partial<TfServingReplicaSettings> = {}) {
  const seen: Seen[] = [];
  server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => (body += chunk.toString()));
    req.on('end', () => {
      seen.push({ url: req.url, authorization: req.headers.authorization, body });
      const given = answer(seen.at(-1)!);
      if (typeof given === 'string') res.end(given);
      else given(req, res);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const replica = new TfServingReplica({
    id: 'r',
    address: `${address}/base/v1/`,
    model: 'm',
    inputs: [spec('x', 'FP32'), spec('s', 'BYTES'), spec('h', 'FP16')],
    outputs: [spec('y', 'FP32')],
    foreign,
    ...change,
  });
  open.push(replica);
  return { replica, seen, address };
}

it('asks in columns or in rows, with the path, the version, the signature and the headers', async () => {
  const inputs = [
    floats('x', [2, 2], 1, -0, 16_777_216, 1e30),
    { name: 's', datatype: 'BYTES', shape: [2, 1], data: ['é', ''] },
  ] as Tensor[];
  const columns = await serve(() => '{"outputs":[[1.5]]}', { version: '3', signature: 'classify' });
  await columns.replica.infer(inputs, call);
  expect(columns.seen[0]).toEqual({
    url: '/base/v1/models/m/versions/3:predict',
    authorization: 'Bearer k',
    // Whole floats have a point: without it the server would take them for integers, and large ones for lossy.
    body: '{"signature_name":"classify","inputs":{"x":[[1.0,-0.0],[16777216.0,1.0000000150474662e+30]],"s":[[{"b64":"w6k="}],[{"b64":""}]]}}',
  });
  server?.close();
  const rows = await serve(() => '{"predictions":[[1.5]]}', { form: 'rows' });
  await rows.replica.infer(inputs, call);
  expect(JSON.parse(rows.seen[0]!.body)).toEqual({
    instances: [
      { x: [1, -0], s: [{ b64: 'w6k=' }] },
      { x: [16_777_216, Math.fround(1e30)], s: [{ b64: '' }] },
    ],
  });
  await rows.replica.infer([floats('x', [2, 1], 1, 2)], call);
  expect(rows.seen[1]!.body).toBe('{"instances":[[1.0],[2.0]]}');
});

it('carries infinities and NaN in both directions', async () => {
  const { replica, seen } = await serve(() => '{"outputs":[[NaN,Infinity],[-Infinity,1]]}');
  const [output] = await replica.infer([floats('x', [1, 3], NaN, Infinity, -Infinity)], call);
  expect(seen[0]!.body).toBe('{"inputs":{"x":[[NaN,Infinity,-Infinity]]}}');
  expect(output).toEqual(floats('y', [2, 2], NaN, Infinity, -Infinity, 1));
});

it.each<[string, TensorSpec[], 'columns' | 'rows', unknown]>([
  ['{"outputs":["a",{"b64":"w6k="}]}', [spec('t', 'BYTES')], 'columns', [['a', 'é']]],
  ['{"predictions":[{"b64":"YQ=="},{"b64":"Yg=="}]}', [spec('t', 'BYTES')], 'rows', [['a', 'b']]],
  [
    '{"outputs":{"a":[true,false],"b":[9223372036854775807,-1]}}',
    [spec('a', 'BOOL'), spec('b', 'INT64')],
    'columns',
    [Uint8Array.of(1, 0), BigInt64Array.of(9_223_372_036_854_775_807n, -1n)],
  ],
  [
    '{"predictions":[{"a":1,"b":[2]},{"a":3,"b":[4]}]}',
    [spec('a', 'INT8'), spec('b', 'FP64')],
    'rows',
    [Int8Array.of(1, 3), Float64Array.of(2, 4)],
  ],
  ['{"outputs":{"y":[100000000000000000000]}}', [spec('y', 'FP32')], 'columns', [Float32Array.of(1e20)]],
])('reads %s', async (text, outputs, form, data) => {
  const { replica } = await serve(() => text, { outputs, form });
  const tensors = await replica.infer([floats('x', [1, 1], 1)], call);
  expect(tensors.map((tensor) => tensor.data)).toEqual(data);
});

it.each<[string, TensorSpec[], string]>([
  ['<html>', [spec('y', 'FP32')], 'not valid JSON'],
  ['{"outputs": what others sent}', [spec('y', 'FP32')], 'read: it is not valid JSON'],
  ['null', [spec('y', 'FP32')], 'the answer has no outputs'],
  ['{"predictions":[1]}', [spec('y', 'FP32')], 'the answer has no outputs'],
  ['{"outputs":[[1,2],[3]]}', [spec('y', 'FP32')], 'output y is nested unevenly'],
  ['{"outputs":[1,[2]]}', [spec('y', 'FP32')], 'output y is nested unevenly'],
  ['{"outputs":["1"]}', [spec('y', 'FP32')], 'output y holds something that is no number'],
  ['{"outputs":[null]}', [spec('y', 'FP32')], 'output y holds something that is no number'],
  ['{"outputs":[1.5]}', [spec('y', 'INT32')], 'output y[0]: must be a whole number'],
  ['{"outputs":[300]}', [spec('y', 'INT8')], 'out of range for INT8'],
  ['{"outputs":[1]}', [spec('y', 'BYTES')], 'output y holds something that is no string'],
  ['{"outputs":[{"b64":"/w=="}]}', [spec('y', 'BYTES')], 'output y holds bytes that are no text'],
  ['{"outputs":{"z":[1]}}', [spec('y', 'FP32')], 'output y is missing'],
  ['{"outputs":[1,2]}', [spec('y', 'FP32'), spec('z', 'FP32')], 'stands without its name'],
])('blames the server for the answer %s', async (text, outputs, problem) => {
  const { replica } = await serve(() => text, { outputs });
  await expect(replica.infer([floats('x', [1, 1], 1)], call)).rejects.toMatchObject({
    kind: 'model',
    blame: 'replica',
    message: expect.stringContaining(problem) as string,
  });
});

it('refuses what the protocol cannot carry before it sends anything', async () => {
  const { replica, seen } = await serve(() => '{}', { form: 'rows' });
  const half: Tensor = { name: 'h', datatype: 'FP16', shape: [1, 1], data: Uint16Array.of(0) };
  await expect(replica.infer([half], call)).rejects.toMatchObject({
    kind: 'model',
    message: expect.stringContaining('FP16') as string,
  });
  await expect(
    replica.infer([{ ...half, name: 'z', datatype: 'FP32', data: Float32Array.of(0) }], call),
  ).rejects.toThrow('the model has no input z');
  const uneven = [floats('x', [2, 1], 1, 2), { name: 's', datatype: 'BYTES', shape: [1, 1], data: ['a'] } as Tensor];
  await expect(replica.infer(uneven, call)).rejects.toThrow('different numbers of rows');
  expect(seen).toEqual([]);
});

it('gives the error of the server, and is ready when a version is available, or KServe says so', async () => {
  let text = '{"error":"Servable not found for request: Latest(m)"}';
  let status = 404;
  const { replica, address } = await serve(() => (_req, res) => res.writeHead(status).end(text));
  const probe = new TargetProbe({
    protocol: 'tf-serving',
    address: `${address}/base`,
    model: 'm',
    timeoutMs: 1_000,
    foreign,
  });
  open.push(probe);
  await expect(replica.infer([floats('x', [1, 1], 1)], call)).rejects.toMatchObject({
    blame: 'replica',
    message: 'the server knows no such model or version (404)',
  });
  const states: [string, boolean][] = [
    ['{"model_version_status":[{"version":"1","state":"LOADING"}]}', false],
    ['{"model_version_status":[{"version":"1","state":"END"},{"version":"2","state":"AVAILABLE"}]}', true],
    ['{"name":"m","ready":"True"}', true],
    ['{"name":"m","ready":false}', false],
    ['ready', false],
  ];
  expect([await replica.isReady(), await probe.problem()]).toEqual([false, 'GET /base/v1/models/m answers 404']);
  status = 200;
  for (const [each, isReady] of states) {
    text = each;
    expect([each, await replica.isReady(), (await probe.problem()) === undefined]).toEqual([each, isReady, isReady]);
  }
});

it('describes the tensors of its signature', async () => {
  const tensor = (dtype: string, ...sizes: string[]) => ({
    dtype,
    tensor_shape: { dim: sizes.map((size) => ({ size })) },
  });
  const signature = {
    inputs: { x: tensor('DT_FLOAT', '-1', '4'), h: tensor('DT_HALF', '-1') },
    outputs: { y: tensor('DT_STRING', '-1') },
  };
  const text = JSON.stringify({
    model_spec: { name: 'm', version: '5' },
    metadata: { signature_def: { signature_def: { serving_default: signature } } },
  });
  const { replica } = await serve(() => text);
  expect(await replica.metadata()).toEqual({
    name: 'm',
    version: '5',
    platform: 'tensorflow_serving',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
    outputs: [{ name: 'y', datatype: 'BYTES', shape: [-1] }],
  });
  const other = await serve(() => text, { signature: 'other' });
  await expect(other.replica.metadata()).rejects.toThrow('the model has no signature other');
});
