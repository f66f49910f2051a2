import { certificateKey, DataKeys, MasterKeys } from '#libs/audit';
import { ErasureLedger, erasureStores } from '#libs/control';
import { required, type SluiceConfig } from '#libs/platform';
import type { Database } from '#libs/store';
import type { ErasurePorts } from './erasure.activities.js';

export type ErasureConfig = Pick<
  SluiceConfig,
  'masterKey' | 'envelopeKeys' | 'requestRetentionDays' | 'payloadRetentionDays'
>;

/** The erasure's activities on the real world: PostgreSQL, through the stores that know their tables. */
export function erasurePorts(config: ErasureConfig, database: Database): ErasurePorts {
  const masterKey = required(config.masterKey, 'SLUICE_MASTER_KEY');
  const { requestRetentionDays, payloadRetentionDays } = config;
  // Who erases destroys keys and opens none.
  const dataKeys = new DataKeys(database, new MasterKeys(masterKey));
  const stores = erasureStores({ database, dataKeys, requestRetentionDays, payloadRetentionDays });
  return { ledger: new ErasureLedger(database, stores, certificateKey(masterKey)) };
}
