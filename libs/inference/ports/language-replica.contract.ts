import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LanguageAnswer, LanguagePath, LanguageReplica } from './language-replica.js';
import { ReplicaFailure } from './replica.js';

export interface StartedLanguageReplica extends AsyncDisposable {
  readonly replica: LanguageReplica;
  /** The name that requests carry. */
  readonly model: string;
  /** How many answers it generates at the same time; the suite starts that many and more. */
  readonly sequences: number;
  /** Tokens of context. */
  readonly contextTokens: number;
  /** Asks the server to finish and to end. Resolves with how it ended. */
  drain(): Promise<{ isClean: boolean }>;
  /** Ends the server without warning. */
  crash(): Promise<void>;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** What the suite reads of an answer. */
interface WholeAnswer {
  object: string;
  choices: [{ message: { content: string }; text: string; finish_reason: string }];
  usage: Usage;
  error: { message: string; type: string; param: string | null; code: string | null };
}

interface StreamEvent {
  id: string;
  choices: { delta: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: Usage | null;
}

export type StartLanguageReplica = () => Promise<StartedLanguageReplica>;

const chat = '/v1/chat/completions';
const call = { timeoutMs: 60_000 };
const question = { messages: [{ role: 'user', content: 'What is the capital of France?' }], temperature: 0 };
const story = {
  messages: [{ role: 'user', content: 'Tell me a long story about a dog.' }],
  temperature: 0,
  max_tokens: 48,
};

/** What every adapter of the port has to keep, whatever answers behind it. It needs a model that speaks some English. */
export function languageReplicaContract(name: string, start: StartLanguageReplica): void {
  describe(`${name} keeps the language replica contract`, () => {
    describe('answers', () => {
      answersContract(start);
    });
    describe('end of life', () => {
      endOfLifeContract(start);
    });
  });
}

async function converse(
  { replica, model }: StartedLanguageReplica,
  body: object,
  { path = chat, signal }: { path?: LanguagePath; signal?: AbortSignal } = {},
): Promise<LanguageAnswer> {
  return replica.converse(path, Buffer.from(JSON.stringify({ model, ...body })), { ...call, signal });
}

async function textOf({ body }: LanguageAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function whole(started: StartedLanguageReplica, body: object, path?: LanguagePath) {
  const answer = await converse(started, body, path === undefined ? {} : { path });
  return { status: answer.status, headers: answer.headers, content: JSON.parse(await textOf(answer)) as WholeAnswer };
}

/** The events of a stream, which has to end as the protocol says. */
function eventsOf(text: string): StreamEvent[] {
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  expect(events.at(-1)).toBe('data: [DONE]');
  return events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)) as StreamEvent);
}

const contentOf = (events: readonly StreamEvent[]): string =>
  events.map((event) => event.choices[0]?.delta.content ?? '').join('');

function answersContract(start: StartLanguageReplica): void {
  let started: StartedLanguageReplica;
  beforeAll(async () => {
    started = await start();
  });
  afterAll(() => started[Symbol.asyncDispose]());

  it('is ready, and says what it is', async () => {
    expect(await started.replica.isReady()).toBe(true);
    expect((await started.replica.metadata()).name).not.toBe('');
  });

  it('answers a conversation whole, and counts what it used', async () => {
    const { status, content } = await whole(started, question);
    expect(status).toBe(200);
    expect(content).toMatchObject({
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant' }, finish_reason: 'stop' }],
    });
    expect(content.choices[0].message.content).toContain('Paris');
    const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = content.usage;
    expect(prompt).toBeGreaterThan(0);
    expect(completion).toBeGreaterThan(0);
    expect(total).toBe(prompt + completion);
  });

  it('streams the same answer in pieces, with the same usage when that is asked for', async () => {
    const { content } = await whole(started, story);
    const answer = await converse(started, { ...story, stream: true, stream_options: { include_usage: true } });
    expect(answer.status).toBe(200);
    expect(String(answer.headers['content-type'])).toContain('text/event-stream');
    const events = eventsOf(await textOf(answer));
    expect(events[0]!.choices[0]!.delta.role).toBe('assistant');
    expect(contentOf(events)).toBe(content.choices[0].message.content);
    expect(events.map((event) => event.choices[0]?.finish_reason).findLast(Boolean)).toBe(
      content.choices[0].finish_reason,
    );
    expect(events.at(-1)).toMatchObject({ choices: [], usage: content.usage });
    expect(new Set(events.map(({ id }) => id)).size).toBe(1);
  });

  it('ends at the limit of tokens that is asked for', async () => {
    const { content } = await whole(started, { ...story, max_tokens: 5 });
    expect(content.choices[0].finish_reason).toBe('length');
    expect(content.usage.completion_tokens).toBe(5);
  });

  it('ends before a stop string, and says no part of it, whole and streamed', async () => {
    const { content: unstopped } = await whole(started, story);
    const text = unstopped.choices[0].message.content;
    // Spread over several tokens, and beginning in the middle of one.
    const stop = text.slice(30, 45);
    const { content } = await whole(started, { ...story, stop });
    expect(content.choices[0]).toMatchObject({
      message: { content: text.slice(0, text.indexOf(stop)) },
      finish_reason: 'stop',
    });
    const events = eventsOf(
      await textOf(await converse(started, { ...story, stop: [stop, 'never said'], stream: true })),
    );
    expect(contentOf(events)).toBe(text.slice(0, text.indexOf(stop)));
  });

  it('completes a text', async () => {
    const { status, content } = await whole(
      started,
      { prompt: 'The capital of France is', temperature: 0, max_tokens: 4 },
      '/v1/completions',
    );
    expect(status).toBe(200);
    expect(content.object).toBe('text_completion');
    expect(content.choices[0].text).toContain('Paris');
  });

  it.each<[string, object, string | null]>([
    ['a temperature that is too high', { ...question, temperature: 9 }, 'temperature'],
    ['no messages', { messages: [] }, 'messages'],
    ['an unknown role', { messages: [{ role: 'king', content: 'x' }] }, null],
  ])('refuses %s with an error that the SDKs understand, and lives on', async (_what, body, param) => {
    const { status, content } = await whole(started, body);
    expect(status).toBe(400);
    expect(content.error).toMatchObject({
      message: expect.any(String) as unknown,
      type: expect.any(String) as unknown,
    });
    if (param !== null) expect(content.error.param).toBe(param);
    expect((await whole(started, { ...question, max_tokens: 1 })).status).toBe(200);
  });

  it('refuses a prompt that is longer than its context, quickly', async () => {
    const content = 'word '.repeat(started.contextTokens * 2);
    const { status, content: answer } = await whole(started, { messages: [{ role: 'user', content }] });
    expect(status).toBe(400);
    expect(answer.error.code).toBe('context_length_exceeded');
  });

  it('frees what a cancelled stream held, also when many are cancelled', async () => {
    for (let round = 0; round < 2; round += 1) {
      const streams = Array.from({ length: started.sequences * 2 }, async (_value, index) => {
        const abort = new AbortController();
        const begun = converse(started, { ...story, max_tokens: 200, stream: true }, { signal: abort.signal });
        // Some end before their first word, others in the middle.
        if (index % 2 === 1) setImmediate(() => abort.abort());
        await expectLost(async () => {
          const { body } = await begun;
          for await (const _chunk of body) abort.abort();
        });
      });
      await Promise.all(streams);
    }
    const answers = Array.from({ length: started.sequences }, () => whole(started, { ...question, max_tokens: 3 }));
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(started.sequences).fill(200));
  });

  it('stops when the reader leaves the loop', async () => {
    const { body } = await converse(started, { ...story, max_tokens: 200, stream: true });
    for await (const _chunk of body) break;
    expect((await whole(started, { ...question, max_tokens: 3 })).status).toBe(200);
  });
}

async function expectLost(work: () => Promise<unknown>): Promise<void> {
  const failure: unknown = await work().then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(ReplicaFailure);
  expect((failure as ReplicaFailure).kind).toBe('lost');
}

function endOfLifeContract(start: StartLanguageReplica): void {
  it('finishes the streams in flight when it is drained, and is not ready afterwards', async () => {
    await using started = await start();
    const answers = await Promise.all(
      Array.from({ length: started.sequences }, () => converse(started, { ...story, stream: true })),
    );
    const texts = answers.map(textOf);
    const ended = started.drain();
    for (const text of await Promise.all(texts)) expect(contentOf(eventsOf(text)).length).toBeGreaterThan(20);
    expect(await ended).toEqual({ isClean: true });
    expect(await started.replica.isReady()).toBe(false);
  });

  it('says that a stream is lost when the server crashes under it, and at every later call', async () => {
    await using started = await start();
    const { body } = await converse(started, { ...story, max_tokens: 200, stream: true });
    await expectLost(async () => {
      for await (const _chunk of body) await started.crash();
    });
    await expectLost(() => converse(started, question));
    expect(await started.replica.isReady()).toBe(false);
  });
}
