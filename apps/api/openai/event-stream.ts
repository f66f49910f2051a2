import type { LanguageExchange } from '#libs/inference';
import { isSluiceError, kibibytes, secondsToMs, sluiceError, type SluiceError } from '#libs/kernel';
import type { FastifyReply } from 'fastify';
import type { ServerResponse } from 'node:http';
import { latin1 } from './latin1.js';
import { openAiError } from './openai-error.js';

/** How the events of an answer look to the caller. All texts hold bytes as characters (latin1). */
export interface StreamFormat {
  /** What comes before the first event; nothing in most formats. */
  begin(): string;
  write(events: readonly string[]): string;
  end(): string;
  fail(error: SluiceError): string;
}

export interface StreamSettings {
  /** A stream that has nothing to say for so long says that it lives; 0 turns that off. */
  heartbeatMs: number;
  /** A caller that takes nothing for so long is cut off. */
  stallMs: number;
  /** What a slow caller has not taken may wait here up to this size; then the model server waits. */
  bufferBytes: number;
}

export const defaultStreamSettings: StreamSettings = {
  heartbeatMs: secondsToMs(10),
  stallMs: secondsToMs(30),
  bufferBytes: kibibytes(256),
};

const heartbeat = ': keep-alive\n\n';
const ticksPerHeartbeat = 4;

/** Chunks as they come, and `[DONE]` behind the last one, if it was the last one. */
export const chunkFormat: StreamFormat = {
  begin: () => '',
  write: (events) => {
    let text = '';
    for (const event of events) text += `data: ${event}\n\n`;
    return text;
  },
  end: () => 'data: [DONE]\n\n',
  fail: (error) => `data: ${latin1(openAiError(error))}\n\n`,
};

/** All open streams: one timer gives the heartbeats of all of them. */
export class EventStreams implements Disposable {
  private readonly open = new Set<EventStream>();
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(readonly settings: StreamSettings = defaultStreamSettings) {
    const { heartbeatMs } = settings;
    if (heartbeatMs <= 0) return;
    this.timer = setInterval(() => {
      const lateMs = performance.now() - heartbeatMs;
      for (const stream of this.open) if (stream.lastWriteMs <= lateMs) stream.beat();
    }, heartbeatMs / ticksPerHeartbeat);
    this.timer.unref();
  }

  /**
   * Sends an answer as server-sent events. What fails before anything was sent is thrown, for it can still be an answer
   * with a status; later it is one last event. Resolves when the stream has ended. @throws SluiceError
   */
  async send(reply: FastifyReply, exchange: LanguageExchange, format: StreamFormat): Promise<void> {
    const stream = new EventStream(reply, exchange, format, this.settings);
    this.open.add(stream);
    try {
      await stream.run();
    } finally {
      this.open.delete(stream);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }
}

class EventStream {
  lastWriteMs = performance.now();
  private isOpen = false;
  private readonly raw: ServerResponse;

  constructor(
    private readonly reply: FastifyReply,
    private readonly exchange: LanguageExchange,
    private readonly format: StreamFormat,
    private readonly settings: StreamSettings,
  ) {
    this.raw = reply.raw;
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        const events = await this.exchange.next();
        if (events === undefined) break;
        // What opens the answer comes first, and may have a number that the next event goes on from.
        this.begin();
        this.write(this.format.write(events));
        if (this.raw.writableLength > this.settings.bufferBytes) await this.taken();
      }
    } catch (failure) {
      const error = isSluiceError(failure) ? failure : sluiceError('SLU_INTERNAL', {}, { cause: failure });
      this.exchange.fail(error);
      if (!this.isOpen) throw error;
      this.finish(() => this.format.fail(error));
      return;
    }
    this.finish(() => this.format.end());
  }

  /** Also opens the answer: from then on a failure has no status any more, but the caller knows that somebody is at work. */
  beat(): void {
    if (this.raw.writableLength > 0 || this.raw.destroyed) return;
    this.begin();
    this.write(heartbeat);
  }

  private finish(last: () => string): void {
    if (this.raw.destroyed) return;
    this.begin();
    this.raw.end(last(), 'latin1');
  }

  private write(text: string): void {
    if (this.raw.destroyed) return;
    this.lastWriteMs = performance.now();
    if (text !== '') this.raw.write(text, 'latin1');
  }

  private begin(): void {
    const { reply, raw } = this;
    if (this.isOpen || raw.destroyed) return;
    this.isOpen = true;
    reply.header('openai-processing-ms', Math.round(performance.now() - this.exchange.startedMs));
    reply.hijack();
    // Node's own clock of the socket: it starts anew with each write and as long as the other side takes something.
    raw.setTimeout(this.settings.stallMs, () => this.cutOff());
    raw.writeHead(200, {
      ...reply.getHeaders(),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      // Proxies that collect an answer before they pass it on leave this one alone.
      'x-accel-buffering': 'no',
    } as Record<string, string>);
    const opening = this.format.begin();
    if (opening !== '') raw.write(opening, 'latin1');
  }

  private cutOff(): void {
    if (this.raw.writableLength === 0) return;
    this.exchange.abandon();
    this.raw.destroy();
  }

  private taken(): Promise<void> {
    const { raw } = this;
    if (raw.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        raw.off('drain', done);
        raw.off('close', done);
        resolve();
      };
      raw.once('drain', done);
      raw.once('close', done);
    });
  }
}
