import { remoteGuard } from '#libs/platform';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SecretSeal } from '#libs/access';
import { systemClock } from '#libs/kernel';
import { ChangeFeed } from '#libs/store';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { ServingRowsWriter } from '../../../test/support/serving-rows.js';
import { InferenceService, type InferProtocol } from '../service/inference-service.js';
import type { Manifest } from '../models/manifest.js';
import { OutcomeCounters } from '../records/outcome-counters.js';
import { RemoteConnections } from './remote-connections.js';
import { replicaOpener } from '../replicas/replica-opener.js';
import { remoteSpawner } from '../replicas/replica-remote-process.js';
import { ReplicaSets } from '../replicas/replica-sets.js';
import { spawnByFormat } from '../replicas/replica-spawners.js';
import { ReplicaSupervisor } from '../replicas/replica-supervisor.js';
import { SecretHeaderRing } from './secret-header-ring.js';
import { SecretHeaders } from './secret-headers.js';
import { ServingState } from '../routes/serving-state.js';

const log = pino({ level: 'silent' });
const seal = new SecretSeal(Buffer.alloc(32, 9));

/** A server that speaks the Open Inference Protocol in JSON and adds one to what it gets. */
class OtherServer implements AsyncDisposable {
  answersWith: number | 'drop' = 200;
  isReady = true;
  inferences = 0;
  keys: (string | undefined)[] = [];
  private server: Server | undefined;
  port = 0;

  async start(): Promise<this> {
    const server = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', (): unknown => {
        if (req.url === '/v2') return res.end('{"extensions":[]}');
        if (req.method === 'GET') return res.writeHead(this.isReady ? 200 : 400).end();
        this.inferences += 1;
        this.keys.push(req.headers['x-api-key'] as string | undefined);
        if (this.answersWith === 'drop') return req.socket.destroy();
        if (this.answersWith !== 200)
          return res.writeHead(this.answersWith, { 'retry-after': '1' }).end('{"error":"no"}');
        const [input] = (
          JSON.parse(Buffer.concat(chunks).toString()) as { inputs: { shape: number[]; data: number[] }[] }
        ).inputs;
        const data = input!.data.map((value) => value + 1);
        return res.end(JSON.stringify({ outputs: [{ name: 'y', datatype: 'FP32', shape: input!.shape, data }] }));
      });
    });
    this.server = server;
    await once(server.listen(this.port, '127.0.0.1'), 'listening');
    this.port = (server.address() as AddressInfo).port;
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }
}

const numbers: InferProtocol = {
  bytesOf: (payload) => Buffer.byteLength(payload),
  stickyKeyOf: () => undefined,
  read: (body) => ({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(Number(body)) }],
  }),
  write: ({ outputs }) => String((outputs[0]!.data as Float32Array)[0]),
};

let db: FreshDatabase;
let rows: ServingRowsWriter;
let stack: AsyncDisposableStack;
let service: InferenceService;
const servers: OtherServer[] = [];

beforeEach(async () => {
  db = await freshDatabase();
  rows = new ServingRowsWriter(db.database);
  stack = new AsyncDisposableStack();
  servers.length = 0;
  for (let count = 0; count < 2; count += 1) servers.push(stack.use(await new OtherServer().start()));
});

afterEach(async () => {
  await stack[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

type Remote = NonNullable<Manifest['remote']>;

/** A supervisor, and an API's data plane beside it, on one database. */
async function serve(change: Partial<Remote> = {}, allowedHosts?: string[]): Promise<ReplicaSupervisor> {
  const remote: Remote = {
    protocol: 'oip',
    targets: servers.map(({ url }) => ({ url, model: 'theirs', version: '7' })),
    probe: { everyMs: 200, timeoutMs: 1_000 },
    breaker: { minCalls: 4, windowMs: 10_000, openMs: 100 },
    ...change,
  };
  await rows.version('far', '1', { format: 'remote', files: [], remote });
  await rows.endpoint('far', 'far', [{ name: 'stable', version: '1', weight: 100 }]);
  const { database } = db;
  const folder = await mkdtemp(join(tmpdir(), 'far-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const secrets = stack.use(new SecretHeaderRing({ database, seal, log }));
  const surroundings = { secrets, outbound: remoteGuard({ remoteHosts: allowedHosts, host: '127.0.0.1' }) };
  const supervisor = stack.use(
    new ReplicaSupervisor({
      database,
      host: 'here',
      socketFolder: folder,
      spawnReplica: spawnByFormat({ remote: remoteSpawner(surroundings) }),
      times: { drainGraceMs: 0, startDeadlineMs: 300 },
    }),
  );
  const state = stack.use(new ServingState({ database, log }));
  await Promise.all([state.load(), secrets.load()]);
  const counters = stack.use(new OutcomeCounters({ database, log }));
  const remotes = new RemoteConnections({ ...surroundings, clock: systemClock, log });
  service = stack.use(
    new InferenceService({
      state,
      counters,
      log,
      recorder: { record: () => undefined },
      openReplica: replicaOpener(remotes),
    }),
  );
  const feed = stack.use(
    new ChangeFeed(db.url, 'test', {
      onChange: (each) => {
        for (const listener of [state, secrets]) listener.onChange(each);
        if (supervisor.concerns(each)) void supervisor.reconcile();
      },
      onConnected: () => undefined,
      onLost: () => undefined,
    }),
  );
  await feed.start();
  await supervisor.start();
  return supervisor;
}

let asked = 0;
async function ask(value: number): Promise<string> {
  asked += 1;
  const requestId = `00000000-0000-4000-8000-${String(asked).padStart(12, '0')}`;
  const { payload, error } = await service.infer({
    endpoint: 'far',
    body: value,
    protocol: numbers,
    bytesIn: 4,
    requestId,
    keyId: 'k',
  });
  return error?.code ?? payload!;
}

interface Row {
  id: string;
  address: string;
  state: string;
  reason: string | null;
}
const replicas = (): Promise<Row[]> =>
  db.database.query<Row>('SELECT id, address, state, reason FROM replicas ORDER BY started_at, id');
const upCount = (): number => service.lanes.find('far/1')?.pool.upCount ?? 0;

it('serves a version from each of its servers, and refuses more replicas than there are, once', async () => {
  await serve();
  await rows.desire('far', '1', 5);
  await vi.waitFor(() => expect(upCount()).toBe(2));
  const found = await replicas();
  expect(found.filter(({ state }) => state === 'ready').map(({ address }) => address)).toEqual(
    expect.arrayContaining(servers.map(({ url }) => url)),
  );
  expect(found.filter(({ state }) => state === 'failed')).toMatchObject([
    { reason: '5 replicas are wanted, and each of the 2 targets is one: 3 are not started' },
  ]);
  const answers = await Promise.all(Array.from({ length: 40 }, (_value, index) => ask(index)));
  expect(answers).toEqual(Array.from({ length: 40 }, (_value, index) => String(index + 1)));
  // Nothing further was tried, and who waits for five gets what there is.
  await new ReplicaSets(db.database).waitUntilReady({ model: 'far', version: '1', count: 5 });
  expect(await replicas()).toHaveLength(3);
});

it('goes on with the other server when one drops, refuses, or goes away, and comes back to it', async () => {
  await serve();
  await rows.desire('far', '1', 2);
  await vi.waitFor(() => expect(upCount()).toBe(2));
  const [one, other] = servers as [OtherServer, OtherServer];
  for (const trouble of ['drop', 500, 401] as const) {
    one.answersWith = trouble;
    await vi.waitFor(async () => {
      // What drops a connection is tried elsewhere; an answer is an answer.
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask(1)));
      if (trouble === 'drop') expect(answers.every((answer) => answer === '2')).toBe(true);
      expect(upCount()).toBe(1);
    });
    const before = other.inferences;
    expect(await ask(1)).toBe('2');
    expect(other.inferences).toBe(before + 1);
    one.answersWith = 200;
    await vi.waitFor(async () => {
      await ask(1);
      expect(upCount()).toBe(2);
    });
  }
  await one[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(upCount()).toBe(1), { timeout: 5_000 });
  expect(await Promise.all(Array.from({ length: 8 }, () => ask(1)))).toEqual(new Array(8).fill('2'));
  // People see it, and it is not given up.
  await vi.waitFor(async () =>
    expect((await replicas()).find(({ address }) => address === one.url)).toMatchObject({
      state: 'ready',
      reason: expect.stringContaining('ECONNREFUSED') as string,
    }),
  );
  await one.start();
  await vi.waitFor(() => expect(upCount()).toBe(2), { timeout: 5_000 });
  await vi.waitFor(async () => expect((await replicas()).every(({ reason }) => reason === null)).toBe(true));
});

it('tells callers of overload as such, and does not hold it against the version', async () => {
  await serve();
  await rows.desire('far', '1', 2);
  await vi.waitFor(() => expect(upCount()).toBe(2));
  for (const server of servers) server.answersWith = 429;
  expect(await ask(1)).toBe('SLU_INFERENCE_QUEUE_FULL');
  expect(upCount()).toBe(1);
  for (const server of servers) server.answersWith = 200;
  await vi.waitFor(() => expect(upCount()).toBe(2), { timeout: 5_000 });
  expect(await ask(1)).toBe('2');
});

it('asks once for a batch where no input can be at fault, and looks for the one that is where it may be', async () => {
  await serve({ breaker: { minCalls: 1_000 } });
  await rows.desire('far', '1', 2);
  await vi.waitFor(() => expect(upCount()).toBe(2));
  const inferences = (): number => servers.reduce((sum, server) => sum + server.inferences, 0);
  for (const server of servers) server.answersWith = 401;
  const answers = await Promise.all(Array.from({ length: 16 }, () => ask(1)));
  expect(new Set(answers)).toEqual(new Set(['SLU_INFERENCE_UPSTREAM']));
  expect(inferences()).toBe(1);
  for (const server of servers) server.answersWith = 500;
  await Promise.all(Array.from({ length: 16 }, () => ask(1)));
  expect(inferences()).toBeGreaterThan(10);
});

it('waits for a server and for its secrets as long as it takes, and says what it waits for', async () => {
  const secretHeaders = new SecretHeaders(db.database, seal);
  for (const server of servers) server.isReady = false;
  await serve({ secretHeaders: ['x-api-key'] });
  await rows.desire('far', '1', 2);
  const reasons = async (): Promise<(string | null)[]> => (await replicas()).map(({ reason }) => reason);
  await vi.waitFor(async () => {
    for (const reason of await reasons()) expect(reason).toContain('secret header x-api-key is not set');
    expect(await reasons()).toHaveLength(2);
  });
  // Such a version does not hold back the readiness of all the others.
  await vi.waitFor(() => expect(service.isReady).toBe(true));
  await secretHeaders.set({ model: 'far', version: '1', headers: { 'x-api-key': 'k-123' }, actor: 'system' });
  await vi.waitFor(async () =>
    expect(await reasons()).toEqual(new Array(2).fill('GET /v2/models/theirs/versions/7/ready answers 400')),
  );
  // Longer than a process here may take to start.
  await new Promise((resolve) => setTimeout(resolve, 400));
  for (const server of servers) server.isReady = true;
  await vi.waitFor(() => expect(upCount()).toBe(2), { timeout: 5_000 });
  expect(await ask(4)).toBe('5');
  expect(servers.flatMap(({ keys }) => keys)).toEqual(['k-123']);
  await vi.waitFor(async () => expect(await reasons()).toEqual([null, null]));
  await secretHeaders.set({ model: 'far', version: '1', headers: { 'x-api-key': null }, actor: 'system' });
  await vi.waitFor(() => expect(upCount()).toBe(0), { timeout: 5_000 });
  expect(servers.flatMap(({ keys }) => keys)).toHaveLength(1);
});

it('reaches no host that the operator did not allow', async () => {
  await serve({}, ['models.internal']);
  await rows.desire('far', '1', 1);
  await vi.waitFor(async () =>
    expect(await replicas()).toMatchObject([
      { state: 'starting', reason: expect.stringContaining('is not among the hosts of SLUICE_REMOTE_HOSTS') as string },
    ]),
  );
});

it('replaces a drained replica by a new connection to the same server, and ends all when none is wanted', async () => {
  await serve();
  await rows.desire('far', '1', 2);
  await vi.waitFor(() => expect(upCount()).toBe(2));
  const [first] = await replicas();
  await new ReplicaSets(db.database).drain({ id: first!.id, actor: 'system' });
  await vi.waitFor(async () => {
    const found = await replicas();
    expect(
      found
        .filter(({ state }) => state === 'ready')
        .map(({ address }) => address)
        .sort(),
    ).toEqual(servers.map(({ url }) => url).sort());
    expect(found.find(({ id }) => id === first!.id)?.state).toBe('stopped');
  });
  await rows.desire('far', '1', 0);
  await vi.waitFor(async () => expect((await replicas()).every(({ state }) => state === 'stopped')).toBe(true));
});
