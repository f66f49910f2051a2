import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { lookup } from 'node:dns';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { OutboundGuard } from '#libs/platform';
import type { Tensor } from '../../tensors/tensor.js';
import { OipReplica, type OipReplicaSettings } from './oip-replica.js';

const call = { timeoutMs: 2_000 };
const x: Tensor = { name: 'x', datatype: 'INT64', shape: [1], data: BigInt64Array.of(2n ** 62n + 1n) };
const foreign = { headers: () => ({ 'x-key': 'k' }), lookup, connectTimeoutMs: 1_000 };

let server: Server | undefined;
let replica: OipReplica | undefined;
afterEach(async () => {
  await replica?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  server?.close();
});

interface Seen {
  url: string | undefined;
  key: unknown;
  isBinary: boolean;
  body: string;
}

async function serve(metadata: string | number, answer: string, change: Partial<OipReplicaSettings> = {}) {
  const seen: Seen[] = [];
  server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    req.on('end', () => {
      const isBinary = req.headers['inference-header-content-length'] !== undefined;
      seen.push({ url: req.url, key: req.headers['x-key'], isBinary, body });
      if (!req.url!.endsWith('/v2')) res.end(answer);
      else if (typeof metadata === 'number') res.writeHead(metadata).end('{}');
      else res.end(metadata);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  replica = new OipReplica({
    id: 'r',
    address: `http://127.0.0.1:${port}/serving/v2/`,
    model: 'a/b',
    foreign,
    ...change,
  });
  return { replica, seen };
}

const answer = '{"outputs":[{"name":"y","datatype":"INT64","shape":[2],"data":[4611686018427387905,-1]}]}';

it('asks a foreign server once whether it takes binary tensors, by its own paths and with its headers', async () => {
  const { replica: asked, seen } = await serve(
    '{"name":"triton","extensions":["classification","binary_tensor_data"]}',
    answer,
  );
  await Promise.all([asked.infer([x], call), asked.infer([x], call)]);
  expect(seen.map(({ url, key, isBinary }) => [url, key, isBinary]).sort()).toEqual([
    ['/serving/v2', 'k', false],
    ['/serving/v2/models/a%2Fb/infer', 'k', true],
    ['/serving/v2/models/a%2Fb/infer', 'k', true],
  ]);
});

it.each<[string, string | number]>([
  ['names no such extension', '{"name":"mlserver","extensions":[]}'],
  ['names none', '{}'],
  ['answers something else', 'hello'],
  ['has no metadata', 404],
])('speaks JSON with a server that %s, and keeps all digits', async (_what, metadata) => {
  const { replica: asked, seen } = await serve(metadata, answer, { version: '7' });
  const [output] = await asked.infer([x], call);
  expect(output!.data).toEqual(BigInt64Array.of(4_611_686_018_427_387_905n, -1n));
  expect(seen.at(-1)).toMatchObject({
    url: '/serving/v2/models/a%2Fb/versions/7/infer',
    isBinary: false,
    body: '{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[4611686018427387905]}]}',
  });
});

it('asks again when the server could not say what it takes', async () => {
  const { replica: asked, seen } = await serve(503, answer);
  for (let count = 0; count < 2; count += 1)
    await expect(asked.infer([x], call)).rejects.toMatchObject({ kind: 'lost' });
  expect(seen.map(({ url }) => url)).toEqual(['/serving/v2', '/serving/v2']);
});

it('refuses what JSON cannot carry, and blames the server for what nobody can read', async () => {
  const { replica: asked } = await serve('{}', '<html>please log in</html>');
  const infinite: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(Infinity) };
  await expect(asked.infer([infinite], call)).rejects.toMatchObject({ kind: 'model', blame: 'input' });
  await expect(asked.infer([x], call)).rejects.toMatchObject({ kind: 'model', blame: 'replica' });
});

it('connects to no name that resolves to a refused address', async () => {
  const guard = new OutboundGuard({ unlisted: 'any', setting: '' });
  const lookup = guard.lookupFor(new URL('http://metadata.test:80'));
  const { replica: asked } = await serve('{}', answer, {
    address: 'http://metadata.test:80',
    // As the resolver would answer for a name that somebody pointed there.
    foreign: { ...foreign, lookup: (_name, options, callback) => lookup('169.254.169.254', options, callback) },
  });
  await expect(asked.infer([x], call)).rejects.toMatchObject({
    kind: 'lost',
    message: expect.stringContaining('at a metadata address') as string,
  });
});
