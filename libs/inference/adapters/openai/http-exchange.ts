import type { Dispatcher } from 'undici';
import type { LanguageAnswer } from '../../ports/language-replica.js';
import { type CallSignal, type ReplicaCall, ReplicaFailure } from '../../ports/replica.js';

export interface HttpRequest {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body: Buffer | null;
}

/** So much of a body may wait here for its reader before the sender is held back. */
const highWaterBytes = 65_536;

/**
 * One HTTP exchange through undici's `dispatch`: resolves with the head, and hands out the body as it arrives. The time
 * limit counts until the head has come, the signal ends the exchange at any time.
 * @throws ReplicaFailure 'lost' when the connection fails or the signal ends it, 'timeout' when no head came in time
 */
export function exchangeOverHttp(
  dispatcher: Dispatcher,
  request: HttpRequest,
  call: ReplicaCall,
): Promise<LanguageAnswer> {
  return new Promise((resolve, reject) => {
    if (call.signal?.aborted === true) return reject(cancelled(call.signal));
    dispatcher.dispatch(request, new Exchange(call, resolve, reject));
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | undefined;
  private readonly timer: NodeJS.Timeout;
  private readonly onAbort: (() => void) | undefined;
  private readonly body = new ArrivingBody(
    (isWanted) => (isWanted ? this.controller?.resume() : this.controller?.pause()),
    () => this.end(new ReplicaFailure('lost', 'the reader left before the end of the answer')),
  );
  private isHeadSent = false;
  private isEnded = false;

  constructor(
    private readonly call: ReplicaCall,
    private readonly resolve: (answer: LanguageAnswer) => void,
    private readonly reject: (failure: ReplicaFailure) => void,
  ) {
    const { signal, timeoutMs } = call;
    this.timer = setTimeout(
      () => this.end(new ReplicaFailure('timeout', `no answer began within ${timeoutMs} ms`)),
      timeoutMs,
    );
    if (signal !== undefined) {
      this.onAbort = () => this.end(cancelled(signal));
      signal.addEventListener('abort', this.onAbort, { once: true });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    // Given up while it waited for a connection: it must not be sent now.
    if (this.isEnded) controller.abort(new Error('given up'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // An interim answer (103 Early Hints, say) is not the head.
    if (status < 200 || this.isEnded) return;
    clearTimeout(this.timer);
    this.isHeadSent = true;
    this.resolve({ status, headers, body: this.body });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.body.push(chunk);
  }

  onResponseEnd(): void {
    if (this.settle()) this.body.close(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const problem = `the connection to the replica failed: ${error.message}`;
    if (this.settle()) this.fail(new ReplicaFailure('lost', problem, { cause: error }));
  }

  private end(failure: ReplicaFailure): void {
    if (!this.settle()) return;
    this.fail(failure);
    this.controller?.abort(failure);
  }

  private fail(failure: ReplicaFailure): void {
    if (this.isHeadSent) this.body.close(failure);
    else this.reject(failure);
  }

  private settle(): boolean {
    if (this.isEnded) return false;
    this.isEnded = true;
    clearTimeout(this.timer);
    if (this.onAbort !== undefined) this.call.signal?.removeEventListener('abort', this.onAbort);
    return true;
  }
}

interface Reader {
  resolve(result: IteratorResult<Buffer, undefined>): void;
  reject(failure: ReplicaFailure): void;
}

/** The body between its sender and its one reader. No more is taken from the sender than `highWaterBytes` and a chunk. */
class ArrivingBody implements AsyncIterableIterator<Buffer, undefined> {
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private isHeld = false;
  private reader: Reader | undefined;
  private ending: { failure: ReplicaFailure | undefined } | undefined;

  constructor(
    private readonly want: (isWanted: boolean) => void,
    private readonly leave: () => void,
  ) {}

  push(chunk: Buffer): void {
    if (this.ending !== undefined) return;
    const { reader } = this;
    if (reader !== undefined) {
      this.reader = undefined;
      reader.resolve({ done: false, value: chunk });
      return;
    }
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    if (this.bytes < highWaterBytes || this.isHeld) return;
    this.isHeld = true;
    this.want(false);
  }

  /** Nothing comes any more. What had arrived before a failure is still handed out before it. */
  close(failure: ReplicaFailure | undefined): void {
    this.ending ??= { failure };
    const { reader } = this;
    this.reader = undefined;
    if (reader === undefined) return;
    if (failure === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(failure);
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const chunk = this.chunks.shift();
    if (chunk !== undefined) {
      this.bytes -= chunk.length;
      if (this.isHeld && this.bytes < highWaterBytes) {
        this.isHeld = false;
        this.want(true);
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.ending === undefined) return new Promise((resolve, reject) => (this.reader = { resolve, reject }));
    const { failure } = this.ending;
    return failure === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(failure);
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.chunks.length = this.bytes = 0;
    this.leave();
    this.ending = { failure: undefined };
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

// For the caller a call that it ended itself is as unanswered as one that the replica lost.
const cancelled = (signal: CallSignal): ReplicaFailure =>
  new ReplicaFailure('lost', 'the call was cancelled', { cause: signal.reason });
