import type { Outcome } from './outcome-counters.js';

/** What is kept of one request: ids, sizes, times and codes, never a value of the payload. */
export interface RequestRecord {
  requestId: string;
  /** Wall time of the arrival, in milliseconds since 1970. */
  atMs: number;
  keyId: string | undefined;
  tenantId?: string | undefined;
  projectId?: string | undefined;
  /** The pseudonym of whom the request is about; the name that the caller gave is kept nowhere. */
  subject?: string | undefined;
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
  /** How the request counts for its arm. Records that an older release spooled have none. */
  outcome?: Outcome | undefined;
  /** Only of requests to language models. */
  language?: LanguageUse | undefined;
}

/** What a language model's answer used. Tokens as the model server counted them, or the chunks where it did not. */
export interface LanguageUse {
  isStreamed: boolean;
  promptTokens: number | undefined;
  completionTokens: number | undefined;
  /** From the arrival of the request to the first token; undefined when none came. */
  firstTokenMs: number | undefined;
}

/** A group of records that is written whole and once: `id` is stored with them. */
export interface RecordBatch {
  id: string;
  records: readonly RequestRecord[];
}
