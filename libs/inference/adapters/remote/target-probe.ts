import { mebibytes } from '#libs/kernel';
import { Pool } from 'undici';
import { ReplicaFailure } from '../../ports/replica.js';
import { askOverHttp, type HttpAnswer } from '../oip/http-call.js';
import type { ForeignServer } from '../oip/oip-replica.js';
import { isAvailable } from '../tf-serving/tf-serving-replica.js';

export type RemoteProtocol = 'oip' | 'tf-serving' | 'openai';

export interface TargetProbeSettings {
  protocol: RemoteProtocol;
  /** As of the replica itself. */
  address: string;
  model: string;
  version?: string | undefined;
  /** Asked instead of what the protocol says, from the server's root: any 2xx means yes. */
  path?: string | undefined;
  timeoutMs: number;
  foreign: ForeignServer;
}

const mostAnswerBytes = mebibytes(4);
const ownVersionPart: Readonly<Record<RemoteProtocol, RegExp>> = {
  oip: /\/v2$/,
  'tf-serving': /\/v1$/,
  openai: /\/v1$/,
};

/** Asks a server whether its model is ready, on a connection of its own: calls that fill the others do not keep it waiting. */
export class TargetProbe implements AsyncDisposable {
  private readonly pool: Pool;
  private readonly path: string;

  constructor(private readonly settings: TargetProbeSettings) {
    const { address, foreign } = settings;
    const url = new URL(address);
    this.path = settings.path ?? protocolPath(settings, url);
    this.pool = new Pool(url.origin, {
      connections: 1,
      pipelining: 1,
      connect: { timeout: Math.min(foreign.connectTimeoutMs, settings.timeoutMs), lookup: foreign.lookup },
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** @returns why it is not ready, undefined when it is. Never rejects. */
  async problem(): Promise<string | undefined> {
    const { foreign, timeoutMs, protocol, path } = this.settings;
    try {
      const question = { method: 'GET', path: this.path, headers: { ...foreign.headers() }, mostAnswerBytes } as const;
      const answer = await askOverHttp(this.pool, question, { timeoutMs });
      if (!isGood(answer)) return `GET ${this.path} answers ${answer.status}`;
      if (protocol !== 'tf-serving' || path !== undefined || isAvailable(answer.body)) return undefined;
      return `GET ${this.path} says that no version is available`;
    } catch (error) {
      if (error instanceof ReplicaFailure) return error.message;
      return 'the health check failed';
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.destroy();
  }
}

const isGood = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300;

function protocolPath({ protocol, model, version }: TargetProbeSettings, url: URL): string {
  const base = url.pathname.replace(/\/+$/, '').replace(ownVersionPart[protocol], '');
  const ofVersion = version === undefined ? '' : `/versions/${encodeURIComponent(version)}`;
  switch (protocol) {
    case 'oip':
      return `${base}/v2/models/${encodeURIComponent(model)}${ofVersion}/ready`;
    case 'tf-serving':
      return `${base}/v1/models/${encodeURIComponent(model)}${ofVersion}`;
    case 'openai':
      return `${base}/v1/models`;
  }
}
