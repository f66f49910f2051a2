import { isSluiceError, mebibytes } from '#libs/kernel';
import type { LookupFunction } from 'node:net';
import { Pool } from 'undici';
import { datatypes } from '../../tensors/datatype.js';
import {
  decodeInferResponse,
  decodeJsonInferResponse,
  encodeInferRequest,
  headerLengthField,
} from '../../oip/oip-binary.js';
import { renderTensor } from '../../oip/oip-infer-response.js';
import { type Replica, type ReplicaCall, ReplicaFailure, type ReplicaMetadata } from '../../ports/replica.js';
import type { Tensor, TensorSpec } from '../../tensors/tensor.js';
import { failureOf } from './answer-failure.js';
import { type HttpAnswer, type HttpQuestion, askOverHttp } from './http-call.js';

export interface OipReplicaSettings {
  id: string;
  /** `unix:<socket path>`, or `http(s)://host:port` with a path in front where the server has one. A last `/v2` is the protocol's own. */
  address: string;
  /** The model's name at the server. */
  model: string;
  /** Its version there; left out, the server chooses. */
  version?: string | undefined;
  /** Most calls at the same time; more wait here. */
  connections?: number | undefined;
  /** A server of another's: what it is sent besides, how its name is resolved, and how long it has to take a connection. */
  foreign?: ForeignServer | undefined;
}

export interface ForeignServer {
  /** Sent with each request. Lower-case names. */
  headers: () => Readonly<Record<string, string>>;
  lookup: LookupFunction;
  connectTimeoutMs: number;
}

const defaultConnections = 8;
const connectTimeoutMs = 2_000;
const healthTimeoutMs = 2_000;
const metadataTimeoutMs = 5_000;
const idleConnectionMs = 60_000;
const mostForeignBytes = mebibytes(256);
const mostMetadataBytes = mebibytes(4);
const binaryExtension = 'binary_tensor_data';

/**
 * A replica behind the Open Inference Protocol v2 over HTTP: Sluice's own model servers on a Unix socket, and any other
 * server that speaks it (Triton, KServe, MLServer). Tensors go in binary; a foreign server that does not name the binary
 * tensor data extension in its metadata gets JSON.
 */
export class OipReplica implements Replica {
  readonly id: string;
  private readonly pool: Pool;
  private readonly serverPath: string;
  private readonly path: string;
  private readonly version: string | undefined;
  private readonly foreign: ForeignServer | undefined;
  private binary: Promise<boolean> | undefined;

  constructor(settings: OipReplicaSettings) {
    const { id, address, model, version, foreign } = settings;
    this.id = id;
    this.version = version;
    this.foreign = foreign;
    const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
    const url = new URL(socketPath === undefined ? address : 'http://localhost');
    this.serverPath = `${url.pathname.replace(/\/+$/, '').replace(/\/v2$/, '')}/v2`;
    this.path = `${this.serverPath}/models/${encodeURIComponent(model)}`;
    if (version !== undefined) this.path += `/versions/${encodeURIComponent(version)}`;
    this.pool = new Pool(url.origin, {
      connections: settings.connections ?? defaultConnections,
      pipelining: 1,
      connect: {
        timeout: foreign?.connectTimeoutMs ?? connectTimeoutMs,
        ...(socketPath !== undefined && { socketPath }),
        ...(foreign !== undefined && { lookup: foreign.lookup }),
      },
      keepAliveTimeout: idleConnectionMs,
      // Each call has its own timer, which counts the wait for a connection as well.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]> {
    const isBinary = this.foreign === undefined || (await this.takesBinary(call));
    const { body, headers } = isBinary ? binaryBody(inputs) : jsonBody(inputs);
    if (call.traceparent !== undefined) headers['traceparent'] = call.traceparent;
    const answer = await this.ask({ method: 'POST', path: `${this.path}/infer`, headers, body }, call);
    if (answer.status !== 200) throw failureOf(answer);
    return outputsOf(answer, this.foreign !== undefined);
  }

  async metadata(): Promise<ReplicaMetadata> {
    const answer = await this.ask({ method: 'GET', path: this.path }, { timeoutMs: metadataTimeoutMs });
    if (answer.status !== 200) throw failureOf(answer);
    return metadataOf(answer, this.version);
  }

  async isReady(): Promise<boolean> {
    try {
      const answer = await this.ask({ method: 'GET', path: `${this.path}/ready` }, { timeoutMs: healthTimeoutMs });
      return answer.status === 200;
    } catch {
      return false;
    }
  }

  /** Calls in flight end as lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.destroy();
  }

  private ask(question: HttpQuestion, call: ReplicaCall): Promise<HttpAnswer> {
    const { foreign } = this;
    if (foreign === undefined) return askOverHttp(this.pool, question, call);
    const headers = { ...question.headers, ...foreign.headers() };
    return askOverHttp(this.pool, { mostAnswerBytes: mostForeignBytes, ...question, headers }, call);
  }

  // Asked once, and again after a failure: a server does not change its kind while it is connected to.
  private takesBinary(call: ReplicaCall): Promise<boolean> {
    this.binary ??= this.askForExtensions(call).catch((error: unknown) => {
      this.binary = undefined;
      throw error;
    });
    return this.binary;
  }

  private async askForExtensions({ timeoutMs }: ReplicaCall): Promise<boolean> {
    const question: HttpQuestion = { method: 'GET', path: this.serverPath, mostAnswerBytes: mostMetadataBytes };
    // Without the signal of the call, as other calls wait for the same answer.
    const answer = await this.ask(question, { timeoutMs: Math.min(timeoutMs, metadataTimeoutMs) });
    if (answer.status !== 200) {
      const failure = failureOf(answer);
      // A server without server metadata speaks JSON at least; one that is away or refuses is asked again.
      if (failure.kind === 'model' && answer.status === 404) return false;
      throw failure;
    }
    try {
      const { extensions } = JSON.parse(answer.body.toString()) as { extensions?: unknown };
      return Array.isArray(extensions) && extensions.includes(binaryExtension);
    } catch {
      return false;
    }
  }
}

interface Body {
  body: Buffer;
  headers: Record<string, string>;
}

function binaryBody(inputs: readonly Tensor[]): Body {
  const { headerLength, chunks } = encodeInferRequest(inputs);
  const headers = { 'content-type': 'application/octet-stream', [headerLengthField]: String(headerLength) };
  return { body: Buffer.concat(chunks), headers };
}

function jsonBody(inputs: readonly Tensor[]): Body {
  try {
    const body = Buffer.from(`{"inputs":[${inputs.map(renderTensor).join(',')}]}`);
    return { body, headers: { 'content-type': 'application/json' } };
  } catch (cause) {
    if (!isSluiceError(cause)) throw cause;
    const problem = 'an input is not finite, and the server takes JSON alone, which cannot carry that';
    throw new ReplicaFailure('model', problem, { cause });
  }
}

function outputsOf(answer: HttpAnswer, isForeign: boolean): Tensor[] {
  try {
    const headerLength = answer.header(headerLengthField);
    // Without the header the whole answer is JSON, which a server may choose for outputs that have no binary form.
    if (headerLength !== undefined) return [...decodeInferResponse(Number(headerLength), answer.body).outputs];
    return [...decodeJsonInferResponse(answer.body).outputs];
  } catch (cause) {
    if (!isSluiceError(cause)) throw cause;
    // What a foreign server sends that nobody can read (a login page, say) is no matter of the input.
    throw new ReplicaFailure('model', cause.message, { cause, blame: isForeign ? 'replica' : 'input' });
  }
}

function metadataOf(answer: HttpAnswer, asked = ''): ReplicaMetadata {
  try {
    const metadata = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    const { name, versions, platform, inputs, outputs } = metadata;
    if (typeof name !== 'string') throw new Error('name is missing');
    return {
      name,
      // MLServer names no versions, not even the one that was asked for.
      version: Array.isArray(versions) && versions.length > 0 ? String(versions[0]) : asked,
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
