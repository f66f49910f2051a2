import { sluiceError } from '#libs/kernel';
import { guardedAgent, type OutboundGuard } from '#libs/platform';
import { request, type Agent, type Dispatcher } from 'undici';
import { anySource, isLoopbackHost } from '../../artifacts/artifact-address.js';
import { shownName } from '../../artifacts/artifact-refusal.js';
import { sourceFailed } from '../../artifacts/artifact-sources.js';

export interface OciAnswer {
  status: number;
  headers: Dispatcher.ResponseData['headers'];
  body: Dispatcher.ResponseData['body'];
}

const connectSeconds = 5;
const silenceSeconds = 30;
const mostRedirects = 5;

/** GET requests to registries and to the stores that they redirect to. A credential never leaves the origin it is for. */
export class OciHttp implements AsyncDisposable {
  private readonly agent: Agent;

  /** @param plainHttp hosts (with port) that may be spoken to without TLS, besides loopback */
  constructor(
    private readonly plainHttp: readonly string[],
    private readonly guard: OutboundGuard = anySource,
  ) {
    this.agent = guardedAgent(guard, { connectSeconds, silenceSeconds, connections: 8 });
  }

  /** `http://` for loopback and for what the operator lists, `https://` for everything else. */
  origin(registry: string): string {
    const { hostname } = new URL(`https://${registry}`);
    return `${isLoopbackHost(hostname) || this.plainHttp.includes(registry) ? 'http' : 'https'}://${registry}`;
  }

  /** Follows redirects. @throws SLU_ARTIFACT_SOURCE_CLOSED, SLU_ARTIFACT_SOURCE_FAILED */
  async get(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<OciAnswer> {
    let target = new URL(url);
    const firstOrigin = target.origin;
    for (let hop = 0; hop <= mostRedirects; hop += 1) {
      this.check(target);
      const { authorization, ...others } = headers;
      const sent = authorization !== undefined && target.origin === firstOrigin ? { ...others, authorization } : others;
      const answer = await request(target, { dispatcher: this.agent, headers: sent, signal });
      const location = answer.headers['location'];
      if (![301, 302, 303, 307, 308].includes(answer.statusCode) || typeof location !== 'string')
        return { status: answer.statusCode, headers: answer.headers, body: answer.body };
      await discard(answer.body);
      const next = redirected(location, target);
      if (target.protocol === 'https:' && next.protocol !== 'https:')
        throw closed(`${shownName(target.host)} redirects to a place without TLS`);
      target = next;
    }
    throw sourceFailed(`${shownName(new URL(url).host)} redirects more than ${mostRedirects} times`);
  }

  /** A small body whole. @throws SLU_ARTIFACT_SOURCE_FAILED when it is larger */
  async small({ body }: OciAnswer, limitBytes: number): Promise<Buffer> {
    body.on('error', () => undefined);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      if (bytes > limitBytes)
        throw sourceFailed(`the registry sent more than ${limitBytes} bytes where few are expected`);
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.destroy();
  }

  private check(url: URL): void {
    if (!['http:', 'https:'].includes(url.protocol)) throw closed('only http and https are spoken');
    if (url.protocol !== 'https:' && this.origin(url.host) !== url.origin)
      throw closed(
        `${shownName(url.host)} is not spoken to without TLS; the operator may list it in SLUICE_OCI_PLAIN_HTTP`,
      );
    if (url.username !== '' || url.password !== '') throw closed('an address must not carry a password');
    const problem = this.guard.problemOf(url);
    if (problem !== undefined) throw closed(`${shownName(url.host)} ${problem}`);
  }
}

/** Reads a little of what nobody wants, so that its connection can be used again. */
export async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  await body.dump({ limit: 65_536 }).catch(() => undefined);
}

function redirected(location: string, from: URL): URL {
  try {
    return new URL(location, from);
  } catch {
    throw sourceFailed(`${shownName(from.host)} redirects to no address`);
  }
}

const closed = (problem: string): Error => sluiceError('SLU_ARTIFACT_SOURCE_CLOSED', { problem });
