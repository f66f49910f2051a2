import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LanguageServer } from '../../test/support/language-server.js';

const chat = '/v1/chat/completions';
const hello = [{ role: 'user', content: 'hello' }];
const stallMs = 1_000;
/** Until a busy machine has generated what the buffers of a connection hold. */
const longWaitMs = 120_000;

let server: LanguageServer;
beforeAll(async () => {
  const language = { contextTokens: 1_024, sequences: 2 };
  server = await LanguageServer.start({
    manifest: { language, queue: { maxRequests: 2 } },
    env: { SLUICE_STALL_MS: String(stallMs) },
  });
});
afterAll(() => server[Symbol.asyncDispose]());

const tool = (parameters: unknown) => [{ type: 'function', function: { name: 'f', parameters } }];
const called = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }];

describe('a request that is refused', () => {
  it.each<[string, object, string]>([
    ['model', { model: undefined }, 'model'],
    ['model', { model: 3 }, 'model'],
    ['model', { model: 'm'.repeat(1_025) }, 'model'],
    ['messages', { messages: undefined }, 'messages'],
    ['messages', { messages: [] }, 'messages'],
    ['messages', { messages: 'hello' }, 'messages'],
    ['messages', { messages: [null] }, 'messages.0'],
    ['messages', { messages: [{ role: 'king', content: 'x' }] }, 'messages.0.role'],
    ['messages', { messages: [{ role: 'user' }] }, 'messages.0.content'],
    ['messages', { messages: [{ role: 'user', content: 7 }] }, 'messages.0.content'],
    ['messages', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages.0.content.0.type'],
    ['messages', { messages: [{ role: 'tool', content: 'x', tool_call_id: 'a' }] }, 'messages.0.tool_call_id'],
    ['messages', { messages: [{ role: 'assistant', tool_calls: called }] }, 'messages.0.tool_calls.0'],
    ['temperature', { temperature: '1' }, 'temperature'],
    ['temperature', { temperature: 2.1 }, 'temperature'],
    ['top_p', { top_p: -1 }, 'top_p'],
    ['top_k', { top_k: 1.5 }, 'top_k'],
    ['seed', { seed: 1e300 }, 'seed'],
    ['max_tokens', { max_tokens: 0 }, 'max_tokens'],
    ['max_completion_tokens', { max_completion_tokens: 'many' }, 'max_completion_tokens'],
    ['n', { n: 0 }, 'n'],
    ['n', { n: 1_000_000 }, 'n'],
    ['n', { n: 3 }, 'n'],
    ['stop', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['stop', { stop: [''] }, 'stop.0'],
    ['stop', { stop: { a: 1 } }, 'stop'],
    ['presence_penalty', { presence_penalty: 3 }, 'presence_penalty'],
    ['logit_bias', { logit_bias: { 1e9: 1 } }, 'logit_bias.1000000000'],
    ['logit_bias', { logit_bias: { '5': 101 } }, 'logit_bias.5'],
    ['logprobs', { logprobs: 'yes' }, 'logprobs'],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    ['top_logprobs', { top_logprobs: 1 }, 'top_logprobs'],
    ['stream', { stream: 'yes' }, 'stream'],
    ['stream_options', { stream_options: { include_usage: true } }, 'stream_options'],
    ['functions', { functions: [] }, 'functions'],
    ['tools', { tools: [] }, 'tools'],
    ['tools', { tools: [{ type: 'web_search' }] }, 'tools.0.type'],
    ['tools', { tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools.0.function.name'],
    ['tools', { tools: [...tool({ type: 'object' }), ...tool({ type: 'object' })] }, 'tools.1.function.name'],
    ['a schema', { tools: tool({ type: 'objekt' }) }, 'tools.0.function.parameters'],
    ['a schema', { tools: tool({ type: 'object', properties: [] }) }, 'tools.0.function.parameters'],
    ['a schema', { tools: tool({ type: 'object', required: 'a' }) }, 'tools.0.function.parameters'],
    ['a schema', { tools: tool('object') }, 'tools.0.function.parameters'],
    ['a schema', { tools: tool({ type: 'string' }) }, 'tools.0.function.parameters'],
    ['a schema', { tools: tool({ type: 'object', properties: { a: { $ref: '#/$defs/none' } } }) }, 'tools'],
    ['tool_choice', { tool_choice: 'required' }, 'tool_choice'],
    ['tool_choice', { tools: tool({ type: 'object' }), tool_choice: 'always' }, 'tool_choice'],
    [
      'tool_choice',
      { tools: tool({ type: 'object' }), tool_choice: { type: 'function', function: { name: 'g' } } },
      'tool_choice.function.name',
    ],
    ['response_format', { response_format: { type: 'yaml' } }, 'response_format.type'],
    ['response_format', { response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
    [
      'response_format',
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 7 } } } },
      'response_format.json_schema.schema',
    ],
    [
      'response_format',
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { $ref: '#' } } } },
      'response_format.json_schema.schema',
    ],
    [
      'response_format',
      { tools: tool({ type: 'object' }), response_format: { type: 'json_object' } },
      'response_format',
    ],
  ])('names the field: %s %j', async (_what, change, param) => {
    const { status, body } = await server.ask(chat, { model: 'chat', messages: hello, max_tokens: 1, ...change });
    expect({ status, error: body.error }).toMatchObject({
      status: 400,
      error: { type: 'invalid_request_error', param, message: expect.stringContaining(param) as unknown },
    });
  });

  it.each<[string, string | Buffer]>([
    ['no JSON', '{"model":'],
    ['no object', '[1]'],
    ['an empty body', ''],
    ['invalid UTF-8', Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
  ])('says what is wrong with %s', async (_what, body) => {
    const answer = await server.ask(chat, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.type).toBe('invalid_request_error');
  });

  it('names path and method that it does not have', async () => {
    expect(await server.ask('/v1/nothing', {})).toMatchObject({
      status: 404,
      body: { error: { code: 'unknown_url' } },
    });
    expect(await server.ask(chat)).toMatchObject({ status: 405 });
  });
});

describe('what is too long', () => {
  it('refuses a prompt of a million tokens in no time, and answers others meanwhile', async () => {
    const prompt = 'word '.repeat(1_000_000);
    const begun = performance.now();
    const refused = server.ask(chat, { model: 'chat', messages: [{ role: 'user', content: prompt }] });
    const live = await server.ask('/v2/health/live');
    expect(live.status).toBe(200);
    const { status, body } = await refused;
    expect([status, body.error.code, body.error.param]).toEqual([400, 'context_length_exceeded', 'messages']);
    // Its tokenisation alone would take longer than this on the fastest machine.
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it('counts exactly where the length is not plain', async () => {
    const prompt = 'word '.repeat(1_200);
    const { status, body } = await server.ask('/v1/completions', { model: 'chat', prompt });
    expect([status, body.error.code]).toEqual([400, 'context_length_exceeded']);
    const asked = await server.ask(chat, { model: 'chat', messages: hello, max_tokens: 1_024 });
    expect([asked.status, asked.body.error.code]).toEqual([400, 'context_length_exceeded']);
    expect(asked.body.error.message).toMatch(/1024 tokens: the prompt has \d+, and 1024 are asked for/);
  });
});

describe('clients that behave badly', () => {
  const story = { model: 'chat', messages: [{ role: 'user', content: 'Tell me a very long story.' }], temperature: 0 };

  it('lives on when a body is cut off half-way', async () => {
    const socket = await request('{"model":"chat","mess', 500);
    socket.destroy();
    expect((await server.ask(chat, { ...story, max_tokens: 1 })).status).toBe(200);
    await freed();
  });

  it('refuses what the queue does not hold, and says when to try again', async () => {
    const body = { ...story, max_tokens: 40 };
    const answers = await Promise.all(Array.from({ length: 12 }, () => server.ask(chat, body)));
    const refused = answers.filter(({ status }) => status === 503);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(4);
    expect(refused.length).toBeGreaterThan(0);
    for (const { headers, body: content } of refused) {
      expect(headers['retry-after']).toBe('1');
      expect(content.error).toMatchObject({ type: 'server_error', code: 'queue_full' });
    }
    await freed();
  });

  it(
    'stops generating for a reader that does not read, and cuts it off',
    async () => {
      // The name stands in each event, so that few of them fill the buffers.
      const long = JSON.stringify({ ...story, model: 'm'.repeat(1_024), stream: true, max_tokens: 900, n: 2 });
      const socket = await request(long);
      socket.pause();
      const closed = once(socket, 'close');
      // Begun first: before that the sequences are free as well.
      await expect.poll(() => server.stats(), { timeout: 20_000, interval: 5 }).toMatchObject({ free_sequences: 0 });
      // Held back, then cut off: what it had not read was never more than the buffers hold.
      await freed(longWaitMs);
      socket.resume();
      let bytes = 0;
      socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
      await closed;
      expect(bytes).toBeLessThan(2_000_000);
    },
    longWaitMs,
  );

  it('loses no sequence, whatever comes in whatever order', async () => {
    const random = seededRandom(20_261_124);
    const works = Array.from({ length: 60 }, async (_value, index) => {
      await new Promise((resolve) => setTimeout(resolve, random() * 1_500));
      const kind = Math.floor(random() * 5);
      const body = { ...story, max_tokens: 1 + Math.floor(random() * 20), stream: kind === 1, n: 1 + (index % 2) };
      if (kind === 0) return server.ask(chat, { ...body, temperature: 'hot' });
      if (kind === 4) return server.ask(chat, { ...body, messages: [{ role: 'user', content: 'x '.repeat(3_000) }] });
      const socket = await request(JSON.stringify(body));
      if (kind === 2) await new Promise((resolve) => setTimeout(resolve, random() * 300));
      if (kind === 3 || kind === 2) return socket.destroy();
      socket.resume();
      return once(socket, 'close');
    });
    await Promise.all(works);
    await freed();
    expect((await server.ask(chat, { ...story, max_tokens: 2 })).body.usage.completion_tokens).toBe(2);
  });

  it('frees the sequence of a caller that hangs up within a few steps', async () => {
    const socket = await request(JSON.stringify({ ...story, stream: true, max_tokens: 900 }));
    await once(socket, 'data');
    expect((await server.stats()).free_sequences).toBe(1);
    socket.destroy();
    await freed();
  });

  async function request(body: string, statedLength = Buffer.byteLength(body)): Promise<Socket> {
    const socket = connect(server.socketPath);
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    socket.write(
      `POST ${chat} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${statedLength}\r\n\r\n${body}`,
    );
    return socket;
  }
});

/** Waits until all sequences have come back. */
async function freed(timeout = 20_000): Promise<void> {
  await expect.poll(() => server.stats(), { timeout, interval: 20 }).toMatchObject({ free_sequences: 2, waiting: 0 });
}

/** Mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
