import { timeOrderedId } from '#libs/platform';
import { CallerPresence, type InferOutcome } from '#libs/inference';
import { Metadata, type ServerDuplexStream, type ServerErrorResponse, type ServerUnaryCall } from '@grpc/grpc-js';
import type { AdmittedRequest } from '../http/gatekeeper.js';
import { grpcErrorOf } from './grpc-status.js';

type AnyCall = ServerUnaryCall<unknown, unknown> | ServerDuplexStream<unknown, unknown>;

// `10.0.0.1:4711`, `[::1]:4711`
const peerPattern = /^\[?(.*?)\]?:\d+$/;

/** One call as the service needs it: its id, what came with it, and whether its client still waits. */
export class GrpcCall {
  readonly requestId = timeOrderedId(new Date());
  readonly presence = new CallerPresence();
  private readonly ended = new AbortController();

  constructor(private readonly call: AnyCall) {
    call.on('cancelled', () => {
      this.presence.leave();
      this.ended.abort();
    });
  }

  /** As the gatekeeper wants a request. */
  get admitted(): AdmittedRequest {
    const { requestId: id } = this;
    const headers = { authorization: this.header('authorization'), 'x-forwarded-for': this.header('x-forwarded-for') };
    return { id, headers, ip: peerPattern.exec(this.call.getPeer())?.[1] };
  }

  get over(): AbortSignal {
    return this.ended.signal;
  }

  /** How long its client still waits; undefined when it set no deadline. */
  get timeoutMs(): number | undefined {
    const deadline = this.call.getDeadline();
    const leftMs = (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now();
    return Number.isFinite(leftMs) ? Math.max(1, leftMs) : undefined;
  }

  header(name: string): string | undefined {
    const [value] = this.call.metadata.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  /** What the headers of an HTTP answer tell. */
  sendHead({ version, arm, traceparent, isCached }: Omit<InferOutcome<unknown>, 'payload' | 'error'>): void {
    const head = new Metadata();
    head.set('sluice-request-id', this.requestId);
    head.set('traceparent', traceparent);
    if (version !== undefined) head.set('sluice-model-version', version);
    if (arm !== undefined) head.set('sluice-arm', arm);
    if (isCached === true) head.set('sluice-cache', 'hit');
    this.call.sendMetadata(head);
  }

  errorOf(failure: unknown): ServerErrorResponse {
    const error = grpcErrorOf(failure);
    error.metadata!.set('sluice-request-id', this.requestId);
    return error;
  }
}
