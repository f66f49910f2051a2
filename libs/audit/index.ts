export { appendAudit, type AuditEvent } from './audit-trail.js';
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
  StructuredRedactor,
  type PayloadEntry,
  type PayloadWindow,
} from './payloads/index.js';
