import type { ServerResponse } from 'node:http';
import { ScriptedUpstream, sendJson, type UpstreamRequest } from './openai-upstream.js';
import { offerFar } from './remote-endpoint.js';
import type { SluiceInstance } from './sluice-instance.js';

/** As the model server of a language model counts: a few tokens of prompt, and up to what it was asked for. */
export const promptTokens = 12;
export const mostTokens = 20;

/** A slot is taken for so long, so that there are more who want one than there are slots. */
const slotMs = { least: 150, more: 300 };

interface Counted {
  count: number;
  running: number;
  most: number;
}

/** A language model behind HTTP that counts what runs at once. What a request is for stands in its one message. */
export class CountingUpstream implements AsyncDisposable {
  private readonly counted = new Map<string, Counted>();
  private readonly held = new Map<string, (() => void)[]>();

  private constructor(private readonly server: ScriptedUpstream) {}

  static async start(): Promise<CountingUpstream> {
    const server = await ScriptedUpstream.start((request, res) => upstream.answer(request, res));
    const upstream = new CountingUpstream(server);
    return upstream;
  }

  /** Serves it as the endpoint `far`. Resolves when that is ready. */
  register(sluice: SluiceInstance): Promise<void> {
    return offerFar(sluice, this.server.address, 'far');
  }

  /** How many requests ever came. */
  countOf(use: string): number {
    return this.of(use).count;
  }

  running(use: string): number {
    return this.of(use).running;
  }

  /** How many ever ran at once. */
  most(use: string): number {
    return this.of(use).most;
  }

  /** Requests for this use are answered when they are released, and not before. */
  hold(use: string): void {
    this.held.set(use, []);
  }

  release(use: string): void {
    const waiting = this.held.get(use) ?? [];
    this.held.delete(use);
    for (const answer of waiting) answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private of(use: string): Counted {
    let counted = this.counted.get(use);
    if (counted === undefined) this.counted.set(use, (counted = { count: 0, running: 0, most: 0 }));
    return counted;
  }

  private answer({ path, body }: UpstreamRequest, res: ServerResponse): void {
    if (!path.endsWith('/chat/completions')) return sendJson(res, { object: 'list', data: [] });
    const use = (body!['messages'] as [{ content: string }])[0].content;
    const counted = this.of(use);
    counted.count += 1;
    counted.running += 1;
    counted.most = Math.max(counted.most, counted.running);
    let isOver = false;
    const end = (): void => {
      if (!isOver) counted.running -= 1;
      isOver = true;
    };
    // Whoever asked is dead.
    res.once('close', end);
    const answer = (): void => {
      end();
      if (!res.destroyed) sendChat(res, Number(body!['max_tokens']));
    };
    const waiting = this.held.get(use);
    if (waiting !== undefined) waiting.push(answer);
    else if (use === 'slots') setTimeout(answer, slotMs.least + Math.random() * slotMs.more);
    else answer();
  }
}

function sendChat(res: ServerResponse, maxTokens: number): void {
  const completion_tokens = 1 + Math.floor(Math.random() * maxTokens);
  const message = { role: 'assistant', content: 'word' };
  const usage = { prompt_tokens: promptTokens, completion_tokens, total_tokens: promptTokens + completion_tokens };
  const choices = [{ index: 0, message, finish_reason: 'length' }];
  sendJson(res, { object: 'chat.completion', model: 'far', choices, usage });
}
