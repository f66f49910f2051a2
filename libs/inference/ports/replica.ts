import type { Tensor, TensorSpec } from '../tensor.js';

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
  /** No answer in time. */
  | 'timeout';

export class ReplicaFailure extends Error {
  override readonly name = 'ReplicaFailure';
  constructor(
    readonly kind: ReplicaFailureKind,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

export interface ReplicaCall {
  /** Ends the call; the replica may still finish the run. */
  signal?: AbortSignal | undefined;
  timeoutMs: number;
  /** W3C trace context to hand on. */
  traceparent?: string | undefined;
}

/** One place where one model version runs. Local and remote ones look the same from here. */
export interface Replica extends AsyncDisposable {
  readonly id: string;
  metadata(): Promise<ReplicaMetadata>;
  /** True when the model is loaded and warmed and answers. Never throws. */
  isReady(): Promise<boolean>;
  /** One run over one batch. @throws ReplicaFailure */
  infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]>;
}
