import type { Dispatcher } from 'undici';
import { type CallSignal, type ReplicaCall, ReplicaFailure } from '../../ports/replica.js';

export interface HttpQuestion {
  method: 'GET' | 'POST';
  path: string;
  headers?: Record<string, string>;
  body?: Buffer;
  /** An answer with more bytes is cut off. Without it any answer is taken, as from a server of our own. */
  mostAnswerBytes?: number | undefined;
}

export interface HttpAnswer {
  status: number;
  header(name: string): string | undefined;
  body: Buffer;
}

/**
 * One HTTP exchange through undici's `dispatch`, which is its cheapest door: no stream is made for the body.
 * @throws ReplicaFailure 'lost' when no whole answer came, 'timeout' when none came in time, 'model' when it is too long
 */
export function askOverHttp(dispatcher: Dispatcher, question: HttpQuestion, call: ReplicaCall): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    if (call.signal?.aborted === true) return reject(cancelled(call.signal));
    const { method, path, headers = {}, body, mostAnswerBytes } = question;
    const exchange = new Exchange(call, resolve, reject, mostAnswerBytes);
    dispatcher.dispatch({ method, path, headers, body: body ?? null }, exchange);
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined;
  private readonly timer: NodeJS.Timeout;
  private readonly onAbort: (() => void) | undefined;
  private isSettled = false;
  private status = 0;
  private headers: Record<string, string | string[] | undefined> = {};
  private readonly chunks: Buffer[] = [];
  private bytes = 0;

  constructor(
    private readonly call: ReplicaCall,
    private readonly resolve: (answer: HttpAnswer) => void,
    private readonly reject: (failure: ReplicaFailure) => void,
    private readonly mostBytes = Infinity,
  ) {
    const { signal, timeoutMs } = call;
    this.timer = setTimeout(
      () => this.abort(new ReplicaFailure('timeout', `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    if (signal !== undefined) {
      this.onAbort = () => this.abort(cancelled(signal));
      signal.addEventListener('abort', this.onAbort, { once: true });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    // Given up while it waited for a connection: it must not be sent now.
    if (this.isSettled) controller.abort(new Error('given up'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.status = status;
    this.headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.bytes <= this.mostBytes) return;
    const problem = `the answer has more than ${this.mostBytes} bytes`;
    this.abort(new ReplicaFailure('model', problem, { blame: 'replica' }));
  }

  onResponseEnd(): void {
    if (!this.settle()) return;
    const { status, headers, chunks } = this;
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    this.resolve({ status, header, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.settle())
      this.reject(
        new ReplicaFailure('lost', `the connection to the replica failed: ${error.message}`, { cause: error }),
      );
  }

  private abort(failure: ReplicaFailure): void {
    if (!this.settle()) return;
    this.reject(failure);
    this.controller?.abort(failure);
  }

  private settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    clearTimeout(this.timer);
    if (this.onAbort !== undefined) this.call.signal?.removeEventListener('abort', this.onAbort);
    return true;
  }
}

// For the caller a call that it ended itself is as unanswered as one that the replica lost.
const cancelled = (signal: CallSignal): ReplicaFailure =>
  new ReplicaFailure('lost', 'the call was cancelled', { cause: signal.reason });
