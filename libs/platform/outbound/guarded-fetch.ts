import { isSluiceError, secondsToMs, sluiceError, type SluiceError } from '#libs/kernel';
import { Agent, buildConnector, request, type Dispatcher } from 'undici';
import type { OutboundGuard } from './outbound-guard.js';

export interface GuardedFetchSettings {
  guard: OutboundGuard;
  connectSeconds?: number;
  /** For the whole exchange, redirects and the answer's body included. */
  limitSeconds?: number;
  /** Of an answer's body: what is more ends the exchange. */
  answerLimitBytes?: number;
  /** `http:` is spoken only where this says so. */
  takesPlainHttp?: boolean;
}

export interface GuardedAsk {
  method?: 'GET' | 'POST';
  headers?: Readonly<Record<string, string>>;
  body?: string | Buffer;
  signal?: AbortSignal;
}

export interface GuardedAnswer {
  status: number;
  headers: Dispatcher.ResponseData['headers'];
  body: Buffer;
}

const defaultConnectSeconds = 5;
const defaultLimitSeconds = 15;
const defaultAnswerLimitBytes = 65_536;
const mostRedirects = 3;
const redirects = new Set([301, 302, 303, 307, 308]);
/** All others the caller may only have meant for the first host. */
const harmlessHeaders = new Set(['accept', 'content-type', 'user-agent']);

/** Small HTTP exchanges with addresses that users registered. Each hop is judged by the guard, by name and by address. */
export class GuardedFetch implements AsyncDisposable {
  private readonly agent: Agent;

  constructor(private readonly settings: GuardedFetchSettings) {
    this.agent = guardedAgent(settings.guard, {
      connectSeconds: settings.connectSeconds ?? defaultConnectSeconds,
      silenceSeconds: settings.limitSeconds ?? defaultLimitSeconds,
      connections: 4,
    });
  }

  /** @throws SLU_OUTBOUND_REFUSED, SLU_OUTBOUND_FAILED */
  async fetch(address: string, ask: GuardedAsk = {}): Promise<GuardedAnswer> {
    const { limitSeconds = defaultLimitSeconds } = this.settings;
    const timeUp = AbortSignal.timeout(secondsToMs(limitSeconds));
    const signal = ask.signal === undefined ? timeUp : AbortSignal.any([timeUp, ask.signal]);
    const first = this.urlOf(address);
    try {
      return await this.follow(first, ask, signal);
    } catch (failure) {
      const refusal = sluiceCauseOf(failure);
      if (refusal !== undefined) throw refusal;
      const problem = timeUp.aborted ? `no answer within ${limitSeconds} s` : reasonOf(failure);
      throw sluiceError('SLU_OUTBOUND_FAILED', { host: first.hostname, problem }, { cause: failure });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.destroy();
  }

  private async follow(first: URL, ask: GuardedAsk, signal: AbortSignal): Promise<GuardedAnswer> {
    let target = first;
    let { method = 'GET', body } = ask;
    for (let hop = 0; hop <= mostRedirects; hop += 1) {
      const headers = target.origin === first.origin ? { ...ask.headers } : harmless(ask.headers);
      const answer = await request(target, { dispatcher: this.agent, method, headers, body: body ?? null, signal });
      const { location } = answer.headers;
      if (!redirects.has(answer.statusCode) || typeof location !== 'string')
        return { status: answer.statusCode, headers: answer.headers, body: await this.whole(answer.body, target) };
      await answer.body.dump({ limit: 16_384 }).catch(() => undefined);
      const next = this.urlOf(location, target);
      if (target.protocol === 'https:' && next.protocol !== 'https:')
        throw refused(target, 'redirects to a place without TLS');
      // As browsers do: a body is only sent again where the status says so.
      if (answer.statusCode < 307) [method, body] = ['GET', undefined];
      target = next;
    }
    throw failed(first, `it redirects more than ${mostRedirects} times`);
  }

  private urlOf(address: string, base?: URL): URL {
    const url = URL.canParse(address, base?.href) ? new URL(address, base) : undefined;
    if (url === undefined) throw sluiceError('SLU_OUTBOUND_REFUSED', { host: 'the address', problem: 'is no URL' });
    const isSpoken = url.protocol === 'https:' || (url.protocol === 'http:' && this.settings.takesPlainHttp === true);
    if (!isSpoken)
      throw refused(url, `is spoken to by ${this.settings.takesPlainHttp === true ? 'http or https' : 'https'} only`);
    if (url.username !== '' || url.password !== '')
      throw refused(url, 'must not have a user or password in its address');
    this.settings.guard.check(url);
    return url;
  }

  private async whole(body: Dispatcher.ResponseData['body'], from: URL): Promise<Buffer> {
    const { answerLimitBytes = defaultAnswerLimitBytes } = this.settings;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      if (bytes > answerLimitBytes) throw failed(from, `it answers with more than ${answerLimitBytes} bytes`);
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  }
}

export interface GuardedAgentLimits {
  connectSeconds: number;
  /** Between the parts of an answer. */
  silenceSeconds: number;
  connections: number;
}

/** An undici agent that connects to nothing the guard refuses, whatever named the host. */
export function guardedAgent(
  guard: OutboundGuard,
  { connectSeconds, silenceSeconds, connections }: GuardedAgentLimits,
): Agent {
  return new Agent({
    connect: (options, callback) => {
      const port = options.port === '' ? '' : `:${options.port}`;
      const url = new URL(`${options.protocol}//${options.hostname}${port}`);
      const problem = guard.problemOf(url);
      if (problem !== undefined) return callback(refused(url, problem), null);
      const connector = buildConnector({ timeout: secondsToMs(connectSeconds), lookup: guard.lookupFor(url) });
      return connector(options, callback);
    },
    headersTimeout: secondsToMs(silenceSeconds),
    bodyTimeout: secondsToMs(silenceSeconds),
    connections,
  });
}

/** The guard's refusal among what sockets and clients wrap it in. */
export function sluiceCauseOf(failure: unknown): SluiceError | undefined {
  for (let at = failure, depth = 0; depth < 5 && typeof at === 'object' && at !== null; depth += 1) {
    if (isSluiceError(at)) return at;
    at = (at as { cause?: unknown }).cause;
  }
  return undefined;
}

const refused = (url: URL, problem: string): SluiceError =>
  sluiceError('SLU_OUTBOUND_REFUSED', { host: url.hostname, problem });

const failed = (url: URL, problem: string): SluiceError =>
  sluiceError('SLU_OUTBOUND_FAILED', { host: url.hostname, problem });

const harmless = (headers: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => harmlessHeaders.has(name.toLowerCase())));

/** Codes of the network, never texts: those may repeat what a stranger's server said. */
function reasonOf(failure: unknown): string {
  const { code, name } = (failure ?? {}) as { code?: unknown; name?: unknown };
  const word = [code, name].find((each) => typeof each === 'string' && /^[A-Za-z_]{3,60}$/.test(each));
  return typeof word === 'string' ? word : 'the connection failed';
}
