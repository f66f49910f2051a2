import { isSluiceError } from '#libs/kernel';
import { Pool } from 'undici';
import { datatypes } from '../../datatype.js';
import { decodeInferResponse, encodeInferRequest, headerLengthField } from '../../oip-binary.js';
import { type Replica, type ReplicaCall, ReplicaFailure, type ReplicaMetadata } from '../../ports/replica.js';
import type { Tensor, TensorSpec } from '../../tensor.js';
import { type HttpAnswer, askOverHttp } from './http-call.js';

export interface OipReplicaSettings {
  id: string;
  /** `unix:<socket path>` or `http://host:port`. */
  address: string;
  model: string;
  version: string;
  /** Most calls at the same time; more wait here. */
  connections?: number | undefined;
}

const defaultConnections = 8;
const connectTimeoutMs = 2_000;
const healthTimeoutMs = 2_000;
const metadataTimeoutMs = 5_000;
const idleConnectionMs = 60_000;

/**
 * A replica behind the Open Inference Protocol v2 over HTTP with binary tensors: Sluice's own model servers on a Unix
 * socket, and any other server that speaks it (Triton).
 */
export class OipReplica implements Replica {
  readonly id: string;
  private readonly pool: Pool;
  private readonly path: string;

  constructor(settings: OipReplicaSettings) {
    const { id, address, model, version } = settings;
    this.id = id;
    this.path = `/v2/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}`;
    const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
    this.pool = new Pool(socketPath === undefined ? new URL(address).origin : 'http://localhost', {
      connections: settings.connections ?? defaultConnections,
      pipelining: 1,
      connect: { timeout: connectTimeoutMs, ...(socketPath !== undefined && { socketPath }) },
      keepAliveTimeout: idleConnectionMs,
      // Each call has its own timer, which counts the wait for a connection as well.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]> {
    const { headerLength, chunks } = encodeInferRequest(inputs);
    const headers: Record<string, string> = {
      'content-type': 'application/octet-stream',
      [headerLengthField]: String(headerLength),
    };
    if (call.traceparent !== undefined) headers['traceparent'] = call.traceparent;
    const body = Buffer.concat(chunks);
    const answer = await askOverHttp(this.pool, { method: 'POST', path: `${this.path}/infer`, headers, body }, call);
    if (answer.status !== 200) throw failureOf(answer);
    return outputsOf(answer);
  }

  async metadata(): Promise<ReplicaMetadata> {
    const answer = await askOverHttp(this.pool, { method: 'GET', path: this.path }, { timeoutMs: metadataTimeoutMs });
    if (answer.status !== 200) throw failureOf(answer);
    return metadataOf(answer);
  }

  async isReady(): Promise<boolean> {
    try {
      const answer = await askOverHttp(
        this.pool,
        { method: 'GET', path: `${this.path}/ready` },
        { timeoutMs: healthTimeoutMs },
      );
      return answer.status === 200;
    } catch {
      return false;
    }
  }

  /** Calls in flight end as lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.destroy();
  }
}

function outputsOf(answer: HttpAnswer): Tensor[] {
  try {
    const headerLength = answer.header(headerLengthField);
    // Without the header the whole answer is JSON, which a server may choose for outputs that have no binary form.
    const { outputs } = decodeInferResponse(
      headerLength === undefined ? answer.body.length : Number(headerLength),
      answer.body,
    );
    return [...outputs];
  } catch (cause) {
    if (!isSluiceError(cause)) throw cause;
    throw new ReplicaFailure('model', cause.message, { cause });
  }
}

function failureOf(answer: HttpAnswer): ReplicaFailure {
  const text = errorTextOf(answer.body);
  // These three say that the model never saw the work; all other answers come from the model or are about the input.
  if (answer.status === 502 || answer.status === 503) return new ReplicaFailure('lost', text);
  if (answer.status === 504) return new ReplicaFailure('timeout', text);
  return new ReplicaFailure('model', text);
}

function errorTextOf(body: Buffer): string {
  try {
    const { error } = JSON.parse(body.toString()) as { error?: unknown };
    if (typeof error === 'string') return error;
  } catch {
    // Not the protocol's error: say so below.
  }
  return 'the replica gave no reason';
}

function metadataOf(answer: HttpAnswer): ReplicaMetadata {
  try {
    const metadata = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    const { name, versions, platform, inputs, outputs } = metadata;
    if (typeof name !== 'string') throw new Error('name is missing');
    return {
      name,
      version: Array.isArray(versions) ? String(versions[0]) : '',
      platform: typeof platform === 'string' ? platform : '',
      inputs: specsOf(inputs, 'inputs'),
      outputs: specsOf(outputs, 'outputs'),
    };
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new ReplicaFailure('model', `the replica's metadata cannot be read: ${problem}`, { cause });
  }
}

function specsOf(given: unknown, what: string): TensorSpec[] {
  if (!Array.isArray(given)) throw new Error(`${what} is not an array`);
  return given.map((entry: TensorSpec, index) => {
    const isSpec =
      typeof entry?.name === 'string' && Object.hasOwn(datatypes, entry.datatype) && Array.isArray(entry.shape);
    if (!isSpec) throw new Error(`${what}[${index}] has no name, datatype and shape`);
    return { name: entry.name, datatype: entry.datatype, shape: entry.shape.map(Number) };
  });
}
