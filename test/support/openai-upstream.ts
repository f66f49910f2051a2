import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as the server got it. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Parsed; undefined for a GET. */
  readonly body: Record<string, unknown> | undefined;
  /** Fires when the caller leaves before the answer's end. */
  readonly whenLeft: Promise<void>;
}

export type UpstreamScript = (request: UpstreamRequest, res: ServerResponse) => void | Promise<void>;

/** A real HTTP server that answers the OpenAI protocol as a test says, faults included. */
export class ScriptedUpstream implements AsyncDisposable {
  readonly requests: UpstreamRequest[] = [];

  private constructor(
    private readonly server: Server,
    readonly address: string,
  ) {}

  /** On a free port of loopback, or on a Unix socket. */
  static async start(script: UpstreamScript, socketPath?: string): Promise<ScriptedUpstream> {
    const server = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        const request: UpstreamRequest = {
          method: req.method!,
          path: req.url!,
          headers: req.headers,
          body: chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString()) as never),
          whenLeft: new Promise((resolve) => res.once('close', () => !res.writableFinished && resolve())),
        };
        upstream.requests.push(request);
        void script(request, res);
      });
    });
    await once(socketPath === undefined ? server.listen(0, '127.0.0.1') : server.listen(socketPath), 'listening');
    const address =
      socketPath === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${socketPath}`;
    const upstream = new ScriptedUpstream(server, address);
    return upstream;
  }

  /** Ends all connections as a killed process does. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

export function sendJson(res: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Opens an SSE answer and writes events into it. */
export function openStream(res: ServerResponse): (event: unknown) => void {
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  return (event) => void res.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
}

export const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 };

/** The chunk of one piece of text, as servers write it; with `finish` it is the last one of its answer. */
export const chatChunk = (content: string, finish: string | null = null): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_700_000_000,
  model: 'upstream-name',
  choices: [{ index: 0, delta: content === '' ? {} : { content }, logprobs: null, finish_reason: finish }],
  usage: null,
});

export const usageChunk: object = { ...chatChunk(''), choices: [], usage };

export const chatAnswer = (content: string): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: 'upstream-name',
  choices: [{ index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop' }],
  usage,
});

/** Answers probes, and chats with the words `one two three`; everything else is for the script. */
export function talking(script: UpstreamScript = () => undefined): UpstreamScript {
  return async (request, res) => {
    if (request.path === '/v1/models') return sendJson(res, { object: 'list', data: [{ id: 'upstream-name' }] });
    await script(request, res);
    if (res.headersSent || res.destroyed || isHeld.has(res)) return;
    if (request.body?.['stream'] !== true) return sendJson(res, chatAnswer('one two three'));
    const write = openStream(res);
    for (const word of ['one', ' two', ' three']) write(chatChunk(word));
    write(chatChunk('', 'stop'));
    write(usageChunk);
    write('[DONE]');
    res.end();
  };
}

const isHeld = new WeakSet<ServerResponse>();
/** The script answers this one later, or never. */
export const hold = (res: ServerResponse): void => void isHeld.add(res);
