import { secondsToMs, sluiceError, type Clock } from '#libs/kernel';
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';

export interface IssuerKeysSettings {
  issuer: string;
  /** Left out: where the issuer's discovery document says. */
  jwksUri?: string | undefined;
  clock: Clock;
  /** An unknown key id makes the keys be read again, but not more often than this. */
  coolDownSeconds?: number | undefined;
  /** Keys that are older are read again, while they serve on. */
  refreshSeconds?: number | undefined;
  /** For so long keys serve when the issuer cannot be reached. */
  staleSeconds?: number | undefined;
  onProblem?: ((problem: unknown) => void) | undefined;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

const defaultCoolDownSeconds = 30;
const defaultRefreshSeconds = 600;
export const defaultStaleSeconds = 3_600;
const answerTimeoutMs = 5_000;
const answerLimitBytes = 262_144;

/** The public keys of the issuer, read when they are needed and kept for a bounded time. */
export class IssuerKeys {
  private keySet: KeySet | undefined;
  // On the monotonic clock: one that is set back must not keep keys for ever.
  private readAtMs = -Infinity;
  private triedAtMs = -Infinity;
  private reading: Promise<void> | undefined;

  constructor(private readonly settings: IssuerKeysSettings) {}

  /** @throws SLU_ACCESS_ISSUER_DOWN, and an error of jose where no key fits */
  async keyFor(header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<KeySet> {
    const keySet = await this.current();
    try {
      return await keySet(header, token);
    } catch (failure) {
      if (!(failure instanceof errors.JWKSNoMatchingKey) || this.isCoolingDown()) throw failure;
      await this.read();
      return this.keySet!(header, token);
    }
  }

  private async current(): Promise<KeySet> {
    const { refreshSeconds = defaultRefreshSeconds, staleSeconds = defaultStaleSeconds } = this.settings;
    const ageMs = this.settings.clock.monotonicMs() - this.readAtMs;
    if (this.keySet === undefined || ageMs > secondsToMs(staleSeconds)) await this.read();
    else if (ageMs > secondsToMs(refreshSeconds) && !this.isCoolingDown())
      this.read().catch((problem: unknown) => this.settings.onProblem?.(problem));
    return this.keySet!;
  }

  private isCoolingDown(): boolean {
    const { clock, coolDownSeconds = defaultCoolDownSeconds } = this.settings;
    return clock.monotonicMs() - this.triedAtMs < secondsToMs(coolDownSeconds);
  }

  /** However many wait for them, the keys are read once. @throws SLU_ACCESS_ISSUER_DOWN */
  private async read(): Promise<void> {
    this.reading ??= this.readAnew().finally(() => (this.reading = undefined));
    await this.reading;
  }

  private async readAnew(): Promise<void> {
    const { clock } = this.settings;
    this.triedAtMs = clock.monotonicMs();
    try {
      const uri = this.settings.jwksUri ?? (await this.discoveredUri());
      this.keySet = createLocalJWKSet((await readJson(uri)) as JSONWebKeySet);
      this.readAtMs = clock.monotonicMs();
    } catch (cause) {
      throw sluiceError('SLU_ACCESS_ISSUER_DOWN', {}, { cause, retryAfterSeconds: 5 });
    }
  }

  private async discoveredUri(): Promise<string> {
    const { issuer } = this.settings;
    const found = (await readJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)) as {
      issuer?: unknown;
      jwks_uri?: unknown;
    };
    // OpenID Connect Discovery 1.0, 4.3: otherwise it is somebody else's document.
    if (found.issuer !== issuer) throw new Error('the discovery document names another issuer');
    if (typeof found.jwks_uri !== 'string' || !isSafeUrl(found.jwks_uri))
      throw new Error('the discovery document names no jwks_uri over TLS');
    return found.jwks_uri;
  }
}

/** Whoever can change keys on their way can be anybody: only this machine is spoken to without TLS. */
function isSafeUrl(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
}

async function readJson(url: string): Promise<unknown> {
  const answer = await fetch(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(answerTimeoutMs),
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerLimitBytes) throw new Error(`the answer of ${url} is larger than ${answerLimitBytes} bytes`);
    chunks.push(chunk);
  }
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
