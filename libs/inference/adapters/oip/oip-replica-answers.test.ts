import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import type { ReplicaFailureKind } from '../../ports/replica.js';
import { OipReplica } from './oip-replica.js';

let server: Server | undefined;
let replica: OipReplica | undefined;

afterEach(async () => {
  await replica?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  server?.close();
});

/** A server of another make, over TCP. */
async function replicaOf(listener: RequestListener): Promise<OipReplica> {
  server = createServer(listener);
  await new Promise<void>((resolve) => void server!.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  replica = new OipReplica({ id: 'r', address: `http://127.0.0.1:${port}`, model: 'm', version: '1' });
  return replica;
}

const inferOnce = (asked: OipReplica, traceparent?: string) =>
  asked.infer([{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }], {
    timeoutMs: 2_000,
    traceparent,
  });

it('reads an answer that is wholly JSON, as some servers give for some outputs', async () => {
  const outputs = [{ name: 'y', datatype: 'INT64', shape: [1], data: [7] }];
  const asked = await replicaOf((_req, res) => res.end(JSON.stringify({ model_name: 'm', outputs })));
  expect(await inferOnce(asked)).toEqual([{ ...outputs[0], data: BigInt64Array.of(7n) }]);
});

it('asks by the protocol: path, header length, and the trace to go on with', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const seen: Record<string, unknown>[] = [];
  const asked = await replicaOf((req, res) => {
    seen.push({ method: req.method, url: req.url, ...req.headers });
    res.end('{"outputs":[]}');
  });
  await inferOnce(asked, traceparent);
  expect(seen[0]).toMatchObject({ method: 'POST', url: '/v2/models/m/versions/1/infer', traceparent });
  expect(Number(seen[0]!['inference-header-content-length'])).toBe(Number(seen[0]!['content-length']) - 4);
});

it.each<[string, ReplicaFailureKind, string, RequestListener]>([
  [
    'an error of the model',
    'model',
    'division by zero',
    (_req, res) => res.writeHead(500).end('{"error":"division by zero"}'),
  ],
  ['an error without a text', 'model', 'gave no reason', (_req, res) => res.writeHead(400).end('<html>')],
  ['a server that is not ready', 'lost', 'loading', (_req, res) => res.writeHead(503).end('{"error":"loading"}')],
  ['a gateway that waited in vain', 'timeout', 'gave no reason', (_req, res) => res.writeHead(504).end()],
  [
    'half an answer',
    'lost',
    'connection',
    (_req, res) => {
      res.writeHead(200, { 'content-length': 100 });
      res.write('{"outputs"', () => res.destroy());
    },
  ],
  ['a connection that ends', 'lost', 'connection', (req) => req.socket.destroy()],
  ['an answer that is no JSON', 'model', 'are not JSON', (_req, res) => res.end('no')],
  [
    'a lying header length',
    'model',
    'inference-header-content-length',
    (_req, res) => res.writeHead(200, { 'inference-header-content-length': '99' }).end('{}'),
  ],
  [
    'a tensor that is cut off',
    'model',
    'holds only 2 more bytes',
    (_req, res) => {
      const header = JSON.stringify({
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } }],
      });
      res.writeHead(200, { 'inference-header-content-length': header.length }).end(`${header}ab`);
    },
  ],
])('turns %s into a failure of kind "%s"', async (_what, kind, text, listener) => {
  const asked = await replicaOf(listener);
  await expect(inferOnce(asked)).rejects.toMatchObject({
    name: 'ReplicaFailure',
    kind,
    message: expect.stringContaining(text) as unknown,
  });
});

it('counts the wait for a connection into the time of a call', async () => {
  const asked = await replicaOf(() => undefined);
  const calls = Array.from({ length: 12 }, () => asked.infer([], { timeoutMs: 50 }));
  const outcomes = await Promise.allSettled(calls);
  expect(
    outcomes.every(
      (outcome) => outcome.status === 'rejected' && (outcome.reason as { kind: string }).kind === 'timeout',
    ),
  ).toBe(true);
});

it('loses its calls, and takes no more, once it is disposed of', async () => {
  const asked = await replicaOf(() => undefined);
  const call = inferOnce(asked);
  const lost = expect(call).rejects.toMatchObject({ kind: 'lost' });
  await asked[Symbol.asyncDispose]();
  await lost;
  await expect(inferOnce(asked)).rejects.toMatchObject({ kind: 'lost' });
});
