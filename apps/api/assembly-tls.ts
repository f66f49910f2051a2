import { systemClock } from '#libs/kernel';
import { certificateLoader, isOwnMachine, TlsCertificate, type Logger, type SluiceConfig } from '#libs/platform';

/** The certificate to serve with, followed until the end. @returns undefined where TLS is off */
export async function openCertificate(
  config: SluiceConfig,
  log: Logger,
  stack: AsyncDisposableStack,
): Promise<TlsCertificate | undefined> {
  const load = certificateLoader(config, systemClock);
  if (load === undefined) {
    if (!config.isPlainHttpChosen && !isOwnMachine(config.host))
      log.warn({ host: config.host }, 'listening beyond this machine without TLS: set SLUICE_TLS');
    return undefined;
  }
  const certificate = stack.use(
    await TlsCertificate.open({
      load,
      onProblem: (problem) => log.error({ problem }, 'the renewed certificate cannot be used; the one before goes on'),
    }),
  );
  const told = (): void =>
    log.info({ kind: config.tls.kind, expiresAt: certificate.expiresAt.toISOString() }, 'serving with a certificate');
  certificate.onRenewed(told);
  told();
  return certificate;
}
