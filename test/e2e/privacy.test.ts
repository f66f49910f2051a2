import { Client, Connection } from '@temporalio/client';
import type { TemporalServer } from '#libs/platform';
import { execFile } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { openStream, ScriptedUpstream, sendJson, usage } from '../support/openai-upstream.js';
import { InferenceClient } from '../support/inference-grpc.js';
import { offerFar } from '../support/remote-endpoint.js';
import { SluiceInstance } from '../support/sluice-instance.js';
import { startTemporal } from '../support/temporal.js';
import { TraceCollector } from '../support/trace-collector.js';

const marker = 'heron-marker-51c7a2';
const subject = 'client-anna-9931';
const why = { purpose: 'incident', reason: 'a wrong answer was reported' };

let collector: TraceCollector;
let temporal: TemporalServer;
let db: FreshDatabase;
let sluice: SluiceInstance;
let upstream: ScriptedUpstream;
let key: string;

beforeAll(async () => {
  [collector, temporal, db] = await Promise.all([TraceCollector.start(), startTemporal(), freshDatabase()]);
  sluice = await SluiceInstance.start({
    env: {
      // As in production: who serves is not who owns.
      DATABASE_URL: await db.applicationUrl(),
      SLUICE_DATABASE_OWNER_URL: db.url,
      TEMPORAL_ADDRESS: temporal.address,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.address,
      SLUICE_TRACE_SAMPLING: '1',
      SLUICE_LOG_LEVEL: 'debug',
    },
  });
  upstream = await ScriptedUpstream.start(({ path, body }, res) => {
    if (!path.endsWith('/completions')) return sendJson(res, { object: 'list', data: [] });
    const isChat = path.endsWith('/chat/completions');
    // Cut where no piece shows alone that it is an address.
    const pieces = [`${marker}: write to jo`, 'e@exam', 'ple.com'];
    const choiceOf = (said: string, member: string) => ({
      index: 0,
      ...(isChat ? { [member]: { role: 'assistant', content: said } } : { text: said }),
    });
    if (body?.['stream'] !== true)
      return sendJson(res, {
        model: 'm',
        choices: [{ ...choiceOf(pieces.join(''), 'message'), finish_reason: 'stop' }],
        usage,
      });
    const write = openStream(res);
    for (const piece of pieces) write({ model: 'm', choices: [{ ...choiceOf(piece, 'delta'), finish_reason: null }] });
    write({ model: 'm', choices: [{ index: 0, ...(isChat ? { delta: {} } : { text: '' }), finish_reason: 'stop' }] });
    write('[DONE]');
    res.end();
  });
  await offerFar(sluice, upstream.address, 'm');
  const roles = ['operator', 'auditor', 'steward', 'caller'];
  key = (await sluice.call('POST', '/api/keys', { name: 'officer', roles })).body.key as string;
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
  await temporal?.stop();
  await collector?.[Symbol.asyncDispose]();
  await db?.[Symbol.asyncDispose]();
});

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(`${sluice.base}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as any, headers: answer.headers };
}

const infer = (text: string) =>
  call(
    'POST',
    '/v2/models/tone/infer',
    { inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [text] }] },
    { 'sluice-subject': subject },
  );

/** Tables with a row that has the text in it, as a superuser sees them. */
async function tablesWith(text: string): Promise<string[]> {
  const tables = await db.database.query<{ name: string }>(
    `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await db.database.query<{ count: string }>(
      `SELECT count(*) FROM ${name} AS t WHERE t::text ILIKE $1 OR t::text ILIKE $2`,
      [`%${text}%`, `%${Buffer.from(text).toString('hex')}%`],
    );
    if (row!.count !== '0') found.push(name);
  }
  expect(tables.length).toBeGreaterThan(10);
  return found;
}

async function filesWith(text: string): Promise<string> {
  const grep = promisify(execFile)('grep', ['-rla', text, sluice.home]);
  return grep.then(
    ({ stdout }) => stdout,
    ({ code, stdout }: { code: number; stdout: string }) => (code === 1 ? '' : `grep failed: ${stdout}`),
  );
}

async function expectNoTrace(): Promise<void> {
  // Spans leave in batches: what is looked through has to hold those of these requests.
  await vi.waitFor(() => expect(collector.raw).toContain('tone'), { timeout: 20_000, interval: 200 });
  for (const text of [marker, subject]) {
    expect(await tablesWith(text)).toEqual([]);
    expect(await filesWith(text)).toBe('');
    expect(sluice.output).not.toContain(text);
    expect(collector.raw).not.toContain(text);
    expect(
      await (await fetch(`${sluice.base}/metrics`, { headers: { authorization: `Bearer ${key}` } })).text(),
    ).not.toContain(text);
  }
}

let payloadId: string;
let requestId: string;
let erased: string;
/** Payloads and requests of the same person that came in other ways. */
const others: { payloadId: string; requestId: string }[] = [];
let heldOfFar = 0;
const purpose = { seconds: 600, reason: 'answers look wrong since noon' };

interface Held {
  id: string;
  requestId: string;
  subject: string;
}
const heldOf = async (endpoint: string): Promise<Held[]> =>
  (await call('GET', `/api/endpoints/${endpoint}/payload-log`)).body.payloads;

/** Asks until the window is open in the API, and gives what it held of that request. */
async function logged(endpoint: string, ask: () => Promise<string | null>): Promise<Held> {
  return vi.waitFor(
    async () => {
      const asked = await ask();
      const found = await vi.waitFor(
        async () => {
          const held = (await heldOf(endpoint)).find((each) => each.requestId === asked);
          expect(held).toBeDefined();
          return held!;
        },
        { timeout: 3_000, interval: 50 },
      );
      others.push({ payloadId: found.id, requestId: found.requestId });
      return found;
    },
    { timeout: 30_000, interval: 200 },
  );
}

it('logs a payload on request, sealed, so that nothing but a reading with a reason shows it', async () => {
  const asked = { seconds: 600, reason: 'answers look wrong since noon' };
  expect((await call('POST', '/api/endpoints/tone/payload-log', asked)).status).toBe(201);
  const held = await vi.waitFor(
    async () => {
      const answer = await infer(`${marker} says jane@example.com`);
      expect(answer.status).toBe(200);
      const { payloads } = (await call('GET', '/api/endpoints/tone/payload-log')).body;
      expect(payloads.length).toBeGreaterThan(0);
      return payloads[0];
    },
    { timeout: 20_000, interval: 200 },
  );
  payloadId = held.id as string;
  requestId = held.requestId as string;
  const read = await call('POST', `/api/payloads/${payloadId}/read`, why);
  expect(read.body.content.inputs[0].data).toEqual([`${marker} says [EMAIL]`]);
  expect((await call('DELETE', '/api/endpoints/tone/payload-log')).status).toBe(200);
  await expectNoTrace();
});

const said = `${marker} says jane@example.com`;
it('logs what is said to language models in the same way, whole and streamed, and nothing after the window', async () => {
  const ask = async (path: string, body: object): Promise<string | null> => {
    const answer = await fetch(`${sluice.base}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'sluice-subject': subject },
      body: JSON.stringify({ model: 'far', max_tokens: 20, ...body }),
    });
    expect(answer.status).toBe(200);
    expect((await answer.text()).length).toBeGreaterThan(0);
    return answer.headers.get('sluice-request-id');
  };
  const messages = [{ role: 'user', content: said }];
  await vi.waitFor(async () => expect((await call('GET', '/v2/models/far/ready')).status).toBe(200), {
    timeout: 30_000,
    interval: 100,
  });
  expect((await call('POST', '/api/endpoints/far/payload-log', purpose)).status).toBe(201);
  const kinds: [string, object][] = [
    ['/v1/chat/completions', { messages }],
    ['/v1/chat/completions', { messages, stream: true }],
    ['/v1/completions', { prompt: said }],
    ['/v1/completions', { prompt: said, stream: true }],
    // Whom the body names is whom it is about, where no header says it.
    ['/v1/chat/completions', { messages, user: subject, safety_identifier: subject }],
    ['/v2/models/far/generate', { text_input: said }],
    ['/v2/models/far/generate_stream', { text_input: said }],
  ];
  for (const [path, body] of kinds) {
    const held = await logged('far', () => ask(path, body));
    const read = await call('POST', `/api/payloads/${held.id}/read`, why);
    expect([path, read.status]).toEqual([path, 200]);
    const content = JSON.stringify(read.body.content.input);
    expect([path, content]).toEqual([path, expect.stringContaining(`${marker} says [EMAIL]`)]);
    expect(content).not.toContain(subject);
    expect(read.body.content.output).toEqual([{ index: 0, text: `${marker}: write to [EMAIL]` }]);
  }
  expect((await call('DELETE', '/api/endpoints/far/payload-log')).status).toBe(200);
  heldOfFar = (await heldOf('far')).length;
  for (const [path, body] of kinds) await ask(path, body);
  await expectNoTrace();
});

/** A request about the same person over gRPC, whose metadata are what headers are to HTTP. @returns its id */
async function overGrpc(): Promise<string> {
  const client = new InferenceClient(`127.0.0.1:${sluice.grpcPort}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  metadata.set('sluice-subject', subject);
  const input = { name: 'text', datatype: 'BYTES', shape: [1], contents: { bytesContents: [Buffer.from(said)] } };
  try {
    return await new Promise((resolve, reject) => {
      const done = (error: Error | null): void => void (error !== null && reject(error));
      client
        .ModelInfer({ modelName: 'tone', inputs: [input] }, metadata, done)
        .once('metadata', (head: Metadata) => resolve(String(head.get('sluice-request-id')[0])));
    });
  } finally {
    client.close();
  }
}

it('takes whom a request over gRPC is about from its metadata, into record and payload', async () => {
  expect((await call('POST', '/api/endpoints/tone/payload-log', purpose)).status).toBe(201);
  const held = await logged('tone', overGrpc);
  // Payloads are written in their order, so that nothing of before is still on its way.
  expect((await heldOf('far')).length).toBe(heldOfFar);
  const read = await call('POST', `/api/payloads/${held.id}/read`, why);
  expect(read.body.content.inputs[0].data).toEqual([`${marker} says [EMAIL]`]);
  expect((await call('DELETE', '/api/endpoints/tone/payload-log')).status).toBe(200);
  const { requests } = await vi.waitFor(async () => {
    const { body } = await call('GET', `/api/requests?subject=${subject}&endpoint=tone&limit=500`);
    expect(body.requests.map((each: Held) => each.requestId)).toContain(held.requestId);
    return body as { requests: Held[] };
  });
  expect(new Set(requests.map((each) => each.subject))).toEqual(new Set([held.subject]));
  await expectNoTrace();
});

it('finds the request by its id and by whom it is about, and exports what is held of them', async () => {
  const one = await vi.waitFor(async () => {
    const answer = await call('GET', `/api/requests/${requestId}`);
    expect(answer.status).toBe(200);
    return answer.body;
  });
  expect(one).toMatchObject({ endpoint: 'tone', outcome: 'ok', status: 200 });
  expect(one.requestId[14]).toBe('7');
  const { requests } = (await call('GET', `/api/requests?subject=${subject}&endpoint=tone`)).body;
  expect(requests.map((each: { requestId: string }) => each.requestId)).toContain(requestId);
  const exported = await call('POST', '/api/privacy/exports', { subject });
  expect(exported.status).toBe(200);
  const of = (store: string) => exported.body.stores.find((each: { store: string }) => each.store === store).items;
  expect(JSON.stringify(of('payloads'))).toContain(marker);
  // Records are written in batches, so that one more may have come in between.
  expect(of('request-records').length).toBeGreaterThanOrEqual(requests.length);
});

it('tells who read what of a person', async () => {
  const { accesses } = (await call('GET', `/api/privacy/access-report?subject=${subject}`)).body;
  expect(accesses).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        action: 'payload.read',
        resource: `payload:${payloadId}`,
        actorName: 'officer',
        ...why,
      }),
      expect.objectContaining({ action: 'subject.export', actorName: 'officer' }),
    ]),
  );
});

it('erases a person everywhere, certifies it, and shows it in Temporal by the pseudonym', async () => {
  const copy = await db.database.query('SELECT * FROM payload_records WHERE id = $1', [payloadId]);
  const asked = await call('POST', '/api/privacy/erasures', { subject, ground: 'consent-withdrawn' });
  expect(asked.status).toBe(202);
  const done = await vi.waitFor(
    async () => {
      const { body } = await call('GET', `/api/privacy/erasures/${asked.body.id}`);
      expect(body.state).toBe('erased');
      return body;
    },
    { timeout: 30_000, interval: 100 },
  );
  erased = done.subject as string;
  const { publicKeyPem, keyId } = (await call('GET', '/api/privacy/certificate-key')).body;
  const { statement, signature } = done.certificate;
  expect(done.certificate.keyId).toBe(keyId);
  const isSigned = (text: string): boolean =>
    verify(
      null,
      Buffer.from(text),
      createPublicKey(publicKeyPem as string),
      Buffer.from(signature as string, 'base64'),
    );
  expect([isSigned(statement as string), isSigned(`${statement} `)]).toEqual([true, false]);
  const counts = Object.fromEntries(
    JSON.parse(statement as string).stores.map((each: any) => [each.store, each.erased]),
  );
  expect(counts).toMatchObject({ 'data-keys': 1, 'response-cache': 0 });
  expect([counts.payloads, counts['request-records']].every((count) => count > 0)).toBe(true);

  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection });
  await vi.waitFor(
    async () => {
      const found: string[] = [];
      for await (const { workflowId } of client.workflow.list({
        query: `SluiceSubject = '${erased}' AND SluicePhase = 'erased'`,
      }))
        found.push(workflowId);
      expect(found).toEqual([`erasure:${asked.body.id}`]);
    },
    { timeout: 20_000, interval: 200 },
  );
  await connection.close();

  expect((await call('POST', `/api/payloads/${payloadId}/read`, why)).status).toBe(404);
  expect((await call('GET', `/api/requests?subject=${subject}`)).body.requests).toEqual([]);
  expect((await call('GET', `/api/requests/${requestId}`)).status).toBe(404);
  expect(others.length).toBeGreaterThanOrEqual(8);
  for (const each of others) {
    expect((await call('POST', `/api/payloads/${each.payloadId}/read`, why)).status).toBe(404);
    expect((await call('GET', `/api/requests/${each.requestId}`)).status).toBe(404);
  }
  const exported = (await call('POST', '/api/privacy/exports', { subject })).body.stores;
  expect(exported.flatMap((each: { items: unknown[] }) => each.items)).toEqual([]);

  // A copy from before, put back as from a backup.
  await db.database.query(`INSERT INTO payload_records SELECT * FROM json_populate_record(NULL::payload_records, $1)`, [
    JSON.stringify({ ...(copy[0] as object), sealed: `\\x${(copy[0] as { sealed: Buffer }).sealed.toString('hex')}` }),
  ]);
  const reading = await call('POST', `/api/payloads/${payloadId}/read`, why);
  expect([reading.status, reading.body.code]).toEqual([410, 'SLU_PRIVACY_PAYLOAD_ERASED']);
  await expectNoTrace();
});

it('may be asked for again, and says what is processed, why and for how long', async () => {
  const again = await call('POST', '/api/privacy/erasures', { subject, ground: 'objection' });
  expect(again.status).toBe(202);
  expect(again.body.subject).toBe(erased);
  const records = (await call('GET', '/api/privacy/processing-records')).body;
  expect(records.stores.map((each: { store: string }) => each.store)).toEqual([
    'data-keys',
    'payloads',
    'request-records',
    'response-cache',
  ]);
  expect(records.endpoints).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ endpoint: 'tone', versions: [expect.objectContaining({ weight: 100 })] }),
    ]),
  );
});
