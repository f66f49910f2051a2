/** What is kept of one request: ids, sizes, times and codes, never a value of the payload. */
export interface RequestRecord {
  requestId: string;
  /** Wall time of the arrival, in milliseconds since 1970. */
  atMs: number;
  keyId: string | undefined;
  endpoint: string;
  model: string;
  version: string;
  arm: string;
  revision: number;
  status: number;
  errorCode: string | undefined;
  rows: number;
  bytesIn: number;
  bytesOut: number;
  queueMs: number;
  modelMs: number;
  totalMs: number;
  traceId: string | undefined;
}

/** A group of records that is written whole and once: `id` is stored with them. */
export interface RecordBatch {
  id: string;
  records: readonly RequestRecord[];
}
