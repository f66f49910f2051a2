export type { AuditEvent } from './audit-event.js';
export { AuditKeys } from './audit-keys.js';
export { readAudit, type AuditFilter, type AuditRow } from './audit-reader.js';
export { appendAudit, appendAudits, sealAuditRows } from './audit-trail.js';
export type { Verification } from './audit-verifier.js';
export { Auditing, checkpointPlace } from './auditing.js';
export type { KeyChange } from './checkpoint.js';
export type { HoldScope, LegalHold } from './legal-holds.js';
export { verifyOffline, type OfflineVerification } from './offline-verify.js';
