import type { LookupFunction } from 'node:net';
import { Pool } from 'undici';
import type { LanguageAnswer, LanguagePath, LanguageReplica } from '../../ports/language-replica.js';
import { type Replica, type ReplicaCall, ReplicaFailure, type ReplicaMetadata } from '../../ports/replica.js';
import type { Tensor } from '../../tensors/tensor.js';
import { exchangeOverHttp } from './http-exchange.js';
import { withModel } from './model-name.js';

export interface OpenAiReplicaSettings {
  id: string;
  /** `unix:<socket path>`, or `http(s)://host:port` with a path in front where the server has one. A last `/v1` is the protocol's own. */
  address: string;
  /** The model's name at the server; left out, requests keep the one that stands in them. */
  model?: string | undefined;
  /** Goes before the protocol's paths; the path of `address` when left out. */
  basePath?: string | undefined;
  /** Sent with each request, as they stand. Lower-case names. */
  headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>) | undefined;
  /** How the server's name is resolved, when not as the system does. */
  lookup?: LookupFunction | undefined;
  /**
   * The same server by the Open Inference Protocol, where it speaks that as well: it then answers for readiness, metadata
   * and tensors, and is closed with this replica. Without it readiness and metadata come from `GET /v1/models`.
   */
  tensors?: Replica | undefined;
  /** Asked instead of `/v1/models` whether the server is there: any 2xx means yes. */
  probePath?: string | undefined;
  probeTimeoutMs?: number | undefined;
  connectTimeoutMs?: number | undefined;
  /** Most exchanges at the same time; more wait here. */
  connections?: number | undefined;
}

const defaultConnections = 1_024;
const defaultConnectTimeoutMs = 2_000;
const defaultProbeTimeoutMs = 2_000;
const metadataTimeoutMs = 5_000;
const idleConnectionMs = 60_000;
const mostListBytes = 4_194_304;

/**
 * A replica behind the OpenAI protocol: Sluice's own language servers on a Unix socket, and any server that speaks it
 * over HTTP (vLLM, Ollama, TGI, a hosted one). Protocol: https://platform.openai.com/docs/api-reference
 */
export class OpenAiReplica implements LanguageReplica {
  readonly id: string;
  private readonly pool: Pool;
  private readonly basePath: string;

  constructor(private readonly settings: OpenAiReplicaSettings) {
    const { id, address, lookup } = settings;
    this.id = id;
    const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
    const url = new URL(socketPath === undefined ? address : 'http://localhost');
    this.basePath = (settings.basePath ?? url.pathname).replace(/\/+$/, '').replace(/\/v1$/, '');
    this.pool = new Pool(url.origin, {
      connections: settings.connections ?? defaultConnections,
      pipelining: 1,
      connect: {
        timeout: settings.connectTimeoutMs ?? defaultConnectTimeoutMs,
        ...(socketPath !== undefined && { socketPath }),
        ...(lookup !== undefined && { lookup }),
      },
      keepAliveTimeout: idleConnectionMs,
      // Each call has its own timer until the head; how long the body may rest is for its reader to say.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  converse(path: LanguagePath, body: Buffer, call: ReplicaCall): Promise<LanguageAnswer> {
    const headers: Record<string, string> = { 'content-type': 'application/json', ...this.headers() };
    if (call.traceparent !== undefined) headers['traceparent'] = call.traceparent;
    const { model } = this.settings;
    const sent = model === undefined ? body : withModel(body, model);
    return exchangeOverHttp(this.pool, { method: 'POST', path: `${this.basePath}${path}`, headers, body: sent }, call);
  }

  async infer(inputs: readonly Tensor[], call: ReplicaCall): Promise<Tensor[]> {
    const { tensors } = this.settings;
    if (tensors === undefined)
      throw new ReplicaFailure('model', 'this model answers the OpenAI protocol alone: call /v1 instead of /v2');
    return tensors.infer(inputs, call);
  }

  /** @throws ReplicaFailure 'model' when the server does not know the model */
  async metadata(): Promise<ReplicaMetadata> {
    const { tensors, model } = this.settings;
    if (tensors !== undefined) return tensors.metadata();
    const names = await this.modelNames();
    const name = model ?? names[0] ?? '';
    // Ollama names a model with its tag, and takes it without.
    if (!names.some((each) => each === name || each.split(':', 1)[0] === name))
      throw new ReplicaFailure('model', `the server has no model ${name}; it has ${names.slice(0, 20).join(', ')}`);
    return { name, version: '', platform: 'openai', inputs: [], outputs: [] };
  }

  async isReady(): Promise<boolean> {
    const { tensors, probePath, probeTimeoutMs = defaultProbeTimeoutMs } = this.settings;
    if (tensors !== undefined) return tensors.isReady();
    try {
      const { status, body } = await this.get(probePath ?? `${this.basePath}/v1/models`, probeTimeoutMs);
      // Its end is waited for, so that the connection can be used again.
      await wholeOf(body, mostListBytes);
      return status >= 200 && status < 300;
    } catch {
      return false;
    }
  }

  /** Calls in flight end as lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.pool.destroy(), this.settings.tensors?.[Symbol.asyncDispose]()]);
  }

  private headers(): Record<string, string> {
    const { headers } = this.settings;
    // An encoding would have to be undone before the model's name can be read.
    return { 'accept-encoding': 'identity', ...(typeof headers === 'function' ? headers() : headers) };
  }

  private get(path: string, timeoutMs: number): Promise<LanguageAnswer> {
    // The signal, unlike the time limit of the call, covers the body too.
    const call = { timeoutMs, signal: AbortSignal.timeout(timeoutMs) };
    return exchangeOverHttp(this.pool, { method: 'GET', path, headers: this.headers(), body: null }, call);
  }

  private async modelNames(): Promise<string[]> {
    const { status, body } = await this.get(`${this.basePath}/v1/models`, metadataTimeoutMs);
    const whole = await wholeOf(body, mostListBytes);
    if (status !== 200) throw new ReplicaFailure('lost', `the server answers ${status} to GET /v1/models`);
    try {
      const { data } = JSON.parse(whole.toString()) as { data?: unknown };
      if (!Array.isArray(data)) throw new Error('data is not an array');
      return data.map((entry: { id?: unknown } | null) => String(entry?.id));
    } catch (cause) {
      throw new ReplicaFailure('model', 'the list of models cannot be read', { cause });
    }
  }
}

/** @throws ReplicaFailure 'model' when there is more than `mostBytes` */
async function wholeOf(body: LanguageAnswer['body'], mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > mostBytes) throw new ReplicaFailure('model', `the server answers with more than ${mostBytes} bytes`);
  }
  return Buffer.concat(chunks, bytes);
}
