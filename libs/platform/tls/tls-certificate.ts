import { secondsToMs, sluiceError, type Clock } from '#libs/kernel';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { createSecureContext } from 'node:tls';
import type { SluiceConfig } from '../config.js';
import { ensureOwnCertificate, type KeyPair } from './own-certificate.js';

export interface TlsCertificateSettings {
  load: () => Promise<KeyPair>;
  onProblem: (problem: string) => void;
  everySeconds?: number;
}

const defaultEverySeconds = 10;

/** The certificate that this process serves with, as it stands in its files: what is renewed there is served from then on. */
export class TlsCertificate implements Disposable {
  private readonly listeners: ((pair: KeyPair) => void)[] = [];
  private readonly timer: NodeJS.Timeout;
  private lastProblem: string | undefined;

  private constructor(
    private pair: KeyPair,
    private readonly settings: TlsCertificateSettings,
  ) {
    this.timer = setInterval(() => void this.refresh(), secondsToMs(settings.everySeconds ?? defaultEverySeconds));
    this.timer.unref();
  }

  /** @throws SLU_PLATFORM_SETTING when the files cannot be read or do not belong together */
  static async open(settings: TlsCertificateSettings): Promise<TlsCertificate> {
    const pair = await settings.load();
    refuseUnusable(pair);
    return new TlsCertificate(pair, settings);
  }

  get current(): KeyPair {
    return this.pair;
  }

  get expiresAt(): Date {
    return new X509Certificate(this.pair.certificate).validToDate;
  }

  onRenewed(listener: (pair: KeyPair) => void): void {
    this.listeners.push(listener);
  }

  /** Reads the files again. A pair that cannot be served with is told of once, and the one before goes on serving. */
  async refresh(): Promise<void> {
    try {
      const pair = await this.settings.load();
      if (pair.certificate !== this.pair.certificate || pair.privateKey !== this.pair.privateKey) {
        refuseUnusable(pair);
        this.pair = pair;
        for (const listener of this.listeners) listener(pair);
      }
      this.lastProblem = undefined;
    } catch (failure) {
      const problem = failure instanceof Error ? failure.message : 'the files cannot be read';
      if (problem !== this.lastProblem) this.settings.onProblem(problem);
      this.lastProblem = problem;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }
}

/** Where the certificate comes from by the settings. @returns undefined where TLS is off */
export function certificateLoader(
  { tls, host }: Pick<SluiceConfig, 'tls' | 'host'>,
  clock: Clock,
): (() => Promise<KeyPair>) | undefined {
  switch (tls.kind) {
    case 'off':
      return undefined;
    case 'self-signed':
      return () => ensureOwnCertificate(tls.folder, namesOf(host), clock.now());
    case 'files':
      return async () => ({
        certificate: await readSetting('SLUICE_TLS_CERT', tls.certificateFile),
        privateKey: await readSetting('SLUICE_TLS_KEY', tls.privateKeyFile),
      });
  }
}

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

const namesOf = (host: string): string[] => [
  ...new Set(['localhost', '127.0.0.1', '::1', hostname().toLowerCase(), ...(everywhere.has(host) ? [] : [host])]),
];

async function readSetting(name: string, file: string): Promise<string> {
  return readFile(file, 'utf8').catch((failure: NodeJS.ErrnoException) => {
    throw sluiceError('SLU_PLATFORM_SETTING', {
      name,
      problem: `${file} cannot be read (${failure.code ?? 'unknown'})`,
    });
  });
}

function refuseUnusable({ certificate, privateKey }: KeyPair): void {
  const read = parsed('SLUICE_TLS_CERT', 'holds no PEM certificate', () => new X509Certificate(certificate));
  const key = parsed('SLUICE_TLS_KEY', 'holds no PEM private key without a passphrase', () =>
    createPrivateKey(privateKey),
  );
  if (!read.checkPrivateKey(key))
    throw unusable('SLUICE_TLS_KEY', 'does not belong to the first certificate of SLUICE_TLS_CERT');
  parsed('SLUICE_TLS_CERT', 'cannot be served with', () => createSecureContext({ cert: certificate, key: privateKey }));
}

// OpenSSL's own texts may quote what was in the file.
function parsed<T>(name: string, problem: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw unusable(name, problem);
  }
}

const unusable = (name: string, problem: string): Error => sluiceError('SLU_PLATFORM_SETTING', { name, problem });
