import { minutes, secondsToMs } from '#libs/kernel';
import type { OutboundGuard } from '#libs/platform';
import type { z } from 'zod';
import type { ForeignServer } from '../adapters/oip/oip-replica.js';
import { OipReplica } from '../adapters/oip/oip-replica.js';
import { OpenAiReplica } from '../adapters/openai/openai-replica.js';
import { TargetProbe } from '../adapters/remote/target-probe.js';
import { TfServingReplica } from '../adapters/tf-serving/tf-serving-replica.js';
import type { CircuitBreakerSettings } from './circuit-breaker.js';
import type { remoteSchema } from '../models/manifest-settings.js';
import type { Replica } from '../ports/replica.js';
import { addressProblem, canonicalAddress } from './remote-address.js';
import type { SecretHeaderSource } from './secret-header-ring.js';
import type { TensorSpec } from '../tensors/tensor.js';

export type RemoteSettings = z.infer<typeof remoteSchema>;

/** A model version that runs on other servers, as far as reaching them needs it. */
export interface RemoteVersion {
  readonly model: string;
  readonly version: string;
  readonly remote: RemoteSettings;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export interface RemoteSurroundings {
  secrets: SecretHeaderSource;
  /** Judges the addresses that users registered. */
  outbound: OutboundGuard;
}

export interface RemoteLimits {
  timeoutMs: number;
  connectTimeoutMs: number;
  maxConcurrency: number;
  probeEveryMs: number;
  probeTimeoutMs: number;
  breaker: CircuitBreakerSettings;
  retryBudgetRatio: number;
}

const shownInstead = '***';

/** What holds for a version's targets, its own settings before the defaults. Language models take long and many at once. */
export function limitsOf({ protocol, ...remote }: RemoteSettings): RemoteLimits {
  const isLanguage = protocol === 'openai';
  const { probe = {}, breaker = {} } = remote;
  return {
    timeoutMs: remote.timeoutMs ?? secondsToMs(isLanguage ? minutes(10) : 30),
    connectTimeoutMs: remote.connectTimeoutMs ?? 2_000,
    maxConcurrency: remote.maxConcurrency ?? (isLanguage ? 256 : 16),
    probeEveryMs: probe.everyMs ?? 10_000,
    probeTimeoutMs: probe.timeoutMs ?? 2_000,
    breaker: {
      failureRatio: breaker.failureRatio ?? 0.5,
      minCalls: breaker.minCalls ?? 20,
      windowMs: breaker.windowMs ?? 10_000,
      openMs: breaker.openMs ?? 5_000,
    },
    retryBudgetRatio: remote.retryBudgetRatio ?? 0.2,
  };
}

/** One server that a version runs on. */
export class RemoteTarget {
  readonly address: string;
  readonly limits: RemoteLimits;
  private readonly foreign: ForeignServer;
  private readonly addressHindrance: string | undefined;
  /** The headers as last made, and the secrets they were made with: they are asked for with each call. */
  private made: { from: ReadonlyMap<string, string>; headers: Readonly<Record<string, string>> } | undefined;

  constructor(
    private readonly version: RemoteVersion,
    private readonly place: RemoteSettings['targets'][number],
    private readonly surroundings: RemoteSurroundings,
  ) {
    this.address = canonicalAddress(place.url);
    this.limits = limitsOf(version.remote);
    this.addressHindrance = addressHindranceOf(place.url, surroundings.outbound);
    const { connectTimeoutMs } = this.limits;
    const lookup = surroundings.outbound.lookupFor(new URL(this.address));
    this.foreign = { headers: () => this.headers(), lookup, connectTimeoutMs };
  }

  /** Why nothing may be sent there, whatever the server says: the operator's list, or a secret that is not set. */
  hindrance(): string | undefined {
    if (this.addressHindrance !== undefined) return this.addressHindrance;
    const { secretHeaders } = this.version.remote;
    if (secretHeaders === undefined || secretHeaders.length === 0) return undefined;
    const values = this.secretValues();
    const missing = secretHeaders.filter((name) => !values.has(name));
    if (missing.length === 0) return undefined;
    const { model, version } = this.version;
    return `secret header ${missing.join(', ')} is not set: PUT /api/models/${model}/versions/${version}/secret-headers`;
  }

  /** The connection, without any guard. @param id of the replica */
  open(id: string): Replica {
    const { remote, model: ownName, inputs, outputs } = this.version;
    const { address, foreign } = this;
    const { model = ownName, version } = this.place;
    // The guard counts; a connection more than it allows would only hide a mistake in it.
    const connections = this.limits.maxConcurrency;
    switch (remote.protocol) {
      case 'oip':
        return new OipReplica({ id, address, model, version, connections, foreign });
      case 'tf-serving': {
        const { form, signature } = remote.tfServing ?? {};
        return new TfServingReplica({
          id,
          address,
          model,
          version,
          inputs,
          outputs,
          form,
          signature,
          connections,
          foreign,
        });
      }
      case 'openai': {
        const { headers, lookup, connectTimeoutMs } = foreign;
        return new OpenAiReplica({ id, address, model, headers, lookup, connectTimeoutMs, connections });
      }
    }
  }

  openProbe(): TargetProbe {
    const { remote, model: ownName } = this.version;
    const { model = ownName, version } = this.place;
    return new TargetProbe({
      protocol: remote.protocol,
      address: this.address,
      model,
      version,
      path: remote.probe?.path,
      timeoutMs: this.limits.probeTimeoutMs,
      foreign: this.foreign,
    });
  }

  /** Takes secrets out of a text that may hold them, in the forms in which they are sent. */
  scrub(text: string): string {
    let shown = text;
    for (const value of this.secretValues().values()) {
      shown = shown.replaceAll(value, shownInstead);
      // `Bearer <token>` is often repeated without its first word.
      const token = value.slice(value.indexOf(' ') + 1);
      if (token.length >= shortestTokenLength) shown = shown.replaceAll(token, shownInstead);
    }
    return shown;
  }

  private headers(): Readonly<Record<string, string>> {
    const from = this.secretValues();
    if (this.made?.from === from) return this.made.headers;
    const { headers: plain, secretHeaders = [] } = this.version.remote;
    const headers: Record<string, string> = { ...plain };
    for (const name of secretHeaders) if (from.has(name)) headers[name] = from.get(name)!;
    this.made = { from, headers };
    return headers;
  }

  private secretValues(): ReadonlyMap<string, string> {
    return this.surroundings.secrets.valuesOf(this.version.model, this.version.version);
  }
}

const shortestTokenLength = 4;

// The manifest was held against this when it was registered; what is stored is no proof of it.
function addressHindranceOf(address: string, outbound: OutboundGuard): string | undefined {
  const problem = addressProblem(address);
  if (problem !== undefined) return `the address ${problem}`;
  const url = new URL(address);
  const refusal = outbound.problemOf(url);
  return refusal === undefined ? undefined : `the host ${url.host} ${refusal}`;
}
