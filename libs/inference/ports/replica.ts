import type { Tensor, TensorSpec } from '../tensors/tensor.js';

export interface ReplicaMetadata {
  name: string;
  version: string;
  platform: string;
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
}

/** What went wrong at a replica, in the one distinction that the caller needs. */
export type ReplicaFailureKind =
  /** The model or the input is at fault: another replica would fail as well. */
  | 'model'
  /** The connection or the process is gone: the work is unanswered and may be tried once elsewhere. */
  | 'lost'
  /** It answers, and takes no work for now. Nothing was run, and nothing is wrong with it. */
  | 'overload'
  /** No answer in time. */
  | 'timeout';

export interface ReplicaFailureOptions {
  cause?: unknown;
  /**
   * Of kind `model`: whose fault it is. `replica` means that any other input would fail as well (wrong credentials, no such
   * model), `unclear` that it may be either.
   */
  blame?: 'input' | 'unclear' | 'replica';
  /** When an overloaded one wants to be asked again. */
  retryAfterSeconds?: number | undefined;
  /** Of the answer whose own words the message is: they may repeat the input, and are for the caller alone. */
  status?: number | undefined;
}

export class ReplicaFailure extends Error {
  override readonly name = 'ReplicaFailure';
  readonly blame: 'input' | 'unclear' | 'replica';
  readonly retryAfterSeconds: number | undefined;
  readonly status: number | undefined;

  constructor(
    readonly kind: ReplicaFailureKind,
    message: string,
    { cause, blame, retryAfterSeconds, status }: ReplicaFailureOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.blame = blame ?? (kind === 'model' ? 'input' : 'replica');
    this.retryAfterSeconds = retryAfterSeconds;
    this.status = status;
  }
}

/** What ends a call early: an AbortSignal, or a `CallOff`, which costs a tenth of one. */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface ReplicaCall {
  /** Ends the call; the replica may still finish the run. */
  signal?: CallSignal | undefined;
  timeoutMs: number;
  /** W3C trace context to hand on. */
  traceparent?: string | undefined;
  /** It was lost at another replica already. */
  isRetry?: boolean | undefined;
}

/** One place where one model version runs. Local and remote ones look the same from here. */
export interface Replica extends AsyncDisposable {
  readonly id: string;
  /**
   * How many runs it takes at the same time right now, 0 for none. Undefined: one, and the next may be sent ahead of its
   * end. Only a replica that is shared with others, on a server of its own, says a number.
   */
  readonly mostRuns?: number | undefined;
  /** Calls back whenever it finds by itself that it takes no work: a failed health check, an open circuit. */
  onOut?(listener: () => void): void;
  metadata(): Promise<ReplicaMetadata>;
  /** True when the model is loaded and warmed and answers. Never throws. */
  isReady(): Promise<boolean>;
  /** One run over one batch. @throws ReplicaFailure */
  infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]>;
}
