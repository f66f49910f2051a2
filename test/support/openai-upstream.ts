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
