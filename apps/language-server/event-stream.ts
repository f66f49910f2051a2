import type { ServerResponse } from 'node:http';

export interface EventStreamSettings {
  /** How long a reader may leave what has been written to it unread. */
  stallMs: number;
  /** The reader does not keep up: nothing more is to be sent until `onFlow`. */
  onHold(): void;
  onFlow(): void;
}

/**
 * Server-sent events to one reader. What it has not read yet is bounded: the writer is told to hold, and a reader that
 * leaves it lying for too long is cut off.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class EventStream {
  private stall: NodeJS.Timeout | undefined;

  constructor(
    private readonly res: ServerResponse,
    private readonly settings: EventStreamSettings,
  ) {
    res.on('close', () => clearTimeout(this.stall));
  }

  get hasBegun(): boolean {
    return this.res.headersSent;
  }

  send(content: object): void {
    this.write(`data: ${JSON.stringify(content)}\n\n`);
  }

  end(): void {
    this.write('data: [DONE]\n\n');
    this.res.end();
  }

  /** The one way to say that it went wrong after it had begun: an error in place of the end. */
  fail(error: object): void {
    this.send(error);
    this.res.end();
  }

  private write(text: string): void {
    const { res } = this;
    if (res.destroyed || res.writableEnded) return;
    if (!res.headersSent) {
      res.sendDate = false;
      res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    }
    if (res.write(text) || this.stall !== undefined) return;
    const { stallMs, onHold, onFlow } = this.settings;
    this.stall = setTimeout(() => res.destroy(), stallMs);
    onHold();
    res.once('drain', () => {
      clearTimeout(this.stall);
      this.stall = undefined;
      onFlow();
    });
  }
}
