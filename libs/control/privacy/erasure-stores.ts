import { DataKeyStore, PayloadArchive, PayloadStore, type DataKeys, type ErasureStore } from '#libs/audit';
import { RequestRecordStore, ResponseCacheStore } from '#libs/inference';
import { days } from '#libs/kernel';
import type { Database } from '#libs/store';

export interface ErasureStoresParts {
  database: Database;
  dataKeys: DataKeys;
  requestRetentionDays: number;
  payloadRetentionDays: number;
}

/** Every place that may hold something of a subject, in the order of erasing. A further store is a further line. */
export function erasureStores(parts: ErasureStoresParts): readonly ErasureStore[] {
  const { database, dataKeys } = parts;
  return [
    new DataKeyStore(dataKeys),
    new PayloadStore(new PayloadArchive(database, dataKeys), parts.payloadRetentionDays),
    new RequestRecordStore(days(parts.requestRetentionDays)),
    new ResponseCacheStore(),
  ];
}
