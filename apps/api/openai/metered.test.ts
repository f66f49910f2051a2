import { Budgets, Usage } from '#libs/access';
import { createLogger } from '#libs/platform';
import { randomUUID } from 'node:crypto';
import { request, type ClientRequest } from 'node:http';
import { connect, constants } from 'node:http2';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { madeBudget, periodOf } from '../../../test/support/budgets.js';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { gatewayKey, startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import {
  chatChunk,
  hold,
  openStream,
  ScriptedUpstream,
  talking,
  type UpstreamScript,
} from '../../../test/support/openai-upstream.js';
import { somePrincipal } from '../../../test/support/principal.js';

const patience = { timeout: 20_000, interval: 20 };
const limit = 5_000;
const prompt = 'a text of 24 letters, ...';
/** A token stands for four letters where nobody has counted. */
const promptTokens = Math.ceil(prompt.length / 4);

let stack: AsyncDisposableStack;
let db: FreshDatabase;
let budgets: Budgets;
let budgetId: string;
const keyId = randomUUID();

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  db = stack.use(await freshDatabase());
  budgetId = await madeBudget(db.database, { limit, subject: { kind: 'key', id: keyId } });
  budgets = stack.use(
    new Budgets({ database: db.database, log: createLogger({ service: 'test', level: 'silent' }), settleEveryMs: 20 }),
  );
  await budgets.start();
});
afterEach(() => stack.disposeAsync());

interface Served {
  upstreams: ScriptedUpstream[];
  gateway: Gateway;
}

async function serve(script: UpstreamScript, { isHttp2 = false, count = 1 } = {}): Promise<Served> {
  const upstreams: ScriptedUpstream[] = [];
  for (let at = 0; at < count; at += 1) upstreams.push(stack.use(await ScriptedUpstream.start(talking(script))));
  const gateway = stack.use(
    await startGateway({
      endpoints: { chat: { upstreams: upstreams.map(({ address }) => address) } },
      budgets,
      caller: somePrincipal({ id: keyId }),
      isHttp2,
    }),
  );
  await vi.waitFor(() => expect(gateway.pools.get('chat')!.upCount).toBe(count), patience);
  return { upstreams, gateway };
}

const requestsOf = ({ upstreams }: Served): number =>
  upstreams.reduce((sum, { requests }) => sum + requests.filter(({ body }) => body !== undefined).length, 0);
const lastOf = ({ upstreams }: Served) => upstreams.flatMap(({ requests }) => requests).findLast(({ body }) => body)!;

const headers = { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json' };
const bodyOf = (isStream: boolean): string =>
  JSON.stringify({
    model: 'chat',
    messages: [{ role: 'user', content: prompt }],
    max_tokens: 50,
    ...(isStream && { stream: true }),
  });

function sent({ gateway }: Served, isStream = true): ClientRequest {
  const sending = request(`${gateway.base}/v1/chat/completions`, { method: 'POST', headers });
  // It ends by our own hand.
  sending.on('error', () => undefined);
  return sending.end(bodyOf(isStream));
}

const answerOf = (sending: ClientRequest): Promise<Readable> =>
  new Promise((resolve) => sending.once('response', resolve));

/** Resolves when this has come. */
async function heard(answer: Readable, text: string): Promise<void> {
  let all = '';
  await new Promise<void>((resolve) =>
    answer.on('data', (chunk: Buffer) => {
      all += chunk.toString();
      if (all.includes(text)) resolve();
    }),
  );
}

/** What is written of one request in the end: nothing is held for it any more, and it is there once. */
async function expectSettled(spent: number, failures = 0): Promise<void> {
  await vi.waitFor(async () => {
    await budgets.flush();
    expect(await periodOf(db.database, budgetId)).toEqual({ spent, held: 0, writtenOff: 0, overrun: 0 });
    const { usage } = await new Usage(db.database).find({ groupBy: [], asked: {}, allowed: {} });
    expect(usage[0]).toMatchObject({ requests: 1, failures });
    if (failures === 0) expect(usage[0]!.tokensIn + usage[0]!.tokensOut).toBe(spent);
  }, patience);
}

const speaking: UpstreamScript = (_request, res) => {
  hold(res);
  const write = openStream(res);
  for (const word of ['one', ' two', ' three']) write(chatChunk(word));
};
const silent: UpstreamScript = (_request, res) => hold(res);

it('charges a caller who hangs up in mid-stream the prompt and what was generated, once, and frees the rest', async () => {
  const served = await serve(speaking);
  const sending = sent(served);
  await heard(await answerOf(sending), 'three');
  sending.destroy();
  await lastOf(served).whenLeft;
  await expectSettled(promptTokens + 3);
});

it('charges the same when one stream of an HTTP/2 connection is given up, and the others go on', async () => {
  const served = await serve(speaking, { isHttp2: true });
  const session = connect(served.gateway.base);
  stack.defer(() => session.destroy());
  const post = () => {
    const stream = session.request({ ':method': 'POST', ':path': '/v1/chat/completions', ...headers });
    stream.end(bodyOf(true));
    return stream;
  };
  const given = post();
  await heard(given, 'three');
  const { whenLeft } = lastOf(served);
  const kept = post();
  await heard(kept, 'three');
  given.close(constants.NGHTTP2_CANCEL);
  await whenLeft;
  expect(served.gateway.service.inFlight).toBe(1);
  await vi.waitFor(async () => {
    await budgets.flush();
    expect(await periodOf(db.database, budgetId)).toMatchObject({ spent: promptTokens + 3 });
  }, patience);
});

it.each([true, false])(
  'charges the prompt alone when the hang-up comes before the first token (stream: %s)',
  async (isStream) => {
    const served = await serve(silent);
    const sending = sent(served, isStream);
    await vi.waitFor(() => expect(requestsOf(served)).toBe(1), patience);
    sending.destroy();
    await lastOf(served).whenLeft;
    await expectSettled(promptTokens);
  },
);

it('charges once a caller who hangs up while the second model server is at work', async () => {
  let asked = 0;
  const served = await serve((_request, res) => void ((asked += 1) === 1 ? res.destroy() : hold(res)), { count: 2 });
  const sending = sent(served);
  await vi.waitFor(() => expect(asked).toBe(2), patience);
  sending.destroy();
  await expectSettled(promptTokens);
});

it('charges nothing but the price of a failure when the model server dies in mid-stream, and frees what was held', async () => {
  const served = await serve((request, res) => {
    void speaking(request, res);
    setImmediate(() => res.destroy());
  });
  const answer = await answerOf(sent(served));
  await heard(answer, 'error');
  await expectSettled(0, 1);
});

it('charges nothing but the price of a failure when every model server dies before the first token', async () => {
  const served = await serve((_request, res) => void res.destroy(), { count: 2 });
  const answer = await answerOf(sent(served));
  await heard(answer, 'error');
  expect(requestsOf(served)).toBe(2);
  await expectSettled(0, 1);
});
