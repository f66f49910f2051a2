export { certificateKey, DataKeys, MasterKeys, SubjectPseudonyms } from './envelope/index.js';
export { erasedAtATime, type ErasureStore, type Processing } from './erasure-store.js';
export {
  DataKeyStore,
  longestWindowSeconds,
  OpenWindows,
  PayloadArchive,
  PayloadRecorder,
  PayloadStore,
  PayloadWindows,
  type PayloadEntry,
  type PayloadRedactor,
  type PayloadWindow,
  type Redactions,
} from './payloads/index.js';
export { AppendReceipts } from './append-receipts.js';
export { registerPayloadMetrics } from './audit-metrics.js';
export type { AuditEvent } from './audit-event.js';
export { AuditKeys } from './audit-keys.js';
export { readAudit, type AuditFilter, type AuditRow } from './audit-reader.js';
export { appendAudit, appendAudits, sealAuditRows } from './audit-trail.js';
export type { Verification } from './audit-verifier.js';
export { Auditing, checkpointPlace } from './auditing.js';
export { Chainer } from './chainer.js';
export type { KeyChange } from './checkpoint.js';
export type { HoldScope, LegalHold } from './legal-holds.js';
export { RecentRows } from './recent-rows.js';
export { verifyOffline, type OfflineVerification } from './offline-verify.js';
