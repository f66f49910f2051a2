import { AuditKeys, Auditing, checkpointPlace } from '#libs/audit';
import { required, type Logger, type SluiceConfig, type Telemetry } from '#libs/platform';
import type { Database } from '#libs/store';

/** The audit trail of this process; it says its last word after everything else has ended. */
export async function startAuditing(
  config: SluiceConfig,
  database: Database,
  log: Logger,
  telemetry: Telemetry,
  stack: AsyncDisposableStack,
): Promise<Auditing> {
  const keys = new AuditKeys(required(config.masterKey, 'SLUICE_MASTER_KEY'), config.earlierMasterKeys);
  const place = checkpointPlace(config);
  if (Symbol.dispose in place) stack.use(place as Disposable);
  return stack.use(await Auditing.start({ database, keys, place, log, telemetry }));
}
