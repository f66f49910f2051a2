import type { Span } from '@opentelemetry/api';
import type { SluiceError } from '#libs/kernel';
import type { CallerPresence } from './batcher-caller.js';
import type { Line } from './batcher-line.js';
import type { Tensor } from '../tensors/tensor.js';

/** One request's wish for a run. */
export interface BatchRequest {
  /** How errors name the place. */
  readonly endpoint: string;
  /** Who shares the version with whom: tenants get their turns whatever each of them sends. */
  readonly tenant: string;
  /** The caller, as known by its key: those of one tenant share the tenant's turns. */
  readonly key: string;
  /** From 1, the most urgent, to the number of levels that the version has. */
  readonly priority: number;
  readonly inputs: readonly Tensor[];
  readonly rows: number;
  /** What it holds in memory, about. */
  readonly bytes: number;
  readonly timeoutMs: number;
  /** Requests with equal keys may share a run; undefined runs alone. */
  readonly stackKey: string | undefined;
  readonly caller?: CallerPresence | undefined;
  readonly span?: Span | undefined;
}

export interface BatchAnswer {
  outputs: readonly Tensor[];
  queueMs: number;
  modelMs: number;
  /** It was stored, and no model ran for it. */
  isCached?: boolean;
}

/** A request between its arrival and its one answer. */
export class WaitingRequest {
  /** Where it waits; undefined when it does not wait any more. */
  line: Line | undefined;
  previous: WaitingRequest | undefined;
  next: WaitingRequest | undefined;
  /** How many replicas died while they had it. */
  losses = 0;
  isSettled = false;
  startedMs = 0;
  readonly deadlineMs: number;
  private resolve!: (answer: BatchAnswer) => void;
  private reject!: (error: SluiceError) => void;

  constructor(
    readonly request: BatchRequest,
    readonly enqueuedMs: number,
    private readonly whenAbandoned: (request: WaitingRequest) => void,
  ) {
    this.deadlineMs = enqueuedMs + request.timeoutMs;
  }

  answered(): Promise<BatchAnswer> {
    this.request.caller?.await(this);
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  answer(outputs: readonly Tensor[], nowMs: number): void {
    if (!this.settle()) return;
    this.resolve({ outputs, queueMs: this.startedMs - this.enqueuedMs, modelMs: nowMs - this.startedMs });
  }

  fail(error: SluiceError): void {
    if (this.settle()) this.reject(error);
  }

  abandon(): void {
    if (!this.isSettled) this.whenAbandoned(this);
  }

  // The first answer counts; whatever comes later finds nobody.
  private settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.request.caller?.forget(this);
    this.line?.flow.tenant.level.queue.remove(this);
    return true;
  }
}

/** The key of versions whose requests cannot differ in shape. */
export const plainKey = '';
/** Requests under this one never share a run. */
export const aloneKey = '\0';
