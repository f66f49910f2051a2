import type { KeyPair, SluiceConfig } from '#libs/platform';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest, type RequestOptions } from 'node:https';
import { baseAddress } from './welcome.js';

export interface OwnAnswer {
  status: number;
  body: string;
}

const patienceMs = 10_000;

/** Asks the API of this very installation, whatever name its certificate is made out to. */
export class OwnApi {
  readonly base: string;

  constructor(
    config: Pick<SluiceConfig, 'host' | 'port' | 'tls'>,
    private readonly pair: KeyPair | undefined,
  ) {
    this.base = baseAddress(config);
  }

  /** @returns undefined when there is no answer */
  ask(
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: string } = {},
  ): Promise<OwnAnswer | undefined> {
    const options: RequestOptions = {
      method: body === undefined ? 'GET' : 'POST',
      headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
      timeout: patienceMs,
      agent: false,
      ...this.trust(),
    };
    return new Promise((resolve) => {
      const asked = (this.pair === undefined ? plainRequest : tlsRequest)(`${this.base}${path}`, options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', () => resolve(undefined));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      asked.on('timeout', () => asked.destroy());
      asked.on('error', () => resolve(undefined));
      asked.end(body);
    });
  }

  // This certificate and no other, as it lies in the file: nobody else has its key, so its name has nothing to add.
  private trust(): RequestOptions {
    if (this.pair === undefined) return {};
    return { ca: this.pair.certificate, allowPartialTrustChain: true, checkServerIdentity: () => undefined };
  }
}
