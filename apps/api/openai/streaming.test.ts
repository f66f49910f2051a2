import type { ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import {
  gatewayKey,
  startGateway,
  type Gateway,
  type GatewaySettings,
} from '../../../test/support/language-gateway.js';
import {
  chatChunk,
  hold,
  openStream,
  ScriptedUpstream,
  sendJson,
  talking,
  type UpstreamScript,
} from '../../../test/support/openai-upstream.js';

let upstreams: ScriptedUpstream[] = [];
let gateway: Gateway | undefined;
afterEach(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all(upstreams.map((each) => each[Symbol.asyncDispose]()));
  upstreams = [];
  gateway = undefined;
});

async function serve(scripts: UpstreamScript[], more: Partial<GatewaySettings> = {}): Promise<Gateway> {
  upstreams = await Promise.all(scripts.map((script) => ScriptedUpstream.start(talking(script))));
  gateway = await startGateway({
    endpoints: { chat: { upstreams: upstreams.map(({ address }) => address) } },
    ...more,
  });
  const { pools } = gateway;
  await vi.waitFor(() => expect(pools.get('chat')!.upCount).toBe(scripts.length));
  return gateway;
}

const body = { model: 'chat', stream: true, messages: [{ role: 'user', content: 'hi' }] };
const post = (served: Gateway, more: object = {}) =>
  fetch(`${served.base}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, ...more }),
  });
const requests = () => upstreams.flatMap((each) => each.requests.filter(({ method }) => method === 'POST'));
const wordsIn = (text: string): string => [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join('');

it('beats while the first token is not there, and then between slow ones', async () => {
  let go: (() => void) | undefined;
  const served = await serve(
    [
      async (_request, res) => {
        await new Promise<void>((resolve) => (go = resolve));
        const write = openStream(res);
        write(chatChunk('one'));
        hold(res);
        setTimeout(() => {
          write(chatChunk(' two', 'stop'));
          res.end('data: [DONE]\n\n');
        }, 80);
      },
    ],
    { streams: { heartbeatMs: 20 } },
  );
  const response = await post(served);
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value!;
  expect(text).toBe(': keep-alive\n\n');
  go!();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  expect(text).toMatch(/"content":"one".*\n\n(: keep-alive\n\n)+data: .*" two".*\n\ndata: \[DONE\]\n\n$/s);
});

it('goes to another replica when the first one dies before a token has come, even after heartbeats', async () => {
  let isFirst = true;
  const dies: UpstreamScript = async (_request, res) => {
    if (!isFirst) return;
    isFirst = false;
    hold(res);
    openStream(res);
    res.write('data: {"choices":[]');
    setTimeout(() => res.socket?.destroy(), 60);
  };
  const served = await serve([dies, dies], { streams: { heartbeatMs: 10 } });
  const text = await (await post(served)).text();
  expect(text.startsWith(': keep-alive\n\n')).toBe(true);
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  expect(wordsIn(text)).toBe('one two three');
  expect(requests()).toHaveLength(2);
  expect(served.outcomes).toEqual(['ok']);
});

it('tries once elsewhere when a replica is lost or overloaded, whole and streamed, and not a third time', async () => {
  const failing = new Set<number>();
  let fault: 'die' | 'busy' = 'die';
  const script =
    (number: number): UpstreamScript =>
    (_request, res) => {
      if (!failing.has(number)) return;
      if (fault === 'die') res.socket!.destroy();
      else sendJson(res, { error: { message: 'full' } }, 503, { 'retry-after': '3' });
      hold(res);
    };
  const served = await serve([script(0), script(1), script(2)]);
  const everybodyIsUp = () => vi.waitFor(() => expect(served.pools.get('chat')!.upCount).toBe(3));
  for (fault of ['die', 'busy'] as const) {
    for (const stream of [true, false]) {
      failing.clear();
      failing.add(0).add(1);
      // Two of three fail: at most one retry means that some calls fail as well, but none of the good ones twice.
      const statuses = new Set<number>();
      for (let round = 0; round < 12; round += 1) {
        await everybodyIsUp();
        const before = requests().length;
        const response = await post(served, { stream });
        const text = await response.text();
        statuses.add(response.status);
        if (response.status === 200) expect(text).toContain('one');
        expect(requests().length - before).toBeLessThanOrEqual(2);
      }
      expect([...statuses].every((status) => [200, fault === 'die' ? 502 : 503].includes(status))).toBe(true);
      expect(statuses.has(200)).toBe(true);
    }
  }
});

it('says in one error event that the rest is missing, and never [DONE], when a replica dies in the middle', async () => {
  const endings: Record<string, (res: ServerResponse) => void> = {
    dies: (res) => res.socket!.destroy(),
    'ends without an end': (res) => res.end(),
    'sends no JSON': (res) => res.end('data: {"choices":[{"delta":\n\n'),
    'sends an error': (res) => res.end('data: {"error":{"message":"CUDA is gone"}}\n\ndata: [DONE]\n\n'),
  };
  let ending = '';
  const served = await serve([
    (_request, res) => {
      openStream(res)(chatChunk('one'));
      hold(res);
      setTimeout(() => endings[ending]!(res), 20);
    },
  ]);
  for (ending of Object.keys(endings)) {
    await vi.waitFor(() => expect(served.pools.get('chat')!.upCount).toBe(1));
    const text = await (await post(served)).text();
    const events = text.trim().split('\n\n');
    expect([ending, events.length]).toEqual([ending, 2]);
    const { error } = JSON.parse(events[1]!.slice('data: '.length)) as { error: { type: string; code: string } };
    const code = ending.startsWith('sends') ? 'SLU_INFERENCE_UPSTREAM' : 'SLU_INFERENCE_CUT_OFF';
    expect(error).toMatchObject({ type: 'server_error', code });
    expect(text).not.toContain('[DONE]');
  }
  expect(requests()).toHaveLength(4);
  expect(served.records.map(({ outcome, language }) => [outcome, language?.completionTokens])).toEqual(
    Array.from({ length: 4 }, () => ['model', 1]),
  );
});

it('takes an answer for whole that finished but did not say [DONE], however it is cut on the way', async () => {
  const served = await serve([
    async (_request, res) => {
      hold(res);
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const text = `: hello\r\n\r\nevent: x\r\ndata: ${JSON.stringify(chatChunk('語👋🏽'))}\r\n\r\ndata:${JSON.stringify(chatChunk('', 'stop'))}\n`;
      for (const byte of Buffer.from(text)) {
        res.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      res.end();
    },
  ]);
  const text = await (await post(served)).text();
  expect(wordsIn(text)).toBe('語👋🏽');
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  expect(text.split('\n\n').filter(Boolean)).toHaveLength(3);
});

it('gives up on a stream that rests too long, and on an answer that does not begin', async () => {
  const served = await serve(
    [
      (request, res) => {
        hold(res);
        if (request.body!['user'] === 'resting') openStream(res)(chatChunk('one'));
      },
    ],
    { service: { idleMs: 100, timeoutMs: 300 } },
  );
  const resting = await (await post(served, { user: 'resting' })).text();
  expect(resting).toContain('SLU_INFERENCE_TIMEOUT');
  expect(resting).not.toContain('[DONE]');
  const silent = await post(served);
  expect([silent.status, silent.headers.get('x-should-retry')]).toEqual([504, 'false']);
  for (const request of requests()) await request.whenLeft;
});

it('aborts the model server within 100 ms when the caller hangs up', async () => {
  const served = await serve([
    (_request, res) => {
      hold(res);
      openStream(res)(chatChunk('one'));
    },
  ]);
  const delays: number[] = [];
  for (let round = 0; round < 10; round += 1) {
    const socket = await rawPost(served);
    await new Promise((resolve) => socket.once('data', resolve));
    const hungUpMs = performance.now();
    socket.destroy();
    await requests().at(-1)!.whenLeft;
    delays.push(performance.now() - hungUpMs);
  }
  expect(delays.sort((a, b) => a - b)[5]).toBeLessThan(100);
  await vi.waitFor(() => expect(served.records).toHaveLength(10));
  expect(served.service.inFlight).toBe(0);
});

it('holds little for a caller that takes nothing, lets the model server wait, and then cuts the caller off', async () => {
  let written = 0;
  const portion = 'x'.repeat(32_768);
  const served = await serve(
    [
      async (_request, res) => {
        hold(res);
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        while (!res.destroyed) {
          const isTaken = res.write(`data: ${JSON.stringify(chatChunk(portion))}\n\n`);
          written += portion.length;
          if (isTaken) continue;
          await new Promise<void>((resolve) => {
            const go = (): void => {
              res.off('drain', go).off('close', go);
              resolve();
            };
            res.on('drain', go).on('close', go);
          });
        }
      },
    ],
    { streams: { stallMs: 400, bufferBytes: 65_536 } },
  );
  const socket = await rawPost(served);
  // One byte a second, as far as anybody can tell.
  socket.pause();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await requests()[0]!.whenLeft;
  expect(written).toBeLessThan(40_000_000);
  await vi.waitFor(() => expect(served.records).toHaveLength(1));
  expect(served.records[0]).toMatchObject({ errorCode: 'SLU_REQUEST_ABANDONED', outcome: 'caller' });
  socket.resume();
  await closed;
});

it('lets streams end when it drains, and ends those that take too long with an error', async () => {
  let finish: (() => void) | undefined;
  const served = await serve([
    (_request, res) => {
      hold(res);
      const write = openStream(res);
      write(chatChunk('one'));
      finish = () => {
        write(chatChunk(' two', 'stop'));
        res.end('data: [DONE]\n\n');
      };
    },
  ]);
  const first = await post(served);
  served.drain();
  const refused = await post(served);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
  const drained = served.service.drain(10_000);
  finish!();
  expect(await first.text()).toContain('[DONE]');
  await drained;
});

it('ends what is not finished at the deadline of a drain with an error event', async () => {
  const served = await serve([
    (_request, res) => {
      hold(res);
      openStream(res)(chatChunk('one'));
    },
  ]);
  const response = await post(served);
  await served.service.drain(50);
  const text = await response.text();
  expect(text).toContain('SLU_INFERENCE_DRAINING');
  expect(text).not.toContain('[DONE]');
  await requests()[0]!.whenLeft;
});

it('answers 256 streams at once, each with its own words in their order', async () => {
  const served = await serve([
    async (request, res) => {
      hold(res);
      const write = openStream(res);
      for (let at = 0; at < 20; at += 1) {
        write(chatChunk(`${String(request.body!['user'])}.${at} `));
        await new Promise(setImmediate);
      }
      write(chatChunk('', 'stop'));
      res.end('data: [DONE]\n\n');
    },
  ]);
  const texts = await Promise.all(
    Array.from({ length: 256 }, async (_value, user) => (await post(served, { user: String(user) })).text()),
  );
  texts.forEach((text, user) => {
    expect(wordsIn(text)).toBe(Array.from({ length: 20 }, (_value, at) => `${user}.${at} `).join(''));
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });
  expect(served.records.every(({ language }) => language?.completionTokens === 20)).toBe(true);
});

async function rawPost(served: Gateway): Promise<Socket> {
  const before = requests().length;
  const { port } = served.server.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  const text = JSON.stringify(body);
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gatewayKey}\r\n` +
      `content-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
  await vi.waitFor(() => expect(requests().length).toBe(before + 1), { interval: 5 });
  return socket;
}
