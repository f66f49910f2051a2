import { sluiceError } from '#libs/kernel';
import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry/lib/client/index.js';
import { ensureSearchAttributes } from './search-attributes.js';

export interface TemporalLinkSettings {
  /** host:port */
  address: string;
  namespace: string;
}

const connectTimeoutMs = 2_000;
/** A connection that was lost is tried again this often, so that a command works right after Temporal is back. */
const longestReconnectMs = 2_000;

/**
 * The way to Temporal. It connects at the first use, forgets a failed attempt, and gives each call a deadline: whoever
 * asks while Temporal is away gets an answer soon. Dispose of it at the end.
 */
export class TemporalLink implements AsyncDisposable {
  private opening: Promise<Client> | undefined;

  constructor(private readonly settings: TemporalLinkSettings) {}

  /** @throws SLU_PLATFORM_TEMPORAL_DOWN when Temporal does not answer within the deadline */
  async call<T>(deadlineMs: number, work: (client: Client) => Promise<T>): Promise<T> {
    const deadline = Date.now() + deadlineMs;
    try {
      const client = await this.client();
      return await client.withDeadline(deadline, () => work(client));
    } catch (cause) {
      if (!isUnreachable(cause)) throw cause;
      throw sluiceError('SLU_PLATFORM_TEMPORAL_DOWN', {}, { cause, retryAfterSeconds: 2 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = await this.opening?.catch(() => undefined);
    this.opening = undefined;
    await client?.connection.close();
  }

  private client(): Promise<Client> {
    this.opening ??= this.open().catch((failure: unknown) => {
      this.opening = undefined;
      throw failure;
    });
    return this.opening;
  }

  private async open(): Promise<Client> {
    const connection = await Connection.connect({
      address: this.settings.address,
      connectTimeout: connectTimeoutMs,
      channelArgs: { 'grpc.initial_reconnect_backoff_ms': 200, 'grpc.max_reconnect_backoff_ms': longestReconnectMs },
    });
    await ensureSearchAttributes(connection, this.settings.namespace);
    return new Client({
      connection,
      namespace: this.settings.namespace,
      interceptors: { workflow: [new OpenTelemetryWorkflowClientInterceptor()] },
    });
  }
}

// gRPC: 1 cancelled, 4 deadline exceeded, 14 unavailable. The SDK wraps them, sometimes twice.
const unreachableCodes = new Set([1, 4, 14]);

export function isUnreachable(failure: unknown): boolean {
  if (!(failure instanceof Error)) return false;
  if (isGrpcServiceError(failure)) return unreachableCodes.has(failure.code);
  if (/Failed to connect|before the deadline|deadline exceeded|unavailable/i.test(failure.message)) return true;
  return failure.cause !== undefined && isUnreachable(failure.cause);
}
