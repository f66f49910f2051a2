import {
  certificateKey,
  DataKeys,
  MasterKeys,
  OpenWindows,
  PayloadArchive,
  PayloadRecorder,
  PayloadWindows,
  registerPayloadMetrics,
  SubjectPseudonyms,
} from '#libs/audit';
import {
  AccessReport,
  ErasureLedger,
  Erasures,
  erasureStores,
  ErasureWorkflows,
  PrivacyJanitor,
  ProcessingRecords,
  SubjectExport,
  type TemporalLink,
} from '#libs/control';
import { RequestArchive } from '#libs/inference';
import { days } from '#libs/kernel';
import type { Logger, SluiceConfig, Telemetry } from '#libs/platform';
import { PersonalRedactor } from '#libs/safety';
import type { Database } from '#libs/store';
import { CertificateKey } from './privacy/certificate-key.js';

export interface PrivacySurroundings {
  config: Pick<SluiceConfig, 'envelopeKeys' | 'earlierMasterKeys' | 'requestRetentionDays' | 'payloadRetentionDays'>;
  masterKey: Buffer;
  database: Database;
  link: Pick<TemporalLink, 'call'>;
  log: Logger;
  telemetry?: Pick<Telemetry, 'meter'> | undefined;
}

/** What the management routes need. */
export interface PrivacyParts {
  pseudonyms: SubjectPseudonyms;
  payloadWindows: PayloadWindows;
  payloadArchive: PayloadArchive;
  requestArchive: RequestArchive;
  subjectExport: SubjectExport;
  erasures: Erasures;
  accessReport: AccessReport;
  processingRecords: ProcessingRecords;
  certificateKey: CertificateKey;
}

export interface PrivacyAssembly {
  parts: PrivacyParts;
  payloads: PayloadRecorder;
  openWindows: OpenWindows;
  dataKeys: DataKeys;
  janitor: PrivacyJanitor;
}

export function assemblePrivacy(surroundings: PrivacySurroundings, stack: AsyncDisposableStack): PrivacyAssembly {
  const { config, masterKey, database, link, log } = surroundings;
  const dataKeys = new DataKeys(database, masterKeysOf(config, masterKey));
  const signingKey = certificateKey(masterKey);
  const { requestRetentionDays, payloadRetentionDays } = config;
  const stores = erasureStores({ database, dataKeys, requestRetentionDays, payloadRetentionDays });
  const payloadWindows = new PayloadWindows(database);
  const openWindows = new OpenWindows(payloadWindows, log);
  const redactor = new PersonalRedactor();
  const payloads = stack.use(new PayloadRecorder({ database, dataKeys, windows: openWindows, redactor, log }));
  if (surroundings.telemetry !== undefined) registerPayloadMetrics(surroundings.telemetry.meter, payloads);
  const erasures = new Erasures(database, new ErasureWorkflows(link), log);
  const ledger = new ErasureLedger(database, stores, signingKey);
  const payloadRetentionSeconds = days(payloadRetentionDays);
  const janitor = stack.use(new PrivacyJanitor({ database, erasures, ledger, log, payloadRetentionSeconds }));
  return {
    payloads,
    openWindows,
    dataKeys,
    janitor,
    parts: {
      // The oldest key, so that persons keep their pseudonyms when the master key changes.
      pseudonyms: new SubjectPseudonyms(config.earlierMasterKeys.at(-1) ?? masterKey),
      payloadWindows,
      payloadArchive: new PayloadArchive(database, dataKeys),
      requestArchive: new RequestArchive(database),
      subjectExport: new SubjectExport(database, stores),
      erasures,
      accessReport: new AccessReport(database),
      processingRecords: new ProcessingRecords(database, stores),
      certificateKey: new CertificateKey(signingKey),
    },
  };
}

/** Without keys of its own the envelope hangs on the master key, and a first key of its own opens what that one wrapped. */
function masterKeysOf(
  { envelopeKeys, earlierMasterKeys }: Pick<SluiceConfig, 'envelopeKeys' | 'earlierMasterKeys'>,
  masterKey: Buffer,
): MasterKeys {
  const [current = masterKey, ...earlier] = envelopeKeys;
  return new MasterKeys(current, [...earlier, masterKey, ...earlierMasterKeys]);
}

/** After a change of the master key: wraps anew what hangs on an earlier one, and says when that one may go. */
export async function rewrapDataKeys(dataKeys: DataKeys, log: Logger): Promise<void> {
  try {
    const { rewrapped, unreadable } = await dataKeys.rewrap();
    if (rewrapped > 0) log.info({ rewrapped }, 'data keys are wrapped by the current envelope key');
    if (unreadable > 0) log.error({ unreadable }, 'data keys hang on an envelope key that is not among those given');
  } catch (err) {
    log.warn({ err }, 'data keys could not be wrapped anew; the next start tries again');
  }
}
