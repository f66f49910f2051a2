import { afterEach, expect, it, vi } from 'vitest';
import type { Allowance } from '#libs/access';
import { gatewayKey, startGateway, type Gateway } from '../../../test/support/language-gateway.js';
import { limitedAdmissions } from '../../../test/support/open-admissions.js';
import {
  chatChunk,
  openStream,
  ScriptedUpstream,
  sendJson,
  talking,
  type UpstreamScript,
} from '../../../test/support/openai-upstream.js';

let upstream: ScriptedUpstream | undefined;
let gateway: Gateway | undefined;
afterEach(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

async function serve(script: UpstreamScript, allowance: Allowance): Promise<Gateway> {
  upstream = await ScriptedUpstream.start(talking(script));
  const served = (gateway = await startGateway({
    endpoints: { chat: { upstreams: [upstream.address] } },
    admissions: limitedAdmissions(allowance),
  }));
  await vi.waitFor(() => expect(served.pools.get('chat')!.upCount).toBe(1));
  return served;
}

const post = (served: Gateway, more: object = {}, signal?: AbortSignal) =>
  fetch(`${served.base}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'chat',
      messages: [{ role: 'user', content: 'a text of 24 letters, ...' }],
      ...more,
    }),
    ...(signal !== undefined && { signal }),
  });
const answering =
  (tokens: number): UpstreamScript =>
  (_request, res) =>
    sendJson(res, {
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: 'yes' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: tokens, total_tokens: tokens + 5 },
    });

it('tells OpenAI’s SDKs where they stand, and when to come again', async () => {
  const served = await serve(answering(5), {
    requestsPerSecond: { perSecond: 0.05, burst: 1 },
    tokensPerMinute: 6_000,
  });
  const good = await post(served, { max_tokens: 93 });
  expect(good.status).toBe(200);
  expect(Object.fromEntries(good.headers)).toMatchObject({
    'x-ratelimit-limit-requests': '1',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': '20s',
    'x-ratelimit-limit-tokens': '6000',
    'x-ratelimit-remaining-tokens': '5900',
    'x-ratelimit-reset-tokens': '1s',
    ratelimit: '"key-requests-per-second";r=0;t=20',
    'ratelimit-policy': '"key-requests-per-second";q=1;w=20, "key-tokens-per-minute";q=6000;qu="tokens";w=60',
  });
  const refused = await post(served);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(refused.headers.get('retry-after-ms'))).toBeLessThanOrEqual(20_000);
  expect(await refused.json()).toEqual({
    error: {
      message: expect.stringContaining('the limit requests-per-second of this key') as string,
      type: 'rate_limit_error',
      param: null,
      code: 'rate_limit_exceeded',
    },
  });
});

it('reserves the tokens that are asked for, and counts those that were used', async () => {
  const served = await serve(answering(45), { tokensPerDay: 300 });
  expect((await post(served, { max_tokens: 200 })).status).toBe(200);
  // 50 were used and not 207, so that as many can be asked for again.
  const second = await post(served, { max_tokens: 200 });
  expect([second.status, second.headers.get('x-ratelimit-remaining-tokens')]).toEqual([200, '43']);
  expect((await post(served, { max_tokens: 200 })).status).toBe(429);
});

it('refuses what no waiting would let in, and does not let SDKs try it again', async () => {
  const served = await serve(answering(5), { tokensPerMinute: 100 });
  const { status, headers } = await post(served, { max_tokens: 1_000 });
  expect([status, headers.get('x-should-retry')]).toEqual([400, 'false']);
});

it('holds the place of a stream to its end, and frees it when the caller hangs up', async () => {
  let finish: (() => void) | undefined;
  const served = await serve(
    async (_request, res) => {
      const write = openStream(res);
      write(chatChunk('one'));
      await new Promise<void>((resolve) => (finish = resolve));
      res.destroy();
    },
    { concurrentStreams: 1 },
  );
  const leaving = new AbortController();
  const first = await post(served, { stream: true }, leaving.signal);
  expect(first.status).toBe(200);
  expect((await post(served, { stream: true })).status).toBe(429);
  leaving.abort();
  await vi.waitFor(async () => expect((await post(served, { stream: true })).status).toBe(200));
  finish?.();
});
